"""Measure a training step of yolov8n and yolo11n next to permissively licensed detectors without anchors.

    pip install --no-deps libreyolo==1.6.0
    python benchmarks/training_step_peers.py [--device cuda] [--rounds 9] [--out benchmarks/results/step-peers-cpu.md]

The peers are YOLOv9-t, YOLOX-nano, and YOLOX-tiny of LibreYOLO (MIT), which is not installed with attendet. A step is
forward, loss, backward, and AdamW on the same images and objects. In every round each contender runs once, in random
order. Each peer runs in both memory layouts.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from libreyolo.models.yolo9.nn import LibreYOLO9Model  # pyright: ignore[reportMissingImports] - installed separately
from libreyolo.models.yolox.nn import LibreYOLOXModel  # pyright: ignore[reportMissingImports]
from peers import LAYOUTS
from timing import measure, median_and_quartiles, setup
from torch import Tensor, nn
from training_loss import step_loss

import attendet
from attendet.models.detector import Detector

_NAMES = ("yolov8n", "yolo11n", "yolov8n_CBAM", "yolov5n")
_OBJECTS = 13
_HEADER = """\
# A training step without anchors

{setup}

Interleaved in one run; median (quartiles) over the rounds. A step is forward, loss, backward, and AdamW on {batch}
images of {size} pixels with {objects} objects each of {classes} classes. The peers are from LibreYOLO 1.6.0 (MIT).

| network | parameters | layout | step, ms | per million parameters, ms | relative to yolov8n |
|---|---|---|---|---|---|"""


def random_targets(batch: int, classes: int) -> Tensor:
    """Return objects with sides of a twentieth to a third of the image: image, class, x, y, w, h in 0-1, (T, 6)."""
    targets = torch.rand(_OBJECTS * batch, 6)
    targets[:, 0], targets[:, 1] = torch.arange(_OBJECTS * batch) // _OBJECTS, (targets[:, 1] * classes).floor()
    targets[:, 2:4], targets[:, 4:] = 0.25 + targets[:, 2:4] / 2, 0.05 + 0.28 * targets[:, 4:]
    return targets


def own_steps(images: Tensor, targets: Tensor, classes: int) -> dict[str, tuple[nn.Module, Callable[[], Tensor]]]:
    """Return the loss of a pass of each of our detectors, and the detector."""
    losses = {}
    for name in _NAMES:
        detector = attendet.build(name, num_classes=classes).to(images.device).to(memory_format=torch.channels_last)
        inputs = images.to(memory_format=torch.channels_last)
        losses[f"{name} | channels-last"] = (detector, partial(_own_loss, detector, inputs, targets))
    return losses


def _own_loss(detector: Detector, images: Tensor, targets: Tensor) -> Tensor:
    return step_loss(detector, detector(images), targets, images.shape[-1])


def peer_steps(images: Tensor, targets: Tensor, classes: int) -> dict[str, tuple[nn.Module, Callable[[], Tensor]]]:
    """Return the loss of a pass of each peer, and the peer."""
    side = images.shape[-1]
    boxes = targets[:, 1:].view(len(images), _OBJECTS, 5)
    center, half = boxes[..., 1:3], boxes[..., 3:] / 2
    corners = torch.cat([boxes[..., :1], center - half, center + half], dim=2)
    pixels = torch.cat([boxes[..., :1], boxes[..., 1:] * side], dim=2)
    makers: dict[str, tuple[Callable[[], Any], Tensor]] = {
        "YOLOv9-t": (lambda: LibreYOLO9Model("t", nb_classes=classes, img_size=side), corners),
        "YOLOX-nano": (lambda: LibreYOLOXModel("n", nb_classes=classes), pixels),
        "YOLOX-tiny": (lambda: LibreYOLOXModel("t", nb_classes=classes), pixels),
    }
    losses = {}
    for name, (make, objects) in makers.items():
        for layout, memory_format in LAYOUTS.items():
            model = make().to(images.device).to(memory_format=memory_format)
            inputs = images.to(memory_format=memory_format)
            losses[f"{name} | {layout}"] = (model, partial(_peer_loss, model, inputs, objects))
    return losses


def _peer_loss(model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
    return model(images, targets)["total_loss"]


def step(loss: Callable[[], Tensor], optimizer: torch.optim.Optimizer) -> None:
    """Run a training step."""
    value = loss()
    optimizer.zero_grad(set_to_none=True)
    value.backward()
    optimizer.step()


def table(losses: Mapping[str, tuple[nn.Module, Callable[[], Tensor]]], times: Mapping[str, list[float]]) -> list[str]:
    """Return one line per contender."""
    reference = times["yolov8n | channels-last"]
    lines = []
    for name, (model, _) in losses.items():
        parameters = sum(parameter.numel() for parameter in model.parameters())
        network, layout = name.split(" | ")
        ratios = [own / other for own, other in zip(times[name], reference, strict=True)]
        per_million = [value / parameters * 1e6 for value in times[name]]
        cells = [
            network,
            f"{parameters:,}",
            layout,
            median_and_quartiles(times[name], 1e3),
            median_and_quartiles(per_million, 1e3),
            median_and_quartiles(ratios),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--size", type=int, default=320, help="side of the images in pixels")
    parser.add_argument("--classes", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    images = torch.rand(options.batch, 3, options.size, options.size, device=device)
    targets = random_targets(options.batch, options.classes).to(device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        losses = own_steps(images, targets, options.classes) | peer_steps(images, targets, options.classes)
        steps = {
            name: partial(step, loss, torch.optim.AdamW(model.train().parameters(), lr=1e-5))
            for name, (model, loss) in losses.items()
        }
        times = measure(steps, options.rounds, device)
    header = _HEADER.format(
        setup=setup(device, options.rounds),
        batch=options.batch,
        size=options.size,
        objects=_OBJECTS,
        classes=options.classes,
    )
    report = "\n".join([header, *table(losses, times)]) + "\n"
    print(report)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
