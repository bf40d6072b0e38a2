"""A data set of small images that a small network can learn."""

from pathlib import Path

import pytest

from tests.helpers.small_training import write_set


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data file of 8 training images and 4 validation images."""
    return write_set(tmp_path_factory.mktemp("set"))
