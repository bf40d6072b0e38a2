"""Metrics, epochs, records, and images to plot, and texts of a figure."""

from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from attendet.data.records import ImageRecord, ImageRecords
from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation, Metrics

# Names that matplotlib would take for a formula, hide from legends, or have no letters for.
HOSTILE = ["$x_", "_hidden", "клетка", "two\nlines", "a$b$c", "a very long name of a rare class of things"]


def truth(*objects: tuple[float, float, float, float, int]) -> GroundTruth:
    rows = torch.tensor(objects).reshape(-1, 5)
    return GroundTruth(rows[:, :4], rows[:, 4].long(), torch.zeros(len(rows), dtype=torch.bool))


def names(classes: int) -> list[str]:
    return [*HOSTILE, *(f"class {number}" for number in range(classes))][:classes]


def metrics_of(classes: int, seed: int = 0) -> Metrics:
    """Measure detections that are worse for higher classes; the last of several classes has no objects."""
    generator = np.random.default_rng(seed)
    evaluation = Evaluation(names(classes))
    for _ in range(40):
        kinds = generator.integers(0, max(classes - 1, 1), 8)
        corners = generator.uniform(0, 500, (8, 2))
        boxes = np.concatenate([corners, corners + generator.uniform(20, 120, (8, 2))], axis=1)
        found = boxes + generator.normal(0, 1 + 12 * kinds[:, None] / classes, boxes.shape)
        rows = np.column_stack([found, generator.uniform(0, 1, 8), kinds])
        what = GroundTruth(torch.tensor(boxes), torch.tensor(kinds), torch.zeros(8, dtype=torch.bool))
        evaluation.update([torch.tensor(rows)], [what])
    return evaluation.compute()


def epochs(count: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            **{f"{split}/{part}_loss": 1 / (1 + epoch) for split in ("train", "val") for part in ("box", "obj", "cls")},
            **{f"metrics/{name}": epoch / (1 + epoch) for name in ("precision", "recall", "mAP_0.5", "mAP_0.5:0.95")},
            **{f"x/lr{group}": 0.01 for group in range(3)},
        }
        for epoch in range(count)
    ]


def records(classes: int) -> ImageRecords:
    generator = np.random.default_rng(0)
    corners = generator.uniform(0, 300, (60, 2))
    boxes = np.concatenate([corners, corners + generator.uniform(0, 200, (60, 2))], axis=1)
    kinds = np.arange(60) % classes
    return ImageRecords(
        ImageRecord(Path("a.jpg"), 640, 480, boxes[part : part + 6], kinds[part : part + 6], np.zeros(6, np.bool_))
        for part in range(0, 60, 6)
    )


def gray(count: int, height: int = 96, width: int = 128) -> list[NDArray[np.uint8]]:
    return [np.full((height, width, 3), 128, np.uint8)] * count


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]
