"""Small images and data.yaml files."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_digits


def write_image(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    """Write an image of random noise, which differs for each seed, and return its path.

    Args:
        path: The file; missing folders are created.
        size: Width and height in pixels.
        seed: Seed of the noise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_data_file(folder: Path, text: str) -> Path:
    """Write a data.yaml and return its path."""
    file = folder / "data.yaml"
    file.write_text(text)
    return file


def digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return 1,797 images of digits (8 x 8, 0-16), and the digits."""
    found = load_digits()
    assert not isinstance(found, tuple)
    return found.images, found.target
