"""A small network that detects objects in photographs, and its run folder."""

from pathlib import Path

import pytest

from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import calibrated_detector, write_weights


@pytest.fixture(scope="session")
def detector() -> Detector:
    return calibrated_detector()


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, detector: Detector) -> Path:
    """A run's folder, as training leaves it."""
    run = tmp_path_factory.mktemp("run")
    write_weights(run / "weights" / "best.safetensors", detector)
    return run
