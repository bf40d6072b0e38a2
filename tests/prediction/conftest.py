"""A small network that detects objects in photographs, and its run folder."""

from pathlib import Path

import pytest

from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import calibrated_detector, write_weights


@pytest.fixture(scope="session")
def model_name(request: pytest.FixtureRequest) -> str:
    """The model file of `detector`, which tests may parametrize."""
    return getattr(request, "param", "yolov5n")


@pytest.fixture(scope="session")
def detector(model_name: str) -> Detector:
    return calibrated_detector(model_name)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory, detector: Detector, model_name: str) -> Path:
    """A run's folder, as training leaves it."""
    run = tmp_path_factory.mktemp("run")
    write_weights(run / "weights" / "best.safetensors", detector, model=model_name)
    return run
