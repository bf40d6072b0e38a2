"""A small detector with attention that detects objects in photographs."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from attendet.models.detector import Detector
from tests.helpers import calibrated_detector


@pytest.fixture(scope="session")
def photographs() -> list[NDArray[np.uint8]]:
    """A temple and a flower, 640x427, red, green, blue."""
    return calibrated_detector.photographs()


@pytest.fixture(scope="session")
def model_name(request: pytest.FixtureRequest) -> str:
    """The model file of `detector`, which tests may parametrize."""
    return getattr(request, "param", "yolov5n_CBAM")


@pytest.fixture(scope="session")
def detector(model_name: str) -> Detector:
    """Random weights whose norms know the photographs, and whose gates get different values."""
    detector = calibrated_detector.calibrated_detector(model_name)
    with torch.no_grad():
        for parameter in detector.model[9].parameters():
            parameter.mul_(4)
    return detector
