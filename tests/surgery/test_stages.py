"""The end of a stage, no matter how the next one begins, and the maps that a head takes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.resnet import Bottleneck, ResNet

from attendet.errors import OptionError
from attendet.surgery import attach
from tests.helpers.third_party_networks import equal, run

ACTIVATION = nn.SiLU()


def sites(model: nn.Module, at: str, side: int = 64) -> list[str]:
    """Return the paths of the sites; those at an input begin with `before:`."""
    model.train(False)
    example = torch.rand(1, 3, side, side)
    before = run(model, example)
    attachment = attach(model, "eca", at, example=example)
    assert equal(run(model, example), before)
    return [f"before:{site.path}" if site.side == "input" else site.path for site in attachment.sites]


def layer(inner: int, outer: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inner, outer, 3, stride, 1), nn.BatchNorm2d(outer), nn.ReLU())


def stage(inner: int, outer: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(layer(inner, outer, stride), layer(outer, outer))


@pytest.mark.parametrize(
    "first",
    [nn.Identity, nn.Dropout, lambda: nn.Sequential(nn.Identity(), nn.Dropout()), lambda: nn.BatchNorm2d(8), nn.ReLU],
)
@pytest.mark.parametrize("pools", [False, True])
def test_a_stage_that_begins_with_another_layer(first: Callable[[], nn.Module], pools: bool) -> None:
    halves = [nn.MaxPool2d(2), stage(8, 8, 1)] if pools else [stage(8, 8)]
    model = nn.Sequential(stage(3, 8), nn.Sequential(first(), *halves), nn.Sequential(first(), *halves))
    assert sites(model, "stage") == ["0", "1", "2"]


class SharedActivation(nn.Module):
    """A layer of a network with one activation module for all layers."""

    def __init__(self, inner: int, outer: int, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.bn, self.act = nn.Conv2d(inner, outer, 3, stride, 1), nn.BatchNorm2d(outer), ACTIVATION

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


def test_an_activation_that_all_layers_share() -> None:
    parts = [nn.Sequential(SharedActivation(a, b, 2), SharedActivation(b, b)) for a, b in ((3, 8), (8, 16), (16, 8))]
    assert sites(nn.Sequential(*parts), "stage") == ["0", "1", "2"]


class Functional(nn.Module):
    """Residual blocks whose sums and activations are functions of the network."""

    def __init__(self, *, pools: bool) -> None:
        super().__init__()
        self.stem, self.down = layer(3, 8, 2), layer(8, 8, 2)
        self.blocks = nn.ModuleList(nn.Sequential(layer(8, 8), nn.Conv2d(8, 8, 1)) for _ in range(4))
        self.pools, self.pool, self.fc = pools, nn.AdaptiveAvgPool2d(1), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for block in self.blocks[:2]:
            x = torch.relu(x + block(x))
        x = self.down(x)
        for block in self.blocks[2:]:
            x = torch.relu(x + block(x))
        return self.fc(self.pool(x).flatten(1) if self.pools else x.mean((2, 3)))


def test_a_stage_that_ends_with_a_function_ends_before_the_next_module() -> None:
    assert sites(Functional(pools=True), "stage") == ["before:down.0", "before:pool"]
    with pytest.raises(OptionError, match="the stage at stride 4 ends in the forward method of the network, not with"):
        sites(Functional(pools=False), "stage")


class WithLaterals(nn.Module):
    """A feature pyramid that computes its lateral layers along with the stages."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.three = stage(3, 8), stage(8, 8), stage(8, 8)
        self.lateral1, self.lateral2 = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)

    def forward(self, x: Tensor) -> list[Tensor]:
        one = self.one(x)
        laterals = [self.lateral1(one)]
        two = self.two(one)
        laterals.append(self.lateral2(two))
        return [*laterals, self.three(two)]


def test_layers_next_to_the_trunk_do_not_end_a_stage() -> None:
    assert sites(WithLaterals(), "stage") == ["one", "two", "three"]


# Each max pooling ends a stage of VGG (table 1 of arXiv:1409.1556), also after one convolution.
VGG11 = [2, 6, 13, 20, 27]


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (torchvision.models.vgg11_bn, [f"features.{row}" for row in VGG11]),
        (lambda: timm.create_model("poolformer_s12"), [f"stages.{number}" for number in range(4)]),
        (torchvision.models.squeezenet1_1, ["features.4", "features.7", "features.12"]),
    ],
)
def test_published_networks(make: Callable[[], nn.Module], expected: list[str]) -> None:
    assert sites(make(), "stage") == expected


@pytest.mark.parametrize(
    "dilated", [[False, False, False], [False, False, True], [False, True, True], [True, True, True]]
)
def test_a_dilated_stage_is_a_stage(dilated: list[bool]) -> None:
    model = ResNet(Bottleneck, [2, 2, 2, 2], replace_stride_with_dilation=dilated)
    assert sites(model, "stage") == ["layer1", "layer2", "layer3", "layer4"]


def test_dilated_blocks_of_one_width_are_one_stage() -> None:
    """As in ENet, whose blocks alternate between dilations."""
    dilated = [nn.Conv2d(8, 8, 3, padding=rate, dilation=rate) for rate in (2, 4, 2, 8)]
    assert sites(nn.Sequential(stage(3, 8), nn.Sequential(layer(8, 8, 2), *dilated)), "stage") == ["0", "1"]


def test_every_map_of_a_head() -> None:
    """SSDlite's six levels end with one pixel; two convolutions take each level (table 3 of arXiv:1801.04381)."""
    model = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3)
    attachment = attach(model, "eca", "head")
    levels = [f"module_list.{number}" for number in range(6)]
    expected = {f"head.{kind}_head.{level}.0.0" for kind in ("classification", "regression") for level in levels}
    assert {site.path for site in attachment.sites} == expected
    assert max(site.stride for site in attachment.sites) == 320


def test_both_heads_of_faster_rcnn() -> None:
    model = detection.fasterrcnn_mobilenet_v3_large_320_fpn(weights=None, weights_backbone=None, num_classes=3)
    attachment = attach(model, "eca", "head")
    assert [(site.path, site.side) for site in attachment.sites] == [
        ("rpn.head.conv.0.0", "input"),
        ("roi_heads.box_head", "input"),
    ]


def test_a_head_that_takes_only_pooled_features_has_no_maps() -> None:
    with pytest.raises(OptionError, match="head matches nothing in MobileNetV3"):
        sites(torchvision.models.mobilenet_v3_small(), "head")
