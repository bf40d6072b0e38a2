"""Boxes on images are where the objects are, and mistakes are dashed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from attendet.training.plots.image_grids import prediction_grid, training_batch_grid
from attendet.utils import plotting
from tests.training.plots.plot_data import gray, legend_of, truth


def is_color(picture: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    """Find pixels of a class's color."""
    color = 255 * np.array(to_rgb(plotting.COLORS[number]))
    return np.all(np.abs(picture[..., :3].astype(float) - color) < 30, axis=-1)


def extent(mask: NDArray[np.bool_]) -> list[float]:
    """Return x1, y1, x2, y2 of the marked pixels."""
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max(), rows.max()]


def test_boxes_are_drawn_around_the_objects(tmp_path: Path, figures: list[Figure]) -> None:
    box = (32.0, 24.0, 96.0, 72.0)
    training_batch_grid(gray(1), [truth((*box, 2))], ["a", "b", "c"], tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        picture = np.array(file)
    (axes,) = figures[-1].axes
    tile = axes.get_window_extent()
    inside = is_color(picture, 2)
    inside[: round(len(picture) - tile.y1)] = False
    scale = tile.width / 128
    top = len(picture) - tile.y1
    expected = [tile.x0 + scale * box[0], top + scale * box[1], tile.x0 + scale * box[2], top + scale * box[3]]
    assert extent(inside) == pytest.approx(expected, abs=3)
    assert legend_of(figures[-1]) == ["c"]


def test_missed_objects_and_wrong_detections_are_dashed(tmp_path: Path, figures: list[Figure]) -> None:
    what = truth((0, 0, 40, 40, 0), (60, 0, 100, 40, 0), (0, 50, 40, 90, 1))
    found = torch.tensor(
        [
            [0, 0, 40, 38, 0.91, 0],  # right
            [60, 50, 100, 90, 0.82, 0],  # of nothing
            [0, 50, 40, 90, 0.73, 0],  # the wrong class
            [60, 0, 100, 40, 0.1, 0],  # not confident enough
        ]
    )
    prediction_grid(gray(1), [found], [what], ["a", "b"], tmp_path / "a.png")
    left, right = figures[-1].axes
    solid = [[patch.get_linestyle() in ("-", "solid") for patch in axes.patches] for axes in (left, right)]
    assert solid[0] == [True, False, False]
    # The most confident is drawn last.
    assert solid[1] == [False, False, True]
    assert [text.get_text() for text in right.texts] == [".73", ".82", ".91"]
    assert [axes.get_title() for axes in (left, right)] == ["ground truth", "detections"]


def test_of_many_classes_boxes_are_named(tmp_path: Path, figures: list[Figure]) -> None:
    many = [f"kind {number}" for number in range(9)]
    what, found = [truth((20, 20, 90, 90, 8))], [torch.tensor([[20, 20, 90, 90, 0.5, 7]])]
    prediction_grid(gray(1), found, what, many, tmp_path / "a.png")
    left, right = figures[-1].axes
    assert [text.get_text() for text in (*left.texts, *right.texts)] == ["kind 8", "kind 7 .50"]


@pytest.mark.parametrize("count", [1, 2, 16, 30])
def test_a_mosaic_holds_at_most_sixteen_images_of_any_size(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    images = [*gray(count - 1), np.zeros((40, 200, 3), np.uint8)]
    training_batch_grid(images, [truth()] * count, ["a"], tmp_path / "a.png")
    assert len(figures[-1].axes) == min(count, 16)
