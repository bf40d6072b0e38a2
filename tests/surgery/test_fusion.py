"""Batch norms folded into convolutions: equal outputs, attention kept, and layers that cannot be folded left alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import attendet
from attendet.blocks.conv_bn_fusion import fuse_conv_bn as fold
from attendet.surgery import attach, attached, fuse
from tests.helpers.module_snapshot import ModuleSnapshot, hooks
from tests.helpers.small_networks import images
from tests.helpers.third_party_networks import randomize, run, vary_norms
from tests.helpers.typed_access import not_none


def assert_close(actual: object, expected: object) -> None:
    # Folding changes the order of multiplications, and with it the rounding.
    torch.testing.assert_close(actual, expected, rtol=1e-3, atol=1e-4)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def resnet() -> nn.Module:
    return torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])


def mobilenet() -> nn.Module:
    return torchvision.models.mobilenet_v3_small()


def detector() -> nn.Module:
    return attendet.build("yolov5n", num_classes=3)


@pytest.mark.filterwarnings("ignore:after.BatchNorm2d matches 34 places")
@pytest.mark.parametrize(
    ("make", "at"),
    [
        (resnet, nn.BatchNorm2d),
        (resnet, nn.Conv2d),
        (mobilenet, nn.BatchNorm2d),
        (mobilenet, "residual-branch"),
        (detector, "residual-branch"),
    ],
)
def test_parity_with_attention_at_norms_at_convolutions_and_in_branches(
    make: Callable[[], nn.Module], at: type[nn.Module] | str
) -> None:
    model = make().train(False)
    vary_norms(model)
    x = torch.rand(2, 3, 64, 64)
    attachment = attach(model, "eca", at, start="paper", example=x)
    randomize(model)
    snapshot, expected, norms_before = ModuleSnapshot(model), run(model, x), norms(model)
    fused = fuse(model, x)
    assert_close(run(fused, x), expected)
    assert snapshot.matches(model)
    assert attached(fused)[0].sites == attachment.sites
    attention = [key for key in model.state_dict() if ".attention" in key]
    assert [key for key in fused.state_dict() if ".attention" in key] == attention
    # Attention between a convolution and its norm needs the map between them.
    assert norms(fused) == (norms_before if at is nn.Conv2d else 0)
    attached(fused)[0].detach()
    assert not hooks(fused)


@pytest.mark.filterwarnings("ignore:before.backbone.BatchNorm2d matches 33 places")
@pytest.mark.parametrize("at", ["inside:C3.cv3.bn", "inside:C3.cv3.conv", "before:backbone.BatchNorm2d"])
def test_folding_of_the_detectors_own_blocks(at: type[nn.Module] | str) -> None:
    model = detector().train(False)
    vary_norms(model)
    x = torch.rand(2, 3, 64, 64)
    attach(model, "eca", at, start="paper", example=x)
    randomize(model)
    expected = run(model, x)
    assert_close(run(fold(model), x), expected)
    assert_close(run(fuse(model, x), x), expected)


def test_the_comparison_detects_wrong_places() -> None:
    """Attention at a norm differs from attention at its convolution, so the tests above can fail."""
    model = resnet().train(False)
    vary_norms(model)
    x = torch.rand(2, 3, 64, 64)
    attachment = attach(model, "eca", nn.BatchNorm2d, start="paper")
    randomize(model)
    expected = run(model, x)
    attachment.detach()
    with pytest.raises(AssertionError):
        assert_close(run(model, x), expected)


class Read(nn.Module):
    """A convolution whose map is used by its norm and by another module."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.norm, self.how = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), how

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        features = self.conv(x)
        normed = self.norm(features)
        if self.how == "pooled":
            return normed.mean((2, 3)) + features.mean((2, 3))
        if self.how == "returned":
            return normed, features
        if self.how == "twice":
            return normed + self.norm(self.conv(x))
        return normed + features


@pytest.mark.parametrize("how", ["added", "pooled", "returned", "twice"])
def test_a_norm_of_a_map_that_is_read_twice_is_not_folded(how: str) -> None:
    model = Read(how).train(False)
    vary_norms(model)
    fused = fuse(model)
    assert norms(fused) == 1
    torch.testing.assert_close(run(fused, images()), run(model, images()))


class Standardized(nn.Conv2d):
    """Standardizes its weights in every pass (Qiao et al., arXiv:1903.10520)."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.std((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(input, weight, self.bias, self.stride, self.padding)


class Acting(nn.BatchNorm2d):
    """Does more than normalize."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002
        return torch.relu(super().forward(input))


def special() -> list[nn.Sequential]:
    hooked = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
    hooked[0].register_forward_hook(lambda *arguments: arguments[2].square())
    return [
        nn.Sequential(Standardized(3, 8, 3), nn.BatchNorm2d(8)),
        nn.Sequential(nn.Conv2d(3, 8, 3), Acting(8)),
        nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), nn.BatchNorm2d(8)),
        nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 8, 3)),
        hooked,
    ]


@pytest.mark.parametrize("model", special(), ids=["standardized", "acting", "weight-norm", "norm-first", "hooked"])
def test_special_layers_are_left_alone(model: nn.Module) -> None:
    model.train(False)
    vary_norms(model)
    fused = fuse(model)
    assert norms(fused) == 1
    torch.testing.assert_close(run(fused, images()), run(model, images()))


def test_norms_without_statistics_are_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False)).train(False)
    fused = fuse(model)
    assert norms(fused) == 1
    torch.testing.assert_close(run(fused, images()), run(model, images()))


@pytest.mark.parametrize("norm", [lambda: nn.BatchNorm2d(8, affine=False), lambda: nn.BatchNorm2d(8, eps=0.1)])
@pytest.mark.parametrize("groups", [1, 4])
def test_plain_layers_are_folded(norm: Callable[[], nn.BatchNorm2d], groups: int) -> None:
    folded = norm()
    not_none(folded.running_mean).uniform_(-1, 1)
    not_none(folded.running_var).uniform_(0.5, 2)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3, groups=groups, bias=False), folded).train(False)
    fused = fuse(model)
    assert norms(fused) == 0
    torch.testing.assert_close(run(fused, images()), run(model, images()))
