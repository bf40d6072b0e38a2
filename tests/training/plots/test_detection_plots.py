"""Curves and the confusion matrix show the measured numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from attendet.evaluation.metrics import Evaluation
from attendet.training.plots.detection_plots import draw_confusion_matrix, f1_curve, precision_recall_curve
from tests.training.plots.plot_data import legend_of, metrics_of, truth


def test_each_class_has_its_curve_and_the_mean_is_their_mean(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = metrics_of(6)
    curves = metrics.curves
    precisions = [each.ap50 for each in metrics.per_class]
    f1s = [each.f1 for each in metrics.per_class]
    for draw, x, y, values, mean in (
        (precision_recall_curve, curves.recalls, curves.precision_at_recall, precisions, metrics.map50),
        (f1_curve, curves.confidences, curves.f1, f1s, metrics.f1),
    ):
        draw(metrics, tmp_path / "a.png")
        (axes,) = figures[-1].axes
        lines = [line for line in axes.get_lines() if len(np.asarray(line.get_xdata())) == len(x)]
        assert len(lines) == 6
        for number, line in enumerate(lines[:5]):
            assert np.array_equal(np.asarray(line.get_ydata()), y[number])
            assert np.array_equal(np.asarray(line.get_xdata()), x)
        assert np.asarray(lines[5].get_ydata()) == pytest.approx(np.nanmean(y, axis=0))
        labels = ["\\$x_", "_hidden", "клетка", "two lines", "a\\$b\\$c", "all classes"]
        shown = [f"{value:.3f}" for value in (*values[:5], mean) if value is not None]
        assert legend_of(figures[-1]) == [f"{label}  {value}" for label, value in zip(labels, shown, strict=True)]
        assert len({line.get_color() for line in lines}) == 6
    (marker,) = [line for line in axes.get_lines() if line.get_marker() == "o"]
    assert (np.asarray(marker.get_xdata())[0], np.asarray(marker.get_ydata())[0]) == (metrics.confidence, metrics.f1)


def test_of_many_classes_the_three_worst_are_named(tmp_path: Path, figures: list[Figure]) -> None:
    metrics = metrics_of(80)
    precision_recall_curve(metrics, tmp_path / "a.png")
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
    draw_confusion_matrix(evaluation.compute(), tmp_path / "a.png")
    axes = figures[-1].axes[0]
    cells = {text.get_position()[::-1]: text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "2\n50%", (0, 1): "1\n25%", (0, 2): "1\n25%", (1, 2): "1\n100%", (2, 1): "1"}
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "missed"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "nothing"]
