"""Training curves show every epoch and every column that has numbers."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from attendet.training.plots.history import training_curves
from tests.training.plots.plot_data import epochs


@pytest.mark.parametrize("count", [1, 2, 300])
def test_training_curves_show_every_epoch(count: int, tmp_path: Path, figures: list[Figure]) -> None:
    training_curves(epochs(count), tmp_path / "a.png")
    assert len(figures[-1].axes) == 6
    precision = figures[-1].axes[3]
    assert np.asarray(precision.get_lines()[0].get_ydata())[-1] == pytest.approx((count - 1) / count)
    labels = [line.get_label() for line in precision.get_lines()]
    assert labels == [f"{name}, best {(count - 1) / count:.3f}" for name in ("mAP50", "mAP50-95")]


def test_columns_without_numbers_leave_no_empty_panel(tmp_path: Path, figures: list[Figure]) -> None:
    rows = [{**row, "train/cls_loss": float("nan"), "val/cls_loss": float("nan")} for row in epochs(3)]
    rows = [{key: value for key, value in row.items() if not key.startswith("metrics/")} for row in rows]
    training_curves(rows, tmp_path / "a.png")
    titles = [axes.get_title(loc="left") for axes in figures[-1].axes]
    assert titles == ["box loss", "objectness loss", "learning rate"]
