"""Findings about attention sites, from chosen numbers."""

from dataclasses import replace

import pytest
import torch

from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.interpret.dataset.findings import caution, site_findings
from attendet.interpret.dataset.survey import SiteReport, Survey
from attendet.interpret.site_statistics import PartStatistics, SiteStatistics


def metrics_of(map50_95: float) -> Metrics:
    """Return metrics of two classes with four objects each."""
    evaluation = Evaluation(["red", "blue"])
    boxes = torch.tensor([[20.0 * place, 0, 20.0 * place + 10, 10] for place in range(8)])
    objects = GroundTruth(boxes, torch.arange(8) % 2, torch.zeros(8, dtype=torch.bool))
    evaluation.update([torch.zeros(0, 6)], [objects])
    return replace(evaluation.compute(), map50_95=map50_95)


def survey_of(
    without: float, constant: float | None, between: float, range_: tuple[float, float] | None = (0, 1)
) -> Survey:
    """Return a survey of one site, with changes of mAP50-95 from 0.5."""
    part = PartStatistics("gate", "gate", range_, 0.5, 0.2, between, 0.0, torch.zeros(1))
    site = SiteStatistics("model.9", "SE", 4, (part,) if constant is not None else (), None)
    report = SiteReport(site, metrics_of(0.5 + without), None if constant is None else metrics_of(0.5 + constant))
    return Survey(metrics_of(0.5), (report,))


def test_noise_is_one_object_of_the_rarest_class() -> None:
    assert survey_of(0, 0, 0).noise == pytest.approx(1 / 8)


@pytest.mark.parametrize(
    ("without", "constant", "between", "kind", "words"),
    [
        (0.0, 0.0, 0.001, "dead", "model.9: constant gate, mAP unchanged without it: dead"),
        (0.0, 0.0, 0.1, "idle", "a gate that depends on the image, mAP unchanged without it: idle"),
        (-0.1, 0.05, 0.1, "idle", "mAP not measurably changed (-0.100) without it"),
        (-0.3, 0.0, 0.001, "constant", "constant gate; mAP falls by 0.300 without it, unchanged with its means"),
        (-0.3, 0.0, 0.1, "constant", "constants do as well"),
        (-0.3, -0.2, 0.1, "works", "falls by 0.300 without it, falls by 0.200 with its means in its place: it works"),
        (0.0, -0.2, 0.1, "works", "unchanged without it, but falls by 0.200 with its means"),
        (0.2, 0.0, 0.1, "harms", "mAP rises by 0.200 without it: it harms"),
        (-0.3, None, 0.0, "works", "no weights; mAP falls by 0.300 without it"),
        (0.0, None, 0.0, "dead", "no weights, mAP unchanged without it: dead"),
    ],
)
def test_verdicts(without: float, constant: float | None, between: float, kind: str, words: str) -> None:
    said = site_findings(survey_of(without, constant, between))["model.9"]
    assert said.kind == kind
    assert words in said.words


def test_constant_attention_is_recognized_by_its_range() -> None:
    assert site_findings(survey_of(0, 0, 0.015, (0.0, 2.0)))["model.9"].kind == "dead"
    assert site_findings(survey_of(0, 0, 0.015, (0.0, 1.0)))["model.9"].kind == "idle"
    assert site_findings(survey_of(0, 0, 0.004, None))["model.9"].kind == "dead"


def test_a_network_without_detections_has_no_findings() -> None:
    found = survey_of(0, 0, 0)
    told = caution(replace(found, metrics=metrics_of(0.1)))
    assert told is not None
    assert "mAP50-95 is 0.100, and one object more or less changes mAP50-95 by 0.125" in told
    told = caution(found)
    assert told is not None
    assert "with more images" in told
    per_class = tuple(replace(each, objects=500) for each in found.metrics.per_class)
    metrics = replace(found.metrics, per_class=per_class)
    assert caution(replace(found, metrics=metrics)) is None
