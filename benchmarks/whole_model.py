"""What attention costs a whole network: training step and inference of yolov5s, plain torch beside fused operators.

    python benchmarks/whole_model.py [--device cuda] [--rounds 9] [--out benchmarks/results/whole-model-cpu.md]

Contenders are yolov5s as it is, the bundled yolov5s_CBAM-C3, and yolov5s with CBAM attached after every C3, the last
two with the reference and with the fused operators. In every round each runs once, in an order drawn anew; overheads
are taken within a round, over yolov5s as it is.
"""

from __future__ import annotations

import argparse
import copy
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import torch
from peers import computed_by
from timing import machine, measure, spread
from torch import Tensor
from training_loss import loss_of

import attendet
from attendet.attention.cbam.fused import Implementation
from attendet.models.detector import Detector

CLASSES = 80
IMPLEMENTATIONS: Mapping[str, Implementation] = {"plain torch": "reference", "fused": "fused"}
HEADER = """\
# What attention costs a whole network

{machine} Channels last, as training has it.

Interleaved in one run; median (quartiles) over the rounds. Overheads are per cent of the time of yolov5s as it is,
taken within a round. A step is forward, loss, backward and AdamW, on {batch} images of {step} pixels; inference is one
image of {inference} pixels, batch norms folded.

| network | step, ms | overhead, % | inference, ms | overhead, % |
|---|---|---|---|---|"""


def networks() -> dict[str, Detector]:
    """Return yolov5s, the yardstick, and the two recipes, each in two implementations with equal weights."""
    attached = attendet.build("yolov5s", num_classes=CLASSES)
    attendet.attach(attached, "cbam", at="after:C3", start="paper", variant="authors")
    recipes = {
        "yolov5s_CBAM-C3": attendet.build("yolov5s_CBAM-C3", num_classes=CLASSES),
        "CBAM after every C3": attached,
    }
    made = {"yolov5s": attendet.build("yolov5s", num_classes=CLASSES)}
    for recipe, network in recipes.items():
        for words, implementation in IMPLEMENTATIONS.items():
            made[f"{recipe}, {words}"] = twin = copy.deepcopy(network)
            computed_by(twin, implementation)
    return made


def steps(
    made: Mapping[str, Detector], batch: int, size: int, device: torch.device
) -> Mapping[str, Callable[[], object]]:
    """Return one training step of each on the same images; twins have to have equal losses at first."""
    images = torch.rand(batch, 3, size, size, device=device).to(memory_format=torch.channels_last)
    # Ten objects an image, of a tenth to a half of its sides.
    targets = torch.rand(10 * batch, 6, device=device)
    targets[:, 0], targets[:, 1] = torch.arange(10 * batch) // 10, (targets[:, 1] * CLASSES).floor()
    targets[:, 2:4], targets[:, 4:] = 0.25 + targets[:, 2:4] / 2, 0.1 + 0.4 * targets[:, 4:]
    works = {}
    for name, detector in made.items():
        trained = copy.deepcopy(detector).train()
        works[name] = partial(step, trained, torch.optim.AdamW(trained.parameters(), lr=1e-5), images, targets)
    losses = {name: work() for name, work in works.items()}
    agree(losses)
    return works


def step(detector: Detector, optimizer: torch.optim.Optimizer, images: Tensor, targets: Tensor) -> Tensor:
    """Take a step, and return its loss."""
    loss = loss_of(detector, detector(images), targets, images.shape[-1])
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.detach()


def inferences(made: Mapping[str, Detector], size: int, device: torch.device) -> Mapping[str, Callable[[], object]]:
    """Return the inference of one image by each; twins have to say the same."""
    image = torch.rand(1, 3, size, size, device=device).to(memory_format=torch.channels_last)
    folded = {name: attendet.fuse(detector, image) for name, detector in made.items()}
    works = {name: partial(infer, detector, image) for name, detector in folded.items()}
    agree({name: work()[0] for name, work in works.items()})
    return works


@torch.no_grad()
def infer(detector: Detector, image: Tensor) -> list[Tensor]:
    """Return raw maps."""
    return detector(image)


def agree(said: Mapping[str, Tensor]) -> None:
    """Leave unless both implementations say the same."""
    plain, fused = IMPLEMENTATIONS
    for name, value in said.items():
        if name.endswith(fused):
            torch.testing.assert_close(value, said[name.replace(fused, plain)], rtol=1e-3, atol=1e-3)


def table(columns: Sequence[Mapping[str, list[float]]]) -> list[str]:
    """Return a line for each network: for every piece of work its milliseconds, and its overhead in per cent."""
    lines = []
    for name in columns[0]:
        cells = []
        for times in columns:
            overheads = [own / plain - 1 for own, plain in zip(times[name], times["yolov5s"], strict=True)]
            cells += [spread(times[name], 1e3), "" if name == "yolov5s" else spread(overheads, 100)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--step-size", type=int, default=320, help="side of the training images in pixels")
    parser.add_argument("--size", type=int, default=640, help="side of the image of inference in pixels")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = {name: one.to(device).to(memory_format=torch.channels_last) for name, one in networks().items()}
        works = (steps(made, options.batch, options.step_size, device), inferences(made, options.size, device))
        columns = [measure(work, options.rounds, device) for work in works]
    about = HEADER.format(
        machine=machine(device, options.rounds, "float32"),
        batch=options.batch,
        step=options.step_size,
        inference=options.size,
    )
    report = "\n".join([about, *table(columns)]) + "\n"
    print(report)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(report, encoding="utf-8")


if __name__ == "__main__":
    main()
