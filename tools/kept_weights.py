"""Measure the effect of inserting CBAM into a trained detector, with all weights kept and with weights loaded by name.

    python tools/kept_weights.py WEIGHTS --data data.yaml --epochs 5 --out runs/kept

The same trained detector gets the same CBAM before SPPF twice: once attached, and once as a row in the model file,
after which every tensor is loaded whose name and shape agree, as tutorials do it. Both detectors are validated before
the first step and after every epoch of training. The table for docs/weights.md is printed.
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
from attendet.weights.io import opening, save_weights
from attendet.weights.io.model_card import ModelCard

# File, description, and learning rate of each run. A detector that lost its weights may need the higher rate for random
# weights, so it is trained with both.
RUNS = (
    ("attached", "CBAM attached", 0.0004),
    ("inserted", "row inserted, loaded by name and shape", 0.0004),
    ("inserted", "the same, with the learning rate for random weights", 0.004),
)


def main() -> None:
    """Create both detectors, validate them, train them, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path, help="weights of a bundled model, written by `attendet train`")
    parser.add_argument("--data", required=True)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("runs/kept"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)

    opened = opening.open(options.weights)
    base, card = opened.detector, opened.card
    attached = opening.open(options.weights).detector
    attendet.attach(attached, "cbam", "before:SPPF")
    save_weights(attached, options.out / "attached.safetensors", card)
    row = f"{card.model}_CBAM"
    inserted = attendet.build(row, num_classes=len(card.names))
    load_by_name(inserted, base)
    text = bundled_text(row)
    save_weights(inserted, options.out / "inserted.safetensors", ModelCard(row, text, "auto", card.names, card.imgsz))

    print("| | before | " + " | ".join(f"epoch {n + 1}" for n in range(options.epochs)) + " |")
    print("|---|---|" + "---|" * options.epochs)
    print(table_row("the trained detector", validated(base, options.data, card.imgsz), []))
    for name, description, rate in RUNS:
        weights = options.out / f"{name}.safetensors"
        before = validated(opening.open(weights).detector, options.data, card.imgsz)
        print(table_row(description, before, trained(weights, options, card.imgsz, rate)), flush=True)


def load_by_name(model: Detector, source: Detector) -> None:
    """Load every tensor whose key and shape agree, as tutorials do it."""
    own, state = model.state_dict(), source.state_dict()
    model.load_state_dict(
        {key: state[key] for key in own if key in state and state[key].shape == own[key].shape}, strict=False
    )


def validated(detector: Detector, data: str, imgsz: int) -> tuple[float, float]:
    """Return mAP50 and mAP50-95 on the validation images."""
    split = drop_invalid(data_source.open(data).read("val"))
    metrics = validate(detector, split, imgsz, ValidationConfig()).metrics
    return metrics.map50, metrics.map50_95


def trained(weights: Path, options: argparse.Namespace, imgsz: int, rate: float) -> list[tuple[float, float]]:
    """Train from weights with a learning rate, and return mAP50 and mAP50-95 after every epoch."""
    command = [sys.executable, "-m", "attendet", "train", "--weights", str(weights), "--data", options.data]
    settings = ["--imgsz", str(imgsz), "--epochs", str(options.epochs), "--device", "cpu", "--seed", "0", "--exist-ok"]
    settings += ["--set", f"optimizer.lr0={rate}"]
    subprocess.run([*command, *settings, "--project", str(options.out), "--name", weights.stem], check=True)  # noqa: S603
    rows = read_results(RunFolder(options.out / weights.stem).results)
    return [(row["metrics/mAP_0.5"], row["metrics/mAP_0.5:0.95"]) for row in rows]


def table_row(name: str, before: tuple[float, float], epochs: list[tuple[float, float]]) -> str:
    """Return a row of the table as Markdown."""
    cells = [name, *(f"{map50:.3f}, {map95:.3f}" for map50, map95 in (before, *epochs))]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
