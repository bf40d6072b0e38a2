"""A small network and small images of colored rectangles, on which real training takes a second."""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet.training.config import TrainConfig, build_config
from attendet.training.run_folder import RunFolder
from attendet.training.runner import train


def skip_plots(patch: pytest.MonkeyPatch) -> None:
    """Let training write no plots."""
    for name in ("draw_data", "draw_results"):
        patch.setattr(f"attendet.training.runner.{name}", lambda *_: None)


COLORS = {"red": (255, 0, 0), "blue": (0, 0, 255)}


MODEL = """
nc: 2
depth_multiple: 1.0
width_multiple: 1.0
anchors:
  - [10,13, 16,30, 33,23]
  - [30,61, 62,45, 59,119]
  - [116,90, 156,198, 373,326]
backbone:
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [8, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
  - [-1, 1, Conv, [16, 3, 2]]
head:
  - [[2, 3, 4], 1, Detect, [nc, anchors]]
"""


# With the head of YOLOv8.
ANCHOR_FREE_MODEL = MODEL.replace(MODEL[MODEL.index("anchors:") : MODEL.index("backbone:")], "").replace(
    "[nc, anchors]", "[nc]"
)
# The parts of the loss of each model.
LOSS_PARTS = {MODEL: ("box", "obj", "cls"), ANCHOR_FREE_MODEL: ("box", "cls", "dfl")}


# With CBAM behind the last convolution.
MODEL_WITH_CBAM = MODEL.replace("head:", "  - [-1, 1, CBAM, [16]]\nhead:").replace("[2, 3, 4]", "[2, 3, 5]")


class RecordingReporter:
    """Records messages, steps, and rows of results."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.rows: list[Mapping[str, float]] = []
        self.scans: list[tuple[str, int, int]] = []
        self.steps: list[tuple[int, dict[str, float]]] = []

    def log(self, text: str) -> None:
        self.messages.append(text)

    def on_data_progress(self, task: str, done: int, total: int) -> None:
        self.scans.append((task, done, total))

    def on_epoch_start(self, epoch: int, epochs: int, batches: int) -> None:
        pass

    def on_batch_end(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:  # noqa: ARG002
        self.steps.append((batch, dict(losses)))

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        self.rows.append(row)


class Interrupted(Exception):  # noqa: N818
    """Raised by a reporter to end a run."""


class InterruptingReporter(RecordingReporter):
    """Ends a run after the given epoch."""

    def __init__(self, epoch: int = 1) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, row: Mapping[str, float], *, is_best: bool) -> None:  # noqa: ARG002
        if row["epoch"] == self.epoch:
            raise Interrupted


def rows_of(folder: RunFolder) -> list[dict[str, str]]:
    """Return the rows of results.csv as text, without the seconds, which differ between runs."""
    with folder.results.open(newline="") as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def write_set(root: Path, train: int = 8, val: int = 4, size: tuple[int, int] = (64, 64), seed: int = 0) -> Path:
    """Write a YOLO data set with a red and a blue rectangle in every image, and return its data file."""
    generator = np.random.default_rng(seed)
    for split, count in (("train", train), ("val", val)):
        (root / split / "images").mkdir(parents=True)
        (root / split / "labels").mkdir()
        for number in range(count):
            image = generator.integers(90, 140, (size[1], size[0], 3), dtype=np.uint8)
            lines = []
            for category, color in enumerate(COLORS.values()):
                w, h = generator.integers(12, 24, 2)
                x, y = generator.integers(0, size[0] - w), generator.integers(0, size[1] - h)
                image[y : y + h, x : x + w] = color
                shares = ((x + w / 2) / size[0], (y + h / 2) / size[1], w / size[0], h / size[1])
                lines.append(" ".join(map(str, (category, *shares))))
            Image.fromarray(image).save(root / split / "images" / f"{number}.png")
            (root / split / "labels" / f"{number}.txt").write_text("\n".join(lines))
    file = root / "data.yaml"
    file.write_text(f"train: train/images\nval: val/images\nnames: [{', '.join(COLORS)}]\n")
    return file


def train_to_find(folder: Path, model: str = MODEL, images: int = 8, epochs: int = 40) -> RunFolder:
    """Train with all plots on images of 96x64 pixels, which are scaled to 64, until the detector finds objects."""
    (folder / "small.yaml").write_text(model)
    still = {f"augment__{name}": 0 for name in ("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v")}
    config = small(
        write_set(folder / "wide", train=images, val=5, size=(96, 64)),
        folder / "small.yaml",
        folder / "runs",
        schedule__epochs=epochs,
        optimizer__name="AdamW",
        optimizer__lr0=0.01,
        validation__every_epoch=False,
        **still,
    )
    return train(config, RecordingReporter())[0]


def small(data: Path, model: Path, project: Path, **settings: object) -> TrainConfig:
    """Return a configuration of two epochs at 64 pixels; further settings have `__` in place of the dot."""
    values = {
        "data.path": str(data),
        "model.cfg": str(model),
        "schedule.imgsz": 64,
        "schedule.epochs": 2,
        "schedule.batch_size": 4,
        "data.workers": 0,
        "hardware.device": "cpu",
        "output.project": str(project),
    }
    values |= {key.replace("__", "."): value for key, value in settings.items()}
    return build_config({key: value for key, value in values.items() if value is not None})
