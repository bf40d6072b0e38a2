"""Weights and comparisons for the numbers of the original programs."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

SHARED = Path(__file__).parents[3] / "shared"


def oracle_weights(state: Mapping[str, Tensor], norm_suffix: str) -> dict[str, Tensor]:
    """Fill a state dict from its keys, as the oracles' README says."""
    filled = {}
    for key, value in state.items():
        if key.endswith(("num_batches_tracked", "anchors")):
            filled[key] = value
            continue
        a = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(tuple(value.shape)).astype(np.float32)
        if key.endswith("running_var"):
            a = 0.5 + np.abs(a)
        elif key.endswith(norm_suffix):
            a = 1 + np.float32(0.1) * a
        elif a.ndim == 4:
            a = a * np.float32(np.sqrt(2 / np.prod(a.shape[1:])))
        else:
            a = np.float32(0.1) * a
        filled[key] = torch.from_numpy(np.asarray(a, dtype=np.float32))
    return filled


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference, as a share of the largest expected magnitude."""
    scale = expected.abs().max().clamp(min=1e-12)
    return ((actual - expected).abs().max() / scale).item()
