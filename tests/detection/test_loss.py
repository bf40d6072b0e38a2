"""The loss against numbers of the original, its value and every gradient."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.detection.loss import LossWeights, detection_loss
from tests.conftest import relative_difference

ANCHORS = torch.tensor(
    [
        [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]],
        [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]],
        [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]],
    ]
)
STRIDES = (8.0, 16.0, 32.0)


@pytest.mark.parametrize("name", ["loss_basic", "loss_no_targets", "loss_single_class", "loss_smooth_focal"])
def test_value_and_gradients_equal_the_original(oracles: Path, name: str, device: torch.device) -> None:
    settings = json.loads((oracles / f"{name}.json").read_text())
    numbers = {key: torch.from_numpy(value).to(device) for key, value in np.load(oracles / f"{name}.npz").items()}
    raw = [numbers[f"pred{level}"].requires_grad_() for level in range(3)]
    loss = detection_loss(raw, numbers["targets"], ANCHORS.to(device), STRIDES, LossWeights(**settings["hyp"]))
    loss.total.backward()
    parts = torch.stack([loss.box, loss.objectness, loss.classes])
    assert relative_difference(loss.total, numbers["total"][0]) < 1e-5
    assert relative_difference(parts, numbers["box_obj_cls"]) < 1e-5
    for level, prediction in enumerate(raw):
        assert prediction.grad is not None
        assert relative_difference(prediction.grad, numbers[f"grad{level}"]) < 1e-5
