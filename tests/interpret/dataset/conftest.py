"""A data set of small images, and a small network that can learn it."""

from pathlib import Path

import pytest

from tests.helpers.small_training import MODEL, write_set


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file of 8 training images and 4 validation images."""
    return write_set(tmp_path_factory.mktemp("set"))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a model file with five convolutions and a head."""
    file = tmp_path_factory.mktemp("model") / "small.yaml"
    file.write_text(MODEL)
    return file
