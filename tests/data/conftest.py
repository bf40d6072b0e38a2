"""What tests of data sets have in common."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.site import Site, open_site


@pytest.fixture(autouse=True)
def _cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def write_image(path: Path, size: tuple[int, int] = (64, 48), seed: int = 0) -> Path:
    """Write an image of noise, different for each seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def data_file(folder: Path, text: str) -> Path:
    """Write a data.yaml."""
    file = folder / "data.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture
def yolo_folder(tmp_path: Path) -> Callable[[dict[str, str | None]], Path]:
    """Return a function that writes a YOLO data set of images with these labels, and returns its data file."""

    def write(labels: dict[str, str | None], names: Sequence[str] = ("cat", "dog")) -> Path:
        root = tmp_path / "set"
        (root / "labels").mkdir(parents=True)
        for seed, (stem, text) in enumerate(labels.items()):
            write_image(root / "images" / f"{stem}.png", seed=seed)
            if text is not None:
                (root / "labels" / f"{stem}.txt").write_text(text)
        file = root / "data.yaml"
        file.write_text(f"train: images\nnames: [{', '.join(names)}]\n")
        return file

    return write
