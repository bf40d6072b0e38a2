"""Studies of several data sets joined."""

from pathlib import Path

import numpy as np
import pytest

from attendet import study
from attendet.errors import DataError, OptionError
from attendet.study.statistics.resampling import sign_flip_p
from tests.helpers.synthetic_studies import design, write_study

ARMS = "{baseline: , cbam: 'cbam@before:SPPF', se: se@neck}"


def written(folder: Path, effects: dict[str, float], seeds: str = "6", name: str = "synthetic") -> Path:
    planned = design(ARMS, seeds).model_copy(update={"name": name})
    return write_study(folder, planned, effects, data=folder.name).path


def test_data_sets_count_equally_and_their_differences_are_flipped_within(tmp_path: Path) -> None:
    folders = [
        written(tmp_path / "a", {"cbam": 0.02}, "6", "cells"),
        written(tmp_path / "b", {"cbam": 0.04}, "8", "pears"),
    ]
    joined = study.join(folders)
    reports = [study.report(folder).report for folder in folders]
    contrasts = [next(each for each in report.contrasts if each.arm == "cbam") for report in reports]
    found = next(each for each in joined.contrasts if each.arm == "cbam")
    means = [np.mean(each.differences) for each in contrasts]
    assert found.differences == pytest.approx({"cells": means[0], "pears": means[1]})
    assert found.difference == pytest.approx(np.mean(means))
    scaled = np.concatenate([np.array(each.differences) / each.n for each in contrasts])
    assert found.p == pytest.approx(float(sign_flip_p(scaled)))
    assert found.verdict == "helps"
    assert found.seeds == {"cells": 6, "pears": 8}
    assert found.general is None
    assert "2 data sets show nothing about others" in joined.remarks[0]


def test_five_data_sets_are_evidence_about_others(tmp_path: Path) -> None:
    effects = (0.01, 0.02, 0.03, 0.02, 0.01)
    folders = [written(tmp_path / str(k), {"cbam": effect}, name=f"set{k}") for k, effect in enumerate(effects)]
    joined = study.join(folders)
    found = next(each for each in joined.contrasts if each.arm == "cbam")
    assert found.general is not None
    assert found.general[0] < found.difference < found.general[1]
    assert joined.remarks == ()


def test_studies_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    first = written(tmp_path / "a", {})
    with pytest.raises(OptionError, match="at least two studies, got 1"):
        study.join([first])
    other = write_study(tmp_path / "b", design("{plain: , cbam: 'cbam@before:SPPF'}", "6"), {}, data="b").path
    with pytest.raises(OptionError, match="all studies must have the baseline baseline, got plain"):
        study.join([first, other])
    other = write_study(tmp_path / "c", design("{baseline: , eca: eca@neck}", "6"), {}, data="c").path
    with pytest.raises(OptionError, match="must share an arm"):
        study.join([first, other])
    other = write_study(tmp_path / "d", design("{baseline: , cbam: cbam@neck}", "6"), {}, data="d").path
    with pytest.raises(OptionError, match="the arm cbam must have the same attention in all studies"):
        study.join([first, other])
    with pytest.raises(OptionError, match="all studies must have other images, got the images of"):
        study.join([first, first])
    with pytest.raises(DataError, match="no study found"):
        study.join([first, tmp_path])
