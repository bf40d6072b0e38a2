"""YAML files: model files, data.yaml, hyperparameters, studies, and searches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import yaml

from attendet.attention.catalog import attentions
from attendet.blocks.catalog import blocks
from attendet.models.bundled import bundled_text
from tests.fuzz.hostile_values import CALLABLES, TEXTS, integer, scalar
from tests.fuzz.mutations import mutate_bytes, mutate_value, sometimes
from tests.helpers.data_sets import write_image
from tests.helpers.small_training import ANCHOR_FREE_MODEL, MODEL

_SPECIALS = (
    "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
    "x: !!python/object/apply:os.system ['touch ran']\n",
    "x: !!python/name:os.system\n",
    "x: !!binary aGk=\n",
    "<<: {nc: 1}\n",
    "? [a, b]\n: c\n",
    "---\na: 1\n---\nb: 2\n",
    "%YAML 9.9\n---\n",
    'x: "\\U00110000"\n',
    'x: "\\xff\\e[31m"\n',
    "x: 1" + ":59" * 3000 + "\n",
    "x: " + "9" * 5000 + "\n",
    "x: " + "[" * 3000 + "\n",
    "x: " + "- " * 3000 + "\n",
    "x: 2001-99-99\n",
    "x: |\n  a\n" * 40,
    "\ufeff",
    "# \x85\u2028\n",
    "\t- a\n",
)
_HYPERPARAMETERS = {
    "lr0": 0.01,
    "lrf": 0.01,
    "momentum": 0.937,
    "weight_decay": 0.0005,
    "warmup_epochs": 3.0,
    "box": 0.05,
    "cls": 0.5,
    "anchor_t": 4.0,
    "anchors": 0,
    "hsv_h": 0.015,
    "degrees": 0.0,
    "mosaic": 1.0,
    "copy_paste": 0.1,
    "fl_gamma": 0.0,
}
_STUDY = {
    "name": "first",
    "model": "yolov5n",
    "data": "data.yaml",
    "recipe": {"schedule.epochs": 2, "schedule.imgsz": 64},
    "arms": {
        "baseline": None,
        "cbam": {"attention": "cbam@before:SPPF", "control": "conv"},
        "conv": {"attention": ["control-conv1x1:like=cbam@before:SPPF"], "recipe": {"optimizer.lr0": 0.002}},
        "larger": {"model": "yolov5s"},
    },
    "baseline": "baseline",
    "seeds": [0, 1],
    "metric": "map50_95",
    "last_epochs": 1,
    "fractions": [0.5, 1],
    "budget_hours": 12,
    "spread": 0.01,
}
_SEARCH = {
    "name": "first",
    "model": "yolov5n",
    "data": "data.yaml",
    "search": {"attention": ["cbam", "se:reduction=8"], "at": ["neck", "before:SPPF"]},
    "trials": 4,
    "last_epochs": 1,
    "recipe": {"schedule.epochs": 2},
}
_DATA = {
    "path": ".",
    "train": "images/train",
    "val": ["images/val", "val.txt"],
    "test": None,
    "nc": 2,
    "names": {"0": "cat", "1": "dog"},
    "download": "https://example.com/a.zip\nimport os; os.system('touch ran')",
    "format": "yolo",
}


def write_model_file(random: Random, folder: Path) -> Path:
    """Write a hostile model file."""
    small = random.choice((MODEL, ANCHOR_FREE_MODEL))
    text = small if sometimes(random, 0.9) else bundled_text(random.choice(("yolov5n_CBAM", "yolov8n", "yolo11n")))
    document = yaml.safe_load(text)
    for _ in range(random.choice((0, 1, 1, 3))):
        rows = document[random.choice(("backbone", "backbone", "head"))]
        rows.insert(random.randrange(len(rows) + 1), _row(random))
    return _write(random, folder / "model.yaml", document)


def write_data_file(random: Random, folder: Path) -> Path:
    """Write a hostile data.yaml next to a few images."""
    for split in ("train", "val"):
        write_image(folder / "images" / split / "a.png", (16, 12))
        (folder / "labels" / split).mkdir(parents=True)
        (folder / "labels" / split / "a.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (folder / "val.txt").write_text("images/val/a.png\n")
    return _write(random, folder / "data.yaml", _DATA)


def write_hyperparameters(random: Random, folder: Path) -> Path:
    """Write a hostile hyperparameter file of YOLOv5."""
    return _write(random, folder / "hyp.yaml", _HYPERPARAMETERS)


def write_study(random: Random, folder: Path) -> Path:
    """Write a hostile design of a study or a search."""
    design = random.choice((_STUDY, _STUDY, _SEARCH))
    return _write(random, folder / "study.yaml", design)


def _row(random: Random) -> list[Any]:
    """Return a row with a real or a hostile module and hostile arguments."""
    modules = (*blocks.names(), *attentions.names(), *CALLABLES[:10], "nn.Conv2d", "C3CBAM", random.choice(TEXTS)[:50])
    arguments = [random.choice((integer(random), 8, 16, 1, scalar(random))) for _ in range(random.randrange(5))]
    source = random.choice((-1, -1, -1, integer(random), [-1, integer(random)], scalar(random)))
    return [source, random.choice((1, 1, 3, integer(random))), random.choice(modules), arguments]


def _write(random: Random, path: Path, document: Any) -> Path:
    text = random.choice(_DUMPS)(mutate_value(random, document))
    if sometimes(random, 0.2):
        lines = text.splitlines(keepends=True)
        lines.insert(random.randrange(len(lines) + 1), random.choice(_SPECIALS))
        text = "".join(lines)
    content = text.encode("utf-8", "surrogatepass")
    path.write_bytes(mutate_bytes(random, content) if sometimes(random, 0.2) else content)
    return path


_DUMPS: tuple[Callable[[Any], str], ...] = (
    json.dumps,
    lambda value: yaml.safe_dump(value, sort_keys=False, allow_unicode=True),
    lambda value: yaml.safe_dump(value, sort_keys=False, default_flow_style=None),
)
