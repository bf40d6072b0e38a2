"""An explanation changes nothing in the network, whether it succeeds or fails."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import attendet
from attendet.errors import WeightsError
from tests.helpers.calibrated_detector import Photographs
from tests.helpers.third_party_networks import attended_resnet


def state_of(model: nn.Module) -> list[object]:
    """Return everything in a network that an explanation might change."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    hooks = [len(getattr(module, kind)) for module in model.modules() for kind in kinds]
    own = [sorted(vars(module)) for module in model.modules()]
    flags = [module.training for module in model.modules()]
    tensors = [(key, value._version) for key, value in model.state_dict(keep_vars=True).items()]
    gradients = [(parameter.grad is None, parameter.requires_grad) for parameter in model.parameters()]
    return [hooks, own, flags, tensors, gradients, torch.is_grad_enabled()]


@pytest.mark.parametrize("fails", [None, "attention", "cam"])
def test_the_network_is_unchanged(fails: str | None, photographs: Photographs) -> None:
    model = attended_resnet().train()
    model.layer1.train(False)
    model.fc.requires_grad_(requires_grad=False)
    passes = 0

    def fail(*_: object) -> None:
        nonlocal passes
        passes += 1
        # The third forward pass computes the class activation maps.
        if fails == "attention" or (fails == "cam" and passes == 3):
            raise KeyError

    own = model.layer4.register_forward_hook(fail)
    before = state_of(model)
    if fails is None:
        attendet.explain(model, photographs[0], imgsz=64)
    else:
        with pytest.raises(KeyError):
            attendet.explain(model, photographs[0], imgsz=64)
    assert state_of(model) == before
    own.remove()


@pytest.mark.parametrize(
    ("where", "value"),
    [("conv1", torch.nan), ("conv1", torch.inf), ("layer3.attention.spatial", torch.nan), ("fc", torch.nan)],
)
def test_networks_that_are_not_finite_are_refused(where: str, value: float, tmp_path: Path) -> None:
    model = attended_resnet()
    with torch.no_grad():
        next(model.get_submodule(where).parameters()).fill_(value)
    before = state_of(model)
    with pytest.raises(WeightsError, match="are not finite; use weights from before training diverged"):
        attendet.explain(model, torch.rand(1, 3, 64, 64), out=tmp_path / "out")
    assert list(tmp_path.iterdir()) == []
    assert state_of(model) == before


class WithSideBranch(nn.Module):
    """A network whose last feature map does not contribute to the scores."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.side, self.fc = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 2, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.conv(x)
        self.side(features)
        return self.fc(features.mean((2, 3)))


def test_scores_that_do_not_depend_on_the_last_features_have_no_activation_map() -> None:
    model = WithSideBranch().train(False)
    attendet.attach(model, "se", "conv", reduction=2)
    before = state_of(model)
    (explanation,) = attendet.explain(model, torch.rand(1, 3, 16, 16), class_name=2)
    assert explanation.activation is None
    assert explanation.notes == ("No class activation map: class 2 does not depend on the features of side.",)
    assert state_of(model) == before


def test_inference_mode_of_the_caller_changes_nothing() -> None:
    model, images = attended_resnet(), torch.rand(1, 3, 64, 64)
    (expected,) = attendet.explain(model, images)
    with torch.inference_mode():
        (found,) = attendet.explain(model, images)
    assert found.activation is not None
    assert expected.activation is not None
    assert np.array_equal(found.activation.maps["LayerCAM"], expected.activation.maps["LayerCAM"])
