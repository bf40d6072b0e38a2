"""Fixtures that train a small network on small images of colored rectangles in a second."""

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from attendet.training.run_folder import RunFolder, RunRecord
from attendet.training.runner import train
from tests.helpers.small_training import MODEL, RecordingReporter, skip_plots, small, write_set


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file with five convolutions and a head."""
    file = tmp_path_factory.mktemp("model") / "small.yaml"
    file.write_text(MODEL)
    return file


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the data file of a data set with 8 training and 4 validation images."""
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture
def fit(data: Path, model: Path, tmp_path: Path) -> Callable[..., tuple[RunFolder, RunRecord, RecordingReporter]]:
    """Return a function that trains a small network with the given settings."""

    def run(
        reporter: RecordingReporter | None = None, **settings: object
    ) -> tuple[RunFolder, RunRecord, RecordingReporter]:
        reporter = reporter or RecordingReporter()
        settings.setdefault("data__path", str(data))
        return (*train(small(data, model, tmp_path / "runs", **settings), reporter), reporter)

    return run


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory, data: Path, model: Path) -> Path:
    """Return the folder of a trained run, whose weights other runs start from."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        config = small(data, model, tmp_path_factory.mktemp("start"), schedule__epochs=40, augment__mosaic=0)
        return train(config, RecordingReporter())[0].path


@pytest.fixture
def small_files() -> Iterator[None]:
    """Limit the files of this process to 16 KB, which has the effect of a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
