"""Read the oracles, which are results of independent programs, and compare results with them.

tests/oracles holds a subset of the complete oracles (its README describes both). The fixture `oracle` gives a test the
function that reads one by name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

SHARED = Path(__file__).parents[3] / "shared"
SUBSET = Path(__file__).parents[1] / "oracles"
COMPLETE = SHARED / "oracles"


@dataclass(frozen=True)
class Oracle:
    """The settings and results of one run of an independent program.

    Attributes:
        settings: Content of the JSON file.
        arrays: Content of the npz file, on the device of the test.
    """

    settings: Mapping[str, Any]
    arrays: Mapping[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        """Return a complete array.

        Raises:
            KeyError: If the array does not exist or is subsampled.
        """
        if f"{key}.kept" in self.arrays:
            raise KeyError(f"{key} is subsampled; compare it with `difference`")
        return self.arrays[key]

    def difference(self, key: str, actual: Tensor) -> float:
        """Return the largest difference of a result from an array, relative to the array's largest magnitude."""
        if f"{key}.kept" not in self.arrays:
            return relative_difference(actual, self.arrays[key])
        assert list(actual.shape) == self.arrays[f"{key}.shape"].tolist()
        return relative_difference(actual.flatten()[self.arrays[f"{key}.kept"]], self.arrays[key])


def read_oracle(folder: Path, name: str, device: torch.device | None = None) -> Oracle:
    """Read an oracle from the folder of the subset or of the complete oracles."""
    settings = json.loads((folder / f"{name}.json").read_text())
    with np.load(folder / f"{name}.npz") as arrays:
        return Oracle(settings, {key: torch.from_numpy(value).to(device) for key, value in arrays.items()})


def oracle_weights(state: Mapping[str, Tensor], norm_suffix: str) -> dict[str, Tensor]:
    """Generate the weights of a state dict from its keys, as described in tests/oracles/README.md."""
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


def yolo_images() -> Tensor:
    """Return the input of the networks' oracles."""
    return torch.from_numpy(np.random.default_rng(0).random((1, 3, 192, 256), dtype=np.float32))


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference, relative to the largest expected magnitude; shapes must be equal."""
    assert actual.shape == expected.shape
    scale = expected.abs().max().clamp(min=1e-12)
    return ((actual - expected).abs().max() / scale).item()
