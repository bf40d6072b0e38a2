"""What inserting attention does to a trained detector: weights kept, and weights matched by name and shape.

    python tools/kept_weights.py WEIGHTS --data data.yaml --epochs 5 --out runs/kept

The same trained detector is given the same CBAM before SPPF, once attached, and once as tutorials do it: a row in the
model file, after which tensors are loaded wherever name and shape happen to agree. Both are measured before the first
step, and both are trained. The table is printed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import torch

import attendet
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.validation import validate
from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector
from attendet.training.run_folder import RunFolder, read_results
from attendet.weights.io import open_detector, save_weights
from attendet.weights.io.card import Card

# What is as good as untrained may rather want the rate of a fresh start, and is given both.
ARMS = (
    ("attached", "CBAM attached", 0.0004),
    ("inserted", "a row inserted, matched by name and shape", 0.0004),
    ("inserted", "the same, at the learning rate of a fresh start", 0.004),
)


def main() -> None:
    """Make both, measure both, train both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="of a bundled model, as `attendet train` wrote them")
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/kept"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    base, card = open_detector(options.weights)
    attached, _ = open_detector(options.weights)
    attendet.attach(attached, "cbam", "before:SPPF")
    save_weights(attached, options.out / "attached.safetensors", card)
    row = f"{card.model}_CBAM"
    inserted = attendet.build(row, num_classes=len(card.names))
    by_name(inserted, base)
    text = bundled_text(row)
    save_weights(inserted, options.out / "inserted.safetensors", Card(row, text, "auto", card.names, card.imgsz))

    print(
        "| | mAP50 before training | mAP50-95 | " + " | ".join(f"epoch {n + 1}" for n in range(options.epochs)) + " |"
    )
    print("|---|---|---|" + "---|" * options.epochs)
    print(line("the trained detector", measured(base, options.data, card.imgsz), []))
    for name, told, rate in ARMS:
        weights = options.out / f"{name}.safetensors"
        detector, _ = open_detector(weights)
        before = measured(detector, options.data, card.imgsz)
        print(line(told, before, trained(weights, options, card.imgsz, rate)), flush=True)


def by_name(model: Detector, source: Detector) -> None:
    """Load a state dict as tutorials have it: every tensor whose key and shape agree."""
    own, state = model.state_dict(), source.state_dict()
    model.load_state_dict(
        {key: state[key] for key in own if key in state and state[key].shape == own[key].shape}, strict=False
    )


def measured(detector: Detector, data: str, size: int) -> tuple[float, float]:
    """Return mAP50 and mAP50-95 on the validation images."""
    split = drop_invalid(data_source.open(data).read("val"))
    metrics = validate(detector, split, size, ValidationConfig()).metrics
    return metrics.map50, metrics.map50_95


def trained(weights: Path, options: argparse.Namespace, size: int, rate: float) -> list[tuple[float, float]]:
    """Return mAP50 and mAP50-95 after every epoch of training from weights."""
    command = [sys.executable, "-m", "attendet", "train", "--weights", str(weights), "--data", options.data]
    settings = ["--imgsz", str(size), "--epochs", str(options.epochs), "--device", "cpu", "--seed", "0", "--exist-ok"]
    settings += ["--set", f"optimizer.lr0={rate}"]
    subprocess.run([*command, *settings, "--project", str(options.out), "--name", weights.stem], check=True)  # noqa: S603
    rows = read_results(RunFolder(options.out / weights.stem).results)
    return [(row["metrics/mAP_0.5"], row["metrics/mAP_0.5:0.95"]) for row in rows]


def line(name: str, before: tuple[float, float], epochs: list[tuple[float, float]]) -> str:
    """Return a row of the table."""
    cells = [name, *(f"{map50:.3f}, {map95:.3f}" for map50, map95 in (before, *epochs))]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
