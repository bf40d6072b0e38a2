"""Fixtures of tests of data sets."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.helpers.data_sets import write_image
from tests.helpers.http_server import Site, open_site


@pytest.fixture(autouse=True)
def _separate_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture
def yolo_folder(tmp_path: Path) -> Callable[[dict[str, str | None]], Path]:
    """Return a function that writes a YOLO data set and returns its data.yaml.

    The function takes the text of each label file by the stem of its image, with None for a missing label file.
    """

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
