"""All plots: complete, legible, reproducible, and without side effects on matplotlib."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from attendet.data.records import ImageRecords
from attendet.errors import OptionError, OutputError
from attendet.evaluation.metrics import Evaluation
from attendet.training.plots.detection_plots import draw_confusion_matrix, f1_curve, precision_recall_curve
from attendet.training.plots.history import training_curves
from attendet.training.plots.image_grids import prediction_grid, training_batch_grid
from attendet.training.plots.label_plots import label_statistics
from tests.training.plots.plot_data import epochs, gray, metrics_of, names, records, texts, truth

Draw = Callable[[Path], None]


def all_pictures(classes: int) -> dict[str, Draw]:
    metrics, last = metrics_of(classes), classes - 1
    what = [truth((10, 10, 60, 50, 0), (0, 0, 127, 95, last))] * 3
    found = [torch.tensor([[10, 10, 60, 50, 0.9, 0], [-5, -5, 5, 5, 0.5, last], [110, 2, 128, 9, 1.0, last]])] * 3
    return {
        "training_curves": lambda path: training_curves(epochs(9), path),
        "precision_recall": lambda path: precision_recall_curve(metrics, path),
        "f1_curve": lambda path: f1_curve(metrics, path),
        "confusion_matrix": lambda path: draw_confusion_matrix(metrics, path),
        "label_statistics": lambda path: label_statistics(records(classes), names(classes), 320, path),
        "training_batch_grid": lambda path: training_batch_grid(gray(3), what, names(classes), path),
        "prediction_grid": lambda path: prediction_grid(gray(3), found, what, names(classes), path),
    }


@pytest.mark.parametrize("classes", [1, 80])
def test_every_picture_is_whole_and_all_its_words_are_in_it(
    classes: int, tmp_path: Path, figures: list[Figure]
) -> None:
    settings = dict(mpl.rcParams)
    for name, draw in all_pictures(classes).items():
        draw(tmp_path / f"{name}.png")
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert len(picture.getcolors(1 << 24) or []) > 10
            width, height = picture.size
        assert 400 <= width <= 2200
        assert 200 <= height <= 2200
        drawn = figures[-1].get_tightbbox().padded(-0.02)
        assert min(drawn.x0, drawn.y0) >= 0, name
        assert drawn.x1 <= figures[-1].get_figwidth(), name
        assert drawn.y1 <= figures[-1].get_figheight(), name
        assert min(float(text.get_fontsize()) for text in texts(figures[-1])) >= 4
    assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == []
    assert len(list(tmp_path.iterdir())) == 7


def test_class_counts_equal_the_records(tmp_path: Path, figures: list[Figure]) -> None:
    label_statistics(records(3), ["a", "b", "c"], 320, tmp_path / "a.png")
    (bars,) = figures[-1].axes[0].containers
    assert [bar.get_width() for bar in bars] == [20, 20, 20]


def test_the_same_input_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        all_pictures(3)["prediction_grid"](tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_plots_without_objects_or_detections_state_it(tmp_path: Path, figures: list[Figure]) -> None:
    empty = Evaluation(["a", "b"]).compute()
    precision_recall_curve(empty, tmp_path / "a.png")
    assert "no objects" in [text.get_text() for text in texts(figures[-1])]
    f1_curve(empty, tmp_path / "b.png")
    draw_confusion_matrix(empty, tmp_path / "c.png")
    prediction_grid(gray(1), [torch.zeros(0, 6)], [truth()], ["a"], tmp_path / "d.png")


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: training_curves([], path),
        lambda path: training_batch_grid([], [], ["a"], path),
        lambda path: prediction_grid([], [], [], ["a"], path),
        lambda path: label_statistics(ImageRecords(), ["a"], 320, path),
    ],
)
def test_nothing_to_draw_is_an_error_and_no_file(draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"must contain at least one (epoch|image|object)"):
        draw(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        training_curves(epochs(2), tmp_path / "file" / "a.png")
