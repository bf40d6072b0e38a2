"""Anchors are fitted to the data if the model file has no anchors or if they fit badly."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.weights.io import opening
from tests.helpers.small_training import MODEL
from tests.helpers.typed_access import anchors_of

pytestmark = pytest.mark.usefixtures("without_plots")


def test_a_model_file_with_only_the_number_of_anchors(fit: Callable, tmp_path: Path) -> None:
    file = tmp_path / "anchors.yaml"
    lines = [
        line for line in MODEL.splitlines() if not line.startswith("  - [") or "Conv" in line or "anchors]" in line
    ]
    file.write_text("\n".join(line.replace("anchors:", "anchors: 2") for line in lines))
    folder, _, listener = fit(model__cfg=str(file), schedule__epochs=1)
    assert any("anchors fitted to the data: best possible recall 100.0%" in line for line in listener.messages)
    detector = opening.open(folder.last).detector
    anchors = anchors_of(detector)
    assert anchors.shape == (3, 2, 2)
    # Objects have sides of 12 to 23 pixels.
    assert 10 < anchors.min() < anchors.max() < 26


def test_anchors_with_low_recall_are_fitted_unless_disabled(fit: Callable, tmp_path: Path) -> None:
    file = tmp_path / "large.yaml"
    text = MODEL.replace("[10,13, 16,30, 33,23]", "[400,400, 420,400, 400,420]")
    file.write_text(
        text.replace("[30,61, 62,45, 59,119]", "[400,410, 410,400, 430,420]").replace(
            "116,90, 156,198", "300,310, 350,340"
        )
    )
    fitted, _, reporter = fit(model__cfg=str(file), schedule__epochs=1)
    unchanged, _, unchanged_reporter = fit(model__cfg=str(file), schedule__epochs=1, anchors__fit=False)
    assert any("anchors fitted to the data" in line for line in reporter.messages)
    assert anchors_of(opening.open(fitted.last).detector).max() < 40
    assert any("best possible recall only 0.0%" in line for line in unchanged_reporter.messages)
    assert anchors_of(opening.open(unchanged.last).detector).min() >= 300
