"""Records that attendet wrote, and a stranger or a fault changed: run.json, results.csv, and records of studies."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.hostile_values import TEXTS, scalar
from tests.fuzz.mutations import mutate_bytes, mutate_value, sometimes

RUN: dict[str, Any] = {
    "command": ["train", "--data", "data.yaml"],
    "configuration": {"schedule": {"epochs": 2, "imgsz": 64}, "data": {"path": "data.yaml"}},
    "recipe": {"lr0": 0.01, "reasons": ["few images"]},
    "model": {"name": "yolov5n", "parameters": 10, "gflops": 0.5},
    "names": ["cat", "dog"],
    "data": {"train": {"images": 8, "objects": 16, "skipped": 0, "fingerprint": "0" * 32}},
    "versions": {"python": "3.12.0", "torch": "2.11.0"},
    "git": {"commit": "0" * 40, "changed": False},
    "device": "CPU",
    "computed_on": "cpu",
    "notes": ["a note"],
    "seconds": {"total": 3.5},
    "epochs": 2,
    "best_epoch": 1,
    "metrics": {"map50": 0.5},
    "finished": True,
    "initialization": {"model.0": "0" * 16},
    "order": "0" * 16,
}
_COLUMNS = ("epoch", "seconds", "loss", "map50", "map50_95")


def write_run(random: Random, folder: Path) -> Path:
    """Write the folder of a run whose run.json and results.csv are hostile."""
    (folder / "run.json").write_bytes(_changed(random, json.dumps(mutate_value(random, RUN))))
    rows = [[str(scalar(random) if sometimes(random, 0.1) else epoch) for _ in _COLUMNS] for epoch in (1, 2, 3)]
    if sometimes(random, 0.3):
        rows[1] = rows[1][: random.randrange(5)] + [random.choice(TEXTS)] * random.randrange(4)
    table = "\n".join(",".join(row) for row in ([*_COLUMNS], *rows))
    (folder / "results.csv").write_bytes(_changed(random, table))
    return folder


def _changed(random: Random, text: str) -> bytes:
    content = text.encode("utf-8", "surrogatepass")
    return mutate_bytes(random, content) if sometimes(random, 0.4) else content
