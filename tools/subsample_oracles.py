"""Write the part of the oracles that travels with the project (tests/oracles/README.md describes the files).

`python tools/subsample_oracles.py ORACLES OUT` reads every NAME.json and NAME.npz of the complete oracles, and writes
them to another folder. Inputs and gradients of losses stay whole. Of a long output, every nth element is kept.
"""

from __future__ import annotations

import argparse
import math
import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

OUTPUTS = {
    "cbam_": ("after_channel_gate", "y", "grad_x"),
    "yolo": ("decoded", "raw0", "raw1", "raw2", "aux_boxes", "aux_scores"),
}
"""Arrays that tests only compare with their own results, by the first letters of an oracle's name."""

LEFT_OUT = ("loss8_basic",)
"""Oracles whose inputs alone take 1 MB."""

KEPT = 2000
"""Elements to keep of an output that has more than twice as many."""


def subsample(complete: Path, out: Path) -> None:
    """Write the subset of a folder of oracles.

    Args:
        complete: Folder with NAME.json and NAME.npz.
        out: Folder to write; created if it does not exist.
    """
    out.mkdir(parents=True, exist_ok=True)
    for file in sorted(complete.glob("*.npz")):
        if file.stem not in LEFT_OUT:
            with np.load(file) as arrays:
                np.savez_compressed(out / file.name, allow_pickle=False, **subset(file.stem, dict(arrays)))
            shutil.copyfile(file.with_suffix(".json"), out / f"{file.stem}.json")


def subset(name: str, arrays: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """Return the arrays of an oracle, its long outputs as `KEY`, `KEY.kept`, and `KEY.shape`."""
    outputs = [key for prefix, keys in OUTPUTS.items() if name.startswith(prefix) for key in keys]
    written = {}
    for key, array in arrays.items():
        if key in outputs and array.size > 2 * KEPT:
            kept = kept_elements(array)
            written[key] = array.reshape(-1)[kept]
            written[f"{key}.kept"] = kept.astype(np.int32)
            written[f"{key}.shape"] = np.array(array.shape, np.int32)
        else:
            written[key] = array
    return written


def kept_elements(array: NDArray[np.generic]) -> NDArray[np.intp]:
    """Return the indices of the kept elements in the flattened array, in ascending order.

    The step has no common divisor with any axis, so that elements of every row and column are kept. The element of
    largest magnitude is kept as well, because relative differences refer to it.
    """
    step = array.size // KEPT
    while math.gcd(step, array.size) > 1:
        step += 1
    return np.union1d(np.arange(0, array.size, step), np.abs(array).argmax())


def main() -> None:
    """Read the folders from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("complete", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    subsample(options.complete, options.out)
    size = sum(file.stat().st_size for file in options.out.iterdir())
    print(f"{options.out}: {size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
