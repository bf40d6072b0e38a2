"""A small network and small images of colored rectangles, on which real training takes a second."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.training.run_folder import RunFolder, RunRecord
from attendet.training.runner import train
from tests.helpers.small_training import MODEL, RecordingReporter, skip_plots, small, write_set


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of five convolutions and a head."""
    file = tmp_path_factory.mktemp("model") / "small.yaml"
    file.write_text(MODEL)
    return file


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file: 8 images to train on, 4 to measure on."""
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def fit(data: Path, model: Path, tmp_path: Path) -> Callable[..., tuple[RunFolder, RunRecord, RecordingReporter]]:
    """What trains a small network, with the settings that it is given."""

    def run(
        listener: RecordingReporter | None = None, **settings: object
    ) -> tuple[RunFolder, RunRecord, RecordingReporter]:
        listener = listener or RecordingReporter()
        settings.setdefault("data__path", str(data))
        return (*train(small(data, model, tmp_path / "runs", **settings), listener), listener)

    return run


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, data: Path, model: Path) -> Path:
    """A run that has learned something, whose weights others start from."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        config = small(data, model, tmp_path_factory.mktemp("start"), schedule__epochs=40, augment__mosaic=0)
        return train(config, RecordingReporter())[0].path
