"""Shape annotations of `attendet.detection` are checked during tests."""

import jaxtyping
import pytest
import torch

from attendet.detection.suppression import nms


def test_a_wrong_shape_is_reported() -> None:
    with pytest.raises(jaxtyping.TypeCheckError):
        nms(torch.zeros(10, 8))
