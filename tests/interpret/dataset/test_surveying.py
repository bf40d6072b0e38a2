"""The effect of each attention site in a trained detector, against validation of modified networks."""

import copy
import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from attendet.cli.explain_data import survey_data_set
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split
from attendet.errors import UnknownNameError, WeightsError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.metrics import Metrics
from attendet.evaluation.validation import validate
from attendet.interpret import site_statistics
from attendet.interpret.dataset import surveying
from attendet.interpret.dataset.survey import Survey
from attendet.interpret.dataset.survey_files import draw_survey
from attendet.interpret.dataset.surveying import survey_sites
from attendet.models.detector import Detector
from attendet.training.runner import train
from attendet.weights.io import opening
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.small_training import RecordingReporter, skip_plots, small
from tests.helpers.typed_access import tensor
from tests.interpret.dataset.test_survey import survey_of

# Without borders, all maps of this data set have one shape.
TIGHT = ValidationConfig(canvas="tight")
SITES = ("model.2.attention", "model.3.attention")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path, model: Path) -> Iterator[Path]:
    """A run long enough to find most of the rectangles."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        config = small(
            data,
            model,
            tmp_path_factory.mktemp("runs"),
            schedule__epochs=35,
            optimizer__name="AdamW",
            optimizer__lr0=0.02,
            augment__mosaic=0,
            augment__scale=0.1,
            validation__every_epoch=False,
            model__attention=["cbam:reduction=2@model.[23]"],
        )
        yield train(config, RecordingReporter())[0].path


@pytest.fixture(scope="module")
def split(data: Path) -> Split:
    return drop_invalid(data_source.open(data).read("val"))


@pytest.fixture(scope="module")
def detector(run: Path) -> Detector:
    return opening.open(run / "weights" / "best.safetensors").detector


@pytest.fixture(scope="module")
def found(detector: Detector, split: Split) -> Survey:
    with pytest.MonkeyPatch.context() as patch:
        # All maps are 8 x 8 or 4 x 4, so every cell holds the same number of points.
        patch.setattr(site_statistics, "POINTS", 16)
        return survey_sites(detector, split, 64, TIGHT, batch_size=3)


class Unchanged(nn.Module):
    """A module that returns its input, in the place of a site."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Scale(nn.Module):
    """CBAM with constant weights."""

    def __init__(self, channel: Tensor, spatial: Tensor) -> None:
        super().__init__()
        self.channel, self.spatial = nn.Buffer(channel), nn.Buffer(spatial)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.channel * self.spatial


def with_replaced(detector: Detector, path: str, module: nn.Module) -> Detector:
    copied = copy.deepcopy(detector)
    parent, _, name = path.rpartition(".")
    setattr(copied.get_submodule(parent), name, module)
    return copied


def scores_of(metrics: Metrics) -> tuple[float, ...]:
    return metrics.map50_95, metrics.map50, metrics.precision, metrics.recall


def test_the_unchanged_network_is_measured_like_by_validation(found: Survey, detector: Detector, split: Split) -> None:
    assert scores_of(found.metrics) == pytest.approx(
        scores_of(validate(detector, split, 64, TIGHT, batch_size=3).metrics), abs=1e-6
    )
    # With a mAP of 0, the tests below would compare zeros.
    assert found.metrics.map50 > 0.3


def test_without_a_site_equals_a_network_that_lacks_it(found: Survey, detector: Detector, split: Split) -> None:
    assert tuple(report.statistics.path for report in found.sites) == SITES
    for report in found.sites:
        without = validate(with_replaced(detector, report.statistics.path, Unchanged()), split, 64, TIGHT, batch_size=3)
        assert scores_of(report.without) == pytest.approx(scores_of(without.metrics), abs=1e-6)
    assert len({report.without.map50_95 for report in found.sites} | {found.metrics.map50_95}) == 3


def test_constant_weights_are_the_means_of_all_gates(found: Survey, detector: Detector, split: Split) -> None:
    observed = copy.deepcopy(detector)
    for report in found.sites:
        gates: dict[str, list[np.ndarray]] = {"channel": [], "spatial": []}
        hooks = [
            observed.get_submodule(f"{report.statistics.path}.{name}").register_forward_hook(
                lambda *call, outputs=outputs: outputs.append(call[-1].numpy())
            )
            for name, outputs in gates.items()
        ]
        validate(observed, split, 64, TIGHT, batch_size=1)
        for hook in hooks:
            hook.remove()
        means = [
            torch.from_numpy(np.concatenate(outputs).astype(np.float64).mean((0, 2, 3), keepdims=True)).float()
            for outputs in gates.values()
        ]
        validated = with_replaced(detector, report.statistics.path, Scale(*means))
        assert report.constant is not None
        expected = scores_of(validate(validated, split, 64, TIGHT, batch_size=3).metrics)
        assert scores_of(report.constant) == pytest.approx(expected, abs=1e-6)


