"""Collect the figures that are drawn."""

from typing import Any

import pytest
from matplotlib.figure import Figure

from attendet.utils import plotting


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Return the list to which every drawn figure is added."""
    drawn: list[Figure] = []
    made = plotting.new_figure

    def remember(*arguments: Any, **options: Any) -> Figure:
        drawn.append(made(*arguments, **options))
        return drawn[-1]

    for module in ("history", "detection_plots", "label_plots", "image_grids"):
        monkeypatch.setattr(f"attendet.training.plots.{module}.new_figure", remember)
    return drawn
