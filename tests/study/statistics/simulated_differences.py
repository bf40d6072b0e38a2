"""Differences of simulated studies."""

import numpy as np


def simulated(studies, count, noise="normal", arms=1, seed=0):
    """Return (studies, arms, seeds) differences of arms without an effect to a baseline that they share."""
    generator = np.random.default_rng(seed)
    draw = {
        "normal": generator.standard_normal,
        "heavy": lambda size: generator.standard_t(3, size),
        "skewed": lambda size: generator.gamma(4, 1, size) - 4,
        "uneven": lambda size: generator.standard_normal(size) * np.linspace(0.2, 3, size[-1]),
    }[noise]
    of_seed = 3 * generator.standard_normal((studies, 1, count))
    baseline, runs = of_seed + draw((studies, 1, count)), of_seed + draw((studies, arms, count))
    return runs - baseline
