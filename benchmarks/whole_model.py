"""Measure the cost of attention in a whole network: training step and inference of yolov5s with CBAM.

    python benchmarks/whole_model.py [--device cuda] [--rounds 9] [--out benchmarks/results/whole-model-cpu.md]

Contenders are unmodified yolov5s, the bundled yolov5s_CBAM-C3, and yolov5s with CBAM attached after every C3, the last
two with the reference and with the fused operators. In every round each contender runs once, in random order. Overheads
relative to yolov5s are taken within a round.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from peers import use_implementation
from timing import measure, median_and_quartiles, setup
from torch import Tensor
from training_loss import step_loss

import attendet
from attendet.attention.cbam.fused import Implementation
from attendet.models.detector import Detector

_NUM_CLASSES = 80
_IMPLEMENTATIONS: Mapping[str, Implementation] = {"plain torch": "reference", "fused": "fused"}
_HEADER = """\
# The cost of attention in a whole network

{setup} Channels last, as in training.

Interleaved in one run; median (quartiles) over the rounds. Overheads are percentages of the time of unmodified yolov5s,
taken within a round. A step is forward, loss, backward, and AdamW on {batch} images of {step} pixels. Inference is one
image of {inference} pixels with fused batch norms.

| network | step, ms | overhead, % | inference, ms | overhead, % |
|---|---|---|---|---|"""


def networks() -> dict[str, Detector]:
    """Return yolov5s, and two networks with CBAM in two implementations with equal weights."""
    attached = attendet.build("yolov5s", num_classes=_NUM_CLASSES)
    attendet.attach(attached, "cbam", at="after:C3", start="paper", variant="authors")
    with_cbam = {
        "yolov5s_CBAM-C3": attendet.build("yolov5s_CBAM-C3", num_classes=_NUM_CLASSES),
        "CBAM after every C3": attached,
    }
    detectors = {"yolov5s": attendet.build("yolov5s", num_classes=_NUM_CLASSES)}
    for name, network in with_cbam.items():
        for label, implementation in _IMPLEMENTATIONS.items():
            detectors[f"{name}, {label}"] = duplicate = copy.deepcopy(network)
            use_implementation(duplicate, implementation)
    return detectors


def steps(
    detectors: Mapping[str, Detector], batch: int, imgsz: int, device: torch.device
) -> Mapping[str, Callable[[], object]]:
    """Return one training step of each detector on the same images; the initial losses of the copies must be equal."""
    images = torch.rand(batch, 3, imgsz, imgsz, device=device).to(memory_format=torch.channels_last)
    # Ten objects per image, with sides of a tenth to a half of the image.
    targets = torch.rand(10 * batch, 6, device=device)
    targets[:, 0], targets[:, 1] = torch.arange(10 * batch) // 10, (targets[:, 1] * _NUM_CLASSES).floor()
    targets[:, 2:4], targets[:, 4:] = 0.25 + targets[:, 2:4] / 2, 0.1 + 0.4 * targets[:, 4:]
    functions = {}
    for name, detector in detectors.items():
        trained = copy.deepcopy(detector).train()
        functions[name] = partial(step, trained, torch.optim.AdamW(trained.parameters(), lr=1e-5), images, targets)
    losses = {name: function() for name, function in functions.items()}
    require_agreement(losses)
    return functions


def step(detector: Detector, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor) -> Tensor:
    """Run a training step and return its loss."""
    loss = step_loss(detector, detector(images), targets, images.shape[-1])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def inferences(
    detectors: Mapping[str, Detector], imgsz: int, device: torch.device
) -> Mapping[str, Callable[[], object]]:
    """Return the inference of one image by each detector; the outputs of the copies must be equal."""
    image = torch.rand(1, 3, imgsz, imgsz, device=device).to(memory_format=torch.channels_last)
    fused = {name: attendet.fuse(detector, image) for name, detector in detectors.items()}
    functions = {name: partial(infer, detector, image) for name, detector in fused.items()}
    require_agreement({name: function()[0] for name, function in functions.items()})
    return functions


@torch.no_grad()
def infer(detector: Detector, image: Tensor) -> list[Tensor]:
    """Return the raw maps of an image."""
    return detector(image)


def require_agreement(outputs: Mapping[str, Tensor]) -> None:
    """Raise an error unless both implementations return the same values."""
    plain, fused = _IMPLEMENTATIONS
    for name, value in outputs.items():
        if name.endswith(fused):
            torch.testing.assert_close(value, outputs[name.replace(fused, plain)], rtol=1e-3, atol=1e-3)


def table(columns: Sequence[Mapping[str, list[float]]]) -> list[str]:
    """Return one line per network with the milliseconds and the overhead in percent of every function."""
    lines = []
    for name in columns[0]:
        cells = []
        for times in columns:
            overheads = [own / plain - 1 for own, plain in zip(times[name], times["yolov5s"], strict=True)]
            cells += [
                median_and_quartiles(times[name], 1e3),
                "" if name == "yolov5s" else median_and_quartiles(overheads, 100),
            ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--step-size", type=int, default=320, help="side of the training images in pixels")
    parser.add_argument("--size", type=int, default=640, help="side of the image for inference in pixels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detectors = {
            name: detector.to(device).to(memory_format=torch.channels_last) for name, detector in networks().items()
        }
        groups = (
            steps(detectors, options.batch, options.step_size, device),
            inferences(detectors, options.size, device),
        )
        columns = [measure(functions, options.rounds, device) for functions in groups]
    header = _HEADER.format(
        setup=setup(device, options.rounds, "float32"),
        batch=options.batch,
        step=options.step_size,
        inference=options.size,
    )
    report = "\n".join([header, *table(columns)]) + "\n"
    print(report)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
