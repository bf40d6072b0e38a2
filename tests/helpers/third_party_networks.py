"""Small networks of torchvision and timm, and functions to run and compare them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models import get_model
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation import deeplabv3_mobilenet_v3_large
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

import attendet
from attendet.attention.base import Attention


@dataclass(frozen=True)
class Network:
    """A network of torchvision or timm with random weights.

    Attributes:
        make: Builds the network.
        branches: Number of residual branches, counted by hand from the lists of blocks.
        stages: The last module of each stage.
        least: Channels of the narrowest residual branch.
        detects: True if the network takes a list of images.
    """

    make: Callable[[], nn.Module]
    branches: int
    stages: tuple[str, ...]
    least: int
    detects: bool = False

    def example(self) -> tuple[Any, ...]:
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
        return (list(images),) if self.detects else (images,)


def layers(prefix: str = "", count: int = 4) -> tuple[str, ...]:
    return tuple(f"{prefix}layer{number}" for number in range(1, count + 1))


def pyramid() -> nn.Module:
    return resnet_fpn_backbone(
        backbone_name="resnet18",
        weights=None,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        extra_blocks=LastLevelP6P7(256, 256),
    )


# RetinaNet's default anchors need five levels; a score threshold of 0 keeps the boxes of a random network.
LITTLE = {"min_size": 64, "max_size": 64, "score_thresh": 0.0, "topk_candidates": 20}
BODY = "backbone.body."

NETWORKS: Mapping[str, Network] = {
    # Two BasicBlocks in each of four stages.
    "resnet18": Network(lambda: get_model("resnet18", weights=None), 2 + 2 + 2 + 2, layers(), 64),
    "resnext": Network(
        lambda: torchvision.models.ResNet(Bottleneck, [1, 2, 1, 1], groups=32, width_per_group=4),
        1 + 2 + 1 + 1,
        layers(),
        256,
    ),
    # Blocks of stride 1 and equal widths: table 2 of the paper (arXiv:1905.02244).
    "mobilenet_v3_small": Network(
        lambda: get_model("mobilenet_v3_small", weights=None),
        0 + 1 + 2 + 1 + 2,
        ("features.1", "features.3", "features.8", "features.12"),
        24,
    ),
    # Repeats 1, 2, 2, 3, 3, 4, 1; the first of each changes width or stride.
    "efficientnet_b0": Network(
        lambda: get_model("efficientnet_b0", weights=None),
        0 + 1 + 1 + 2 + 2 + 3 + 0,
        ("features.1", "features.2", "features.3", "features.5", "features.8"),
        24,
    ),
    "convnext": Network(
        lambda: torchvision.models.ConvNeXt(
            [
                torchvision.models.convnext.CNBlockConfig(16, 32, 2),
                torchvision.models.convnext.CNBlockConfig(32, 64, 1),
                torchvision.models.convnext.CNBlockConfig(64, None, 3),
            ]
        ),
        2 + 1 + 3,
        ("features.1", "features.3", "features.5"),
        16,
    ),
    # Depths 1, 3, 6, 6; every block adds its input or a projection of it.
    "regnet_y_400mf": Network(
        lambda: get_model("regnet_y_400mf", weights=None),
        1 + 3 + 6 + 6,
        tuple(f"trunk_output.block{number}" for number in range(1, 5)),
        48,
    ),
    "fcos": Network(lambda: FCOS(pyramid(), 3, **LITTLE), 2 + 2 + 2 + 2, layers(BODY), 64, detects=True),
    "retinanet": Network(lambda: RetinaNet(pyramid(), 3, **LITTLE), 2 + 2 + 2 + 2, layers(BODY), 64, detects=True),
    # The last stage of its backbone dilates its convolutions instead of striding.
    "deeplab": Network(
        lambda: deeplabv3_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=3),
        1 + 1 + 2 + 3 + 1 + 2,
        ("backbone.1", "backbone.3", "backbone.6", "backbone.12", "backbone.16"),
        16,
    ),
    # One block per stage; timm counts the three convolutions of the deep stem as a stage, too.
    "timm-resnet10t": Network(lambda: timm.create_model("resnet10t"), 1 + 1 + 1 + 1, ("act1", *layers()), 64),
    "timm-seresnet18": Network(lambda: timm.create_model("seresnet18"), 2 + 2 + 2 + 2, layers(), 64),
    "timm-convnext_atto": Network(
        lambda: timm.create_model("convnext_atto"), 2 + 2 + 6 + 2, tuple(f"stages.{number}" for number in range(4)), 40
    ),
    # Its stages run all their children, so attention cannot be added to a stage: the last block of each is used.
    "timm-regnetx_002": Network(
        lambda: timm.create_model("regnetx_002"), 1 + 1 + 4 + 7, ("s1.b1", "s2.b1", "s3.b4", "s4.b7"), 24
    ),
    # Trees of 2, 4, 4 and 2 blocks (figure 3 of arXiv:1707.06484); the first of each pair is passed its shortcut.
    "timm-dla34": Network(
        lambda: timm.create_model("dla34"), 2 + 4 + 4 + 2, ("level0", "level2", "level3", "level4", "level5"), 64
    ),
}


def tensors(value: Any) -> list[Tensor]:
    """Return the tensors of an output, in order."""
    if isinstance(value, Tensor):
        return [value]
    items = value.values() if isinstance(value, Mapping) else value
    return [tensor for item in items for tensor in tensors(item)]


def equal(actual: Any, expected: Any) -> bool:
    """Return whether two outputs are bit-identical."""
    left, right = tensors(actual), tensors(expected)
    return len(left) == len(right) > 0 and all(
        torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(left, right, strict=True)
    )


def run(model: nn.Module, *arguments: Any) -> Any:
    """Run a network without gradients."""
    with torch.no_grad():
        return model(*arguments)


def randomize(model: nn.Module) -> None:
    """Give every attention module random weights, unlike any initialization."""
    generator = torch.Generator().manual_seed(7)
    for module in model.modules():
        if isinstance(module, Attention):
            for parameter in module.parameters():
                parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.5)


def vary_norms(model: nn.Module) -> None:
    """Give batch norms random statistics and weights, so that folding them changes the convolution."""
    generator = torch.Generator().manual_seed(8)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for values, least in ((module.running_mean, -0.2), (module.running_var, 0.6), (module.weight, 0.7)):
                assert values is not None
                values.data.copy_(torch.rand(values.shape, generator=generator) * 0.6 + least)


def attended_resnet() -> ResNet:
    """Return a ResNet-18 of seven classes with CBAM after its last two stages."""
    model = torchvision.models.resnet18(num_classes=7).train(False)
    attendet.attach(model, "cbam", "stage:3-4", start="paper")
    return model