def test_many_sites_take_several_passes(
    found: Survey, detector: Detector, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surveying, "MAX_VARIANTS", 3)
    monkeypatch.setattr(site_statistics, "POINTS", 16)
    reported: list[tuple[int, int]] = []
    again = survey_sites(detector, split, 64, TIGHT, batch_size=3, progress=lambda *done: reported.append(done))
    assert reported == [(3, 12), (4, 12), (7, 12), (8, 12), (11, 12), (12, 12)]
    for one, other in zip(found.sites, again.sites, strict=True):
        assert one.statistics == other.statistics
        assert scores_of(one.without) == pytest.approx(scores_of(other.without), abs=1e-6)


def test_the_network_is_unchanged(detector: Detector, split: Split) -> None:
    snapshot = ModuleSnapshot(detector)
    survey_sites(detector, split, 64, TIGHT, site="model.3*")
    assert snapshot.matches(detector)


def test_weights_with_nan_are_refused(detector: Detector, split: Split) -> None:
    diverged = copy.deepcopy(detector)
    tensor(diverged, "model.0.conv.weight").data.fill_(torch.nan)
    with pytest.raises(
        WeightsError, match=r"the input features of the attention at model\.2\.attention are not finite"
    ):
        survey_sites(diverged, split, 64)


def test_an_unknown_site_is_an_error(detector: Detector, split: Split) -> None:
    with pytest.raises(UnknownNameError):
        survey_sites(detector, split, 64, TIGHT, site="neck")


def test_the_picture_shows_every_site(found: Survey, tmp_path: Path) -> None:
    sizes = []
    for count in (1, 2):
        draw_survey(replace(found, sites=found.sites[:count]), tmp_path / f"{count}.png")
        with Image.open(tmp_path / f"{count}.png") as picture:
            sizes.append(picture.size)
    assert sizes[0][0] == sizes[1][0]
    assert sizes[0][1] < sizes[1][1]


def test_the_command_writes_json_csv_and_a_picture(
    run: Path, data: Path, tmp_path: Path, detector: Detector, split: Split, capsys: pytest.CaptureFixture[str]
) -> None:
    found = survey_sites(detector, split, 64, batch_size=3)
    survey_data_set(str(run), str(data), batch_size=3, device="cpu", out=tmp_path, as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "attention.json").read_text())
    assert printed["map50_95"] == found.metrics.map50_95
    assert [site["path"] for site in printed["sites"]] == list(SITES)
    for site, report in zip(printed["sites"], found.sites, strict=True):
        assert site["map50_95_without"] == report.without.map50_95
        assert site["parts"][0]["mean"] == pytest.approx(report.statistics.parts[0].mean)
        overlap = report.statistics.object_overlap
        assert overlap is not None
        assert site["object_overlap"]["pointing"] == pytest.approx(overlap.pointing)
    with (tmp_path / "attention.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["path"], row["part"]) for row in rows] == [(s, p) for s in SITES for p in ("channel", "spatial")]
    assert (tmp_path / "attention.png").is_file()


def test_the_command_prints_a_table_and_findings(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    survey_data_set(str(run), str(data), device="cpu", site="model.3.*", limit=2)
    out = capsys.readouterr().out
    assert "2 images, 4 objects" in out
    assert "model.3.attention: " in out
    assert "model.2" not in out


def test_the_verb_explains_its_numbers(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        surveying, "survey_sites", lambda *_, **__: survey_of(without=-0.3, constant=0.0, between=0.001)
    )
    survey_data_set(str(run), str(data), device="cpu")
    assert (
        "model.9: constant gate; mAP falls by 0.300 without it, unchanged with constant weights"
        in capsys.readouterr().out
    )


def test_the_command_refuses_unknown_sites(run: Path, data: Path) -> None:
    with pytest.raises(UnknownNameError):
        survey_data_set(str(run), str(data), site="model.3.attentoin")
