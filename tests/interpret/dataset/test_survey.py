"""The survey of attention sites and its findings, from chosen numbers."""

import json
from dataclasses import replace

import pytest
import torch

from attendet.evaluation.matching import GroundTruth
from attendet.evaluation.metrics import Evaluation, Metrics
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
    ("without", "constant", "between", "kind", "text"),
    [
        (
            0.0,
            0.0,
            0.001,
            "dead",
            "model.9: constant gate; mAP unchanged without it, unchanged with constant weights: it has no effect",
        ),
        (
            0.0,
            0.0,
            0.1,
            "idle",
            "gate varying with the image; mAP unchanged without it, unchanged with constant weights: its weights vary",
        ),
        (-0.1, 0.05, 0.1, "idle", "mAP not measurably changed (-0.100) without it"),
        (
            -0.3,
            0.0,
            0.001,
            "constant",
            "constant gate; mAP falls by 0.300 without it, unchanged with constant weights: constant",
        ),
        (-0.3, 0.0, 0.1, "constant", "constant weights work as well"),
        (-0.3, -0.2, 0.1, "works", "falls by 0.300 without it, falls by 0.200 with constant weights: it works"),
        (
            0.0,
            -0.2,
            0.1,
            "works",
            "unchanged without it, falls by 0.200 with constant weights: the network relies on the varying weights",
        ),
        (0.2, 0.0, 0.1, "harms", "mAP rises by 0.200 without it, unchanged with constant weights: it harms"),
        (-0.3, None, 0.0, "works", "no weights; mAP falls by 0.300 without it: it works"),
        (0.0, None, 0.0, "dead", "no weights; mAP unchanged without it: it has no effect"),
    ],
)
def test_findings(without: float, constant: float | None, between: float, kind: str, text: str) -> None:
    finding = survey_of(without, constant, between).findings["model.9"]
    assert finding.kind == kind
    assert text in finding.text


def test_constant_attention_is_recognized_by_its_range() -> None:
    assert survey_of(0, 0, 0.015, (0.0, 2.0)).findings["model.9"].kind == "dead"
    assert survey_of(0, 0, 0.015, (0.0, 1.0)).findings["model.9"].kind == "idle"
    assert survey_of(0, 0, 0.004, None).findings["model.9"].kind == "dead"


def test_caution_about_weak_networks_and_few_images() -> None:
    survey = survey_of(0, 0, 0)
    weak = replace(survey, metrics=metrics_of(0.1)).caution
    assert weak is not None
    assert "mAP50-95 is 0.100, and one object more or less changes mAP50-95 by 0.125: no effect" in weak
    assert survey.caution == "one object more or less changes mAP50-95 by 0.125: smaller effects need more images"
    per_class = tuple(replace(each, objects=500) for each in survey.metrics.per_class)
    assert replace(survey, metrics=replace(survey.metrics, per_class=per_class)).caution is None


def test_a_survey_shows_itself() -> None:
    survey = survey_of(-0.3, 0.0, 0.1)
    assert repr(survey) == "Survey(map50_95=0.500, images=1, model.9: constant)"
    html = survey._repr_html_()
    assert '<td class="text">model.9</td><td class="text">SE</td><td class="text">constant</td><td>-0.300</td>' in html
    assert "constant weights work as well</p>" in html
    plain = json.loads(json.dumps(survey.to_dict(), allow_nan=False))
    assert plain["sites"][0]["finding"] == "constant"
    assert plain["sites"][0]["parts"][0]["fraction_between"] == pytest.approx(0.25)
