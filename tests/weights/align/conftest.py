"""The state dict of yolov5s with numbered tensors."""

import pytest
from torch import Tensor

from tests.weights.align.numbered_tensors import YOLOV5S, tool


@pytest.fixture(scope="module")
def file() -> dict[str, Tensor]:
    return tool.numbered_state(tool.blank_state(YOLOV5S))
