"""Simulated studies whose truth is known.

`python -m tests.study.statistics.simulations` writes docs/studies/simulations.md. All seeds are fixed, so that the page
can be reproduced number by number.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from attendet.study.statistics.joint_tests import simultaneous_intervals, step_down_p
from attendet.study.statistics.power import settle_probability
from attendet.study.statistics.resampling import mean_interval, sign_flip_p
from attendet.study.statistics.sequential import look_levels

PAGE = Path(__file__).parents[3] / "docs" / "studies" / "simulations.md"
LOOKS = (6, 8, 10, 12, 16, 20)
ARMS = 5
Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]

# Distributions of a difference, with mean 0 and standard deviation 1.
DIFFERENCES: dict[str, Draw] = {
    "normal": lambda rng, size: rng.standard_normal(size),
    "heavy tails (t, 3 degrees of freedom)": lambda rng, size: rng.standard_t(3, size) / np.sqrt(3),
    "uniform": lambda rng, size: rng.uniform(-1, 1, size) * np.sqrt(3),
    "spread grows with the seed": lambda rng, size: rng.standard_normal(size) * np.linspace(0.3, 1.7, size[-1]),
    "skewed (gamma, shape 4)": lambda rng, size: (rng.gamma(4, 1, size) - 4) / 2,
}


def coverage() -> Table:
    """Percentage of 2,000 studies whose interval contains the true difference.

    For symmetric differences and six or more seeds it is exactly 1 − 2k/2ⁿ: 96.9, 95.3, 95.3, 95.1, and 95.0 %. With
    fewer seeds it is Student's t.
    """
    counts, studies = (4, 5, 6, 7, 8, 10, 12), 2000
    rows = []
    for name, draw in DIFFERENCES.items():
        shares = []
        for count in counts:
            drawn = draw(np.random.default_rng(count), (studies, count))
            intervals = [mean_interval(study) for study in drawn]
            shares.append(np.mean([each is not None and each.low <= 0 <= each.high for each in intervals]))
        rows.append((name, *(f"{100 * share:.1f}" for share in shares)))
    return ("differences", *(f"{count} seeds" for count in counts)), rows


def family_errors() -> Table:
    """Percentage of 2,000 studies that find at least one of five arms without an effect.

    At most 5 is right, with a standard error of 0.5.
    """
    counts, studies = (6, 7, 8, 10), 2000
    rows = []
    for name, draw in DIFFERENCES.items():
        shares = []
        for count in counts:
            rng = np.random.default_rng(100 + count)
            # Runs of an arm minus runs of the baseline that all arms share.
            drawn = draw(rng, (studies, ARMS, count)) - draw(rng, (studies, 1, count))
            shares.append(np.mean([min(step_down_p(study)) <= 0.05 for study in drawn]))
        rows.append((f"runs: {name}", *(f"{100 * share:.1f}" for share in shares)))
    return ("five arms", *(f"{count} seeds" for count in counts)), rows


def simultaneous_coverage() -> Table:
    """Percentage of 300 studies whose five intervals contain all five true differences.

    At least 95 is right, with a standard error of 1.3.
    """
    counts, studies = (6, 8, 10), 300
    rows = []
    for name, effects in (
        ("no arm has an effect", [0.0] * ARMS),
        ("two of five arms have one", [0, 0, 0, 0.02, -0.04]),
        ("all arms have large ones", [0.1, -0.1, 0.12, 0.15, -0.2]),
    ):
        shares = []
        for count in counts:
            rng = np.random.default_rng(200 + count)
            drawn = 0.01 * (rng.standard_normal((studies, ARMS, count)) - rng.standard_normal((studies, 1, count)))
            shares.append(np.mean([_all_covered(study + np.array(effects)[:, None], effects) for study in drawn]))
        rows.append((name, *(f"{100 * share:.1f}" for share in shares)))
    return ("five arms", *(f"{count} seeds" for count in counts)), rows


def joint_power() -> Table:
    """Percentage of 1,000 studies that find the effect of the only one of five arms that has one."""
    counts, studies = (6, 7, 8), 1000
    joint, holm = [], []
    for count in counts:
        rng = np.random.default_rng(300 + count)
        drawn = (rng.standard_normal((studies, ARMS, count)) - rng.standard_normal((studies, 1, count))) / np.sqrt(2)
        drawn[:, 0] += 2
        joint.append(np.mean([step_down_p(study)[0] <= 0.05 for study in drawn]))
        holm.append(np.mean([_holm_of_first(sign_flip_p(study)) <= 0.05 for study in drawn]))
    header = ("effect of two standard deviations", *(f"{count} seeds" for count in counts))
    return header, [(name, *(f"{100 * share:.0f}" for share in found)) for name, found in _pairs(joint, holm)]


def looking() -> Table:
    """Result of 200 studies that stop at the first look that decides.

    The first row has a standard error of 1.5. The last column ignores that there are several looks.
    """
    studies = 200
    rows = []
    for name, effect in (("no effect", 0.0), ("effect of one standard deviation", 1.0)):
        drawn = effect + np.random.default_rng(400).standard_normal((studies, LOOKS[-1]))
        ends = [_honest_end(study) for study in drawn]
        naive = [any(float(sign_flip_p(study[:look])) <= 0.05 for look in LOOKS) for study in drawn]
        found = 100 * np.mean([decided for decided, _ in ends])
        seeds = np.mean([count for _, count in ends])
        rows.append((name, f"{found:.1f}", f"{seeds:.1f}", f"{100 * np.mean(naive):.1f}"))
    header = (
        "looks at 6, 8, 10, 12, 16, 20 seeds",
        "found, %",
        "seeds on average",
        "found with p ≤ 0.05 at any look, %",
    )
    return header, rows


def equivalence() -> Table:
    """Percentage of 2,000 studies that find that a difference does not matter.

    One standard deviation of the differences matters. In the last row, at most 5 is right.
    """
    counts, studies = (6, 8, 10, 12), 2000
    rows = []
    for name, effect in (
        ("0", 0.0),
        ("half of the difference that matters", 0.5),
        ("exactly the difference that matters", 1.0),
    ):
        shares = []
        for count in counts:
            # What matters is one standard deviation of the differences.
            drawn = effect + np.random.default_rng(500 + count).standard_normal((studies, count))
            intervals = [mean_interval(study, 0.9) for study in drawn]
            shares.append(np.mean([each is not None and each.low > -1 and each.high < 1 for each in intervals]))
        rows.append((name, *(f"{100 * share:.1f}" for share in shares)))
    return ("true difference", *(f"{count} seeds" for count in counts)), rows


def calibration() -> Table:
    """Predicted probability that sixteen seeds decide a study that eight seeds leave open, and how often they did.

    True differences are between −3 and 3 standard deviations.
    """
    rng = np.random.default_rng(600)
    predicted, decided = [], []
    for effect in rng.uniform(-3, 3, 3000):
        study = effect + rng.standard_normal(16)
        if float(sign_flip_p(study[:8])) <= 0.05:
            continue
        predicted.append(settle_probability(study[:8], total=16))
        decided.append(float(sign_flip_p(study)) <= 0.05)
    bins = np.digitize(predicted, [0.2, 0.4, 0.6, 0.8])
    rows = []
    for number, label in enumerate(("below 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "above 80 %")):
        chosen = bins == number
        mean, frequency = np.array(predicted)[chosen].mean(), np.array(decided)[chosen].mean()
        rows.append((label, str(int(chosen.sum())), f"{100 * mean:.0f}", f"{100 * frequency:.0f}"))
    return ("predicted", "studies", "mean prediction, %", "decided, %"), rows


SECTIONS: dict[str, Callable[[], Table]] = {
    "Coverage of the 95 % interval": coverage,
    "Family error": family_errors,
    "Simultaneous coverage": simultaneous_coverage,
    "Power of the joint test": joint_power,
    "Looks": looking,
    "No difference that matters": equivalence,
    "Predictive probability": calibration,
}


def page() -> Iterator[str]:
    """Yield the lines of the page."""
    yield "# Simulated studies"
    yield ""
    yield "How reliable the statistics of `attendet study` are, measured on studies whose truth is known. The page is"
    yield "written by `python -m tests.study.statistics.simulations`; all seeds are fixed."
    for title, simulate in SECTIONS.items():
        header, rows = simulate()
        yield from ("", f"## {title}", "", " ".join((inspect.getdoc(simulate) or "").split()), "")
        yield from (f"| {' | '.join(row)} |" for row in (header, ("---",) * len(header), *rows))


def _all_covered(study: np.ndarray, effects: Sequence[float]) -> bool:
    intervals = simultaneous_intervals(study)
    return all(
        each is not None and each.low <= effect <= each.high for each, effect in zip(intervals, effects, strict=True)
    )


def _holm_of_first(p_values: np.ndarray) -> float:
    order = np.argsort(p_values, kind="stable")
    adjusted = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    return float(adjusted[list(order).index(0)])


def _pairs(joint: Sequence[float], holm: Sequence[float]) -> list[tuple[str, Sequence[float]]]:
    return [("step-down maxT", joint), ("Holm's correction", holm)]


def _honest_end(study: np.ndarray) -> tuple[bool, int]:
    """Return whether a study decides, and the number of its seeds."""
    for number, look in enumerate(LOOKS):
        level = look_levels([study[:look]], LOOKS[: number + 1], LOOKS[-1])[-1]
        if float(sign_flip_p(study[:look])) <= level * (1 + 1e-9):
            return True, look
    return False, LOOKS[-1]


if __name__ == "__main__":
    PAGE.write_text("\n".join(page()) + "\n", encoding="utf-8")
