"""Pictures: what is drawn is what was measured, everything is in the picture, and nothing else is touched."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from attendet.data.records import ImageRecord, ImageRecords
from attendet.errors import OptionError, OutputError
from attendet.evaluation.metrics import Evaluation, GroundTruth, Metrics
from attendet.training.plots.detection_plots import confusion_matrix, f1_curve, precision_recall
from attendet.training.plots.history import training_curves
from attendet.training.plots.image_grids import batch_mosaic, predictions_beside_truth
from attendet.training.plots.label_plots import label_statistics
from attendet.utils import plotting

Draw = Callable[[Path], None]

# Names that matplotlib would take for a formula, hide from legends, or have no letters for.
HOSTILE = ["$x_", "_hidden", "细胞", "two\nlines", "a$b$c", "a very long name of a rare class of things"]


def truth(*objects: tuple[float, float, float, float, int]) -> GroundTruth:
    rows = torch.tensor(objects).reshape(-1, 5)
    return GroundTruth(rows[:, :4], rows[:, 4].long(), torch.zeros(len(rows), dtype=torch.bool))


def names(classes: int) -> list[str]:
    return [*HOSTILE, *(f"class {number}" for number in range(classes))][:classes]


def metrics_of(classes: int, seed: int = 0) -> Metrics:
    """Measure detections of which those of higher classes are worse; the last of several classes has no objects."""
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


def all_pictures(classes: int) -> dict[str, Draw]:
    metrics, last = metrics_of(classes), classes - 1
    what = [truth((10, 10, 60, 50, 0), (0, 0, 127, 95, last))] * 3
    found = [torch.tensor([[10, 10, 60, 50, 0.9, 0], [-5, -5, 5, 5, 0.5, last], [110, 2, 128, 9, 1.0, last]])] * 3
    return {
        "training_curves": lambda path: training_curves(epochs(9), path),
        "precision_recall": lambda path: precision_recall(metrics, path),
        "f1_curve": lambda path: f1_curve(metrics, path),
        "confusion_matrix": lambda path: confusion_matrix(metrics, path),
        "label_statistics": lambda path: label_statistics(records(classes), names(classes), 320, path),
        "batch_mosaic": lambda path: batch_mosaic(gray(3), what, names(classes), path),
        "predictions_beside_truth": lambda path: predictions_beside_truth(gray(3), found, what, names(classes), path),
    }


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Collect what is drawn."""
    drawn: list[Figure] = []
    made = plotting.new_figure

    def remember(*arguments: float, **options: int) -> Figure:
        drawn.append(made(*arguments, **options))
        return drawn[-1]

    for module in ("history", "detection_plots", "label_plots", "image_grids"):
        monkeypatch.setattr(f"attendet.training.plots.{module}.new_figure", remember)
    return drawn


def texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]


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
        assert min(text.get_fontsize() for text in texts(figures[-1])) >= 4
    assert dict(mpl.rcParams) == settings
    assert plt.get_fignums() == []
    assert len(list(tmp_path.iterdir())) == 7


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_class_has_its_curve_and_the_mean_is_theirs(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = metrics_of(6)
    curves = metrics.curves
    precisions = [each.ap50 for each in metrics.per_class]
    f1s = [each.f1 for each in metrics.per_class]
    for draw, x, y, values, mean in (
        (precision_recall, curves.recalls, curves.precision_at_recall, precisions, metrics.map50),
        (f1_curve, curves.confidences, curves.f1, f1s, metrics.f1),
    ):
        draw(metrics, tmp_path / "a.png")
        (axes,) = figures[-1].axes
        lines = [line for line in axes.get_lines() if len(line.get_xdata()) == len(x)]
        assert len(lines) == 6
        for number, line in enumerate(lines[:5]):
            assert np.array_equal(np.asarray(line.get_ydata()), y[number])
            assert np.array_equal(np.asarray(line.get_xdata()), x)
        assert np.asarray(lines[5].get_ydata()) == pytest.approx(np.nanmean(y, axis=0))
        labels = ["\\$x_", "_hidden", "细胞", "two lines", "a\\$b\\$c", "all classes"]
        shown = [f"{value:.3f}" for value in (*values[:5], mean) if value is not None]
        assert legend_of(figures[-1]) == [f"{label}  {value}" for label, value in zip(labels, shown, strict=True)]
        assert len({line.get_color() for line in lines}) == 6
    (marker,) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert (marker.get_xdata()[0], marker.get_ydata()[0]) == (metrics.confidence, metrics.f1)


def test_of_many_classes_the_three_worst_are_named(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = metrics_of(80)
    precision_recall(metrics, tmp_path / "a.png")
    ranked = sorted((each.ap50, number) for number, each in enumerate(metrics.per_class) if each.ap50 is not None)
    worst = [metrics.per_class[number].name for _, number in ranked[:3]]
    *named, mean = legend_of(figures[-1])
    assert [label.rsplit("  ", 1)[0] for label in named] == worst
    assert mean == f"all classes  {metrics.map50:.3f}"


def test_the_confusion_matrix_shows_counts_and_shares(tmp_path: Path, figures: list[Figure]) -> None:
    boxes = [(20.0 * place, 0.0, 20.0 * place + 10, 10.0) for place in range(5)]
    evaluation = Evaluation(["cat", "dog"])
    found = [[*boxes[0], 0.9, 0], [*boxes[1], 0.9, 0], [*boxes[2], 0.9, 1], [200, 0, 210, 10, 0.9, 1]]
    what = truth(*((*box, kind) for box, kind in zip(boxes, [0, 0, 0, 0, 1], strict=True)))
    evaluation.update([torch.tensor(found)], [what])
    confusion_matrix(evaluation.compute(), tmp_path / "a.png")
    axes = figures[-1].axes[0]
    cells = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "2\n50%", (0, 1): "1\n25%", (0, 2): "1\n25%", (1, 2): "1\n100%", (2, 1): "1"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "missed"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "nothing"]


def is_color(picture: NDArray[np.uint8], number: int) -> NDArray[np.bool_]:
    """Find pixels of a class's color."""
    color = 255 * np.array(to_rgb(plotting.COLORS[number]))
    return (np.abs(picture[..., :3].astype(float) - color) < 30).all(axis=-1)


def extent(mask: NDArray[np.bool_]) -> list[float]:
    """Return x1, y1, x2, y2 of what is marked."""
    rows, columns = np.nonzero(mask)
    return [columns.min(), rows.min(), columns.max(), rows.max()]


def test_boxes_lie_where_the_objects_are(tmp_path: Path, figures: list[Figure]) -> None:
    box = (32.0, 24.0, 96.0, 72.0)
    batch_mosaic(gray(1), [truth((*box, 2))], ["a", "b", "c"], tmp_path / "a.png")
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


def test_what_was_missed_and_what_is_wrong_is_dashed(tmp_path: Path, figures: list[Figure]) -> None:
    what = truth((0, 0, 40, 40, 0), (60, 0, 100, 40, 0), (0, 50, 40, 90, 1))
    found = torch.tensor(
        [
            [0, 0, 40, 38, 0.91, 0],  # right
            [60, 50, 100, 90, 0.82, 0],  # of nothing
            [0, 50, 40, 90, 0.73, 0],  # the wrong class
            [60, 0, 100, 40, 0.1, 0],  # not confident enough
        ]
    )
    predictions_beside_truth(gray(1), [found], [what], ["a", "b"], tmp_path / "a.png")
    left, right = figures[-1].axes
    solid = [[patch.get_linestyle() in ("-", "solid") for patch in axes.patches] for axes in (left, right)]
    assert solid[0] == [True, False, False]
    # The most confident is drawn last.
    assert solid[1] == [False, False, True]
    assert [text.get_text() for text in right.texts] == [".73", ".82", ".91"]
    assert [axes.get_title() for axes in (left, right)] == ["truth", "detected"]


def test_of_many_classes_boxes_are_named(tmp_path: Path, figures: list[Figure]) -> None:
    many = [f"kind {number}" for number in range(9)]
    what, found = [truth((20, 20, 90, 90, 8))], [torch.tensor([[20, 20, 90, 90, 0.5, 7]])]
    predictions_beside_truth(gray(1), found, what, many, tmp_path / "a.png")
    left, right = figures[-1].axes
    assert [text.get_text() for text in (*left.texts, *right.texts)] == ["kind 8", "kind 7 .50"]


@pytest.mark.parametrize("count", [1, 2, 16, 30])
def test_a_mosaic_holds_at_most_sixteen_images_of_any_size(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    images = [*gray(count - 1), np.zeros((40, 200, 3), np.uint8)]
    batch_mosaic(images, [truth()] * count, ["a"], tmp_path / "a.png")
    assert len(figures[-1].axes) == min(count, 16)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_training_curves_show_every_epoch(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    training_curves(epochs(count), tmp_path / "a.png")
    assert len(figures[-1].axes) == 6
    precision = figures[-1].axes[3]
    assert precision.get_lines()[0].get_ydata()[-1] == pytest.approx((count - 1) / count)
    labels = [line.get_label() for line in precision.get_lines()]
    assert labels == [f"{name}, best {(count - 1) / count:.3f}" for name in ("mAP50", "mAP50-95")]


def test_columns_without_numbers_leave_no_empty_panel(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [{**row, "train/cls_loss": float("nan"), "val/cls_loss": float("nan")} for row in epochs(3)]
    rows = [{key: value for key, value in row.items() if not key.startswith("metrics/")} for row in rows]
    training_curves(rows, tmp_path / "a.png")
    titles = [axes.get_title(loc="left") for axes in figures[-1].axes]
    assert titles == ["box loss", "objectness loss", "learning rate"]


def test_class_counts_are_those_of_the_records(tmp_path: Path, figures: list[Figure]) -> None:
    label_statistics(records(3), ["a", "b", "c"], 320, tmp_path / "a.png")
    bars = figures[-1].axes[0].patches
    assert [bar.get_width() for bar in bars] == [20, 20, 20]


def test_the_same_input_gives_the_same_picture(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        all_pictures(3)["predictions_beside_truth"](tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_objects_or_detections_pictures_say_so(tmp_path: Path, figures: list[Figure]) -> None:
    empty = Evaluation(["a", "b"]).compute()
    precision_recall(empty, tmp_path / "a.png")
    assert "there are no objects" in [text.get_text() for text in texts(figures[-1])]
    f1_curve(empty, tmp_path / "b.png")
    confusion_matrix(empty, tmp_path / "c.png")
    predictions_beside_truth(gray(1), [torch.zeros(0, 6)], [truth()], ["a"], tmp_path / "d.png")


@pytest.mark.parametrize(
    "draw",
    [
        lambda path: training_curves([], path),
        lambda path: batch_mosaic([], [], ["a"], path),
        lambda path: predictions_beside_truth([], [], [], ["a"], path),
        lambda path: label_statistics(ImageRecords(), ["a"], 320, path),
    ],
)
def test_nothing_to_draw_is_an_error_and_no_file(draw: Draw, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"there is no .* to draw"):
        draw(tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_our_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        training_curves(epochs(2), tmp_path / "file" / "a.png")
