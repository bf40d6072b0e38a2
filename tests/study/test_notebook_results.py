"""Results of a study in a notebook and as plain values, with chosen numbers."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from attendet.study.folder import StudyFolder
from attendet.study.forecast import StudyForecast
from attendet.study.power_curves import PowerPoint
from attendet.study.reporting.outcome import Failure, StudyReport
from attendet.study.reporting.publishing import Published
from attendet.study.runs.execution import StudyRunResult
from tests.helpers.parsed_html import ParsedHtml
from tests.study.reporting.synthetic_reports import report_of

HOSTILE = "<script>alert(1)</script>"
TABLE_TAGS = {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}


@pytest.fixture
def report(tmp_path: Path) -> StudyReport:
    """A report with one decided comparison, one without pairs, and hostile names."""
    measured = report_of(tmp_path, "{plain: , other: se@neck, third: eca@neck}", seeds="2")
    decided, unpaired = measured.contrasts
    numbers = {"difference": -0.0123, "interval": (-0.02, -0.0046), "p_adjusted": 0.03125}
    return replace(
        measured,
        name=HOSTILE,
        metric="mAP50",
        answer="No arm helps.",
        planned=1200,
        finished=7,
        contrasts=(
            replace(decided, arm=HOSTILE, against="plain", n=6, verdict="hurts", **numbers),
            replace(
                unpaired, arm="third", n=0, verdict="not distinguishable", difference=None, interval=None, p_adjusted=1
            ),
        ),
        failures=(Failure("third-seed0", "a < b"),),
        remarks=("runs were made on 2 different devices",),
    )


def test_a_report_shows_every_comparison(report: StudyReport) -> None:
    parsed = ParsedHtml(report._repr_html_())
    assert parsed.rows == [
        ["arm", "against", "verdict", "seeds", "difference in mAP50", "interval", "p"],
        [HOSTILE, "plain", "hurts", "6", "−0.012", "−0.020 to −0.005", "0.0312"],
        ["third", "plain", "not distinguishable", "0", "-", "-", "1"],
    ]
    assert parsed.paragraphs == [
        f"Study {HOSTILE}: 7 of 1,200 runs finished. No arm helps.",
        "runs were made on 2 different devices",
        "third-seed0 failed: a < b",
    ]
    assert parsed.tags == TABLE_TAGS


def test_a_published_report_names_its_files(report: StudyReport) -> None:
    folder = Path("a&b")
    published = Published(
        report, folder / "report.json", folder / "report.md", folder / "report.html", {"curves": folder / "curves.png"}
    )
    parsed = ParsedHtml(published._repr_html_())
    assert parsed.rows[1] == [HOSTILE, "plain", "hurts", "6", "−0.012", "−0.020 to −0.005", "0.0312"]
    assert parsed.rows[3:] == [
        ["file", "path"],
        ["json", "a&b/report.json"],
        ["markdown", "a&b/report.md"],
        ["html", "a&b/report.html"],
        ["curves", "a&b/curves.png"],
    ]
    plain = published.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["figures"] == {"curves": "a&b/curves.png"}
    assert plain["report"]["contrasts"][0]["difference"] == -0.0123


def test_the_result_of_a_call_shows_the_failed_runs() -> None:
    result = StudyRunResult(StudyFolder(Path("runs/<b>")), 5, ((HOSTILE, "out of memory & disk"),), 2, 3)
    parsed = ParsedHtml(result._repr_html_())
    assert parsed.rows == [
        ["quantity", "value"],
        ["folder", "runs/<b>"],
        ["finished", "5"],
        ["diverged", "3"],
        ["left", "2"],
        ["failed run", "error"],
        [HOSTILE, "out of memory & disk"],
    ]
    assert parsed.tags == TABLE_TAGS - {"p"}
    assert json.loads(json.dumps(result.to_dict())) == {
        "folder": "runs/<b>",
        "finished": 5,
        "failed": {HOSTILE: "out of memory & disk"},
        "left": 2,
        "started": 0,
        "diverged": 3,
    }
    assert len(ParsedHtml(replace(result, failed=())._repr_html_()).rows) == 5


def test_a_forecast_shows_hours_and_detectable_differences() -> None:
    forecast = StudyForecast(
        runs=1500,
        finished=3,
        hours=12.34,
        hours_by_arm={"<b>": 12.34},
        budget_hours=None,
        comparisons=2,
        p_floor=0.0625,
        detectable=1.26,
        detectable_in_metric=0.0126,
        curve=(PowerPoint(6, 1.8, 1.5, 0.25),),
        seeds_to_find=9,
        seeds_to_exclude=None,
        warnings=("5 seeds < 6 seeds",),
    )
    parsed = ParsedHtml(forecast._repr_html_())
    assert parsed.rows == [
        ["quantity", "value"],
        ["runs", "1,500"],
        ["finished runs", "3"],
        ["hours", "12.3"],
        ["hours of <b>", "12.3"],
        ["budget in hours", "-"],
        ["comparisons", "2"],
        ["smallest p", "0.062"],
        ["detectable difference in standard deviations", "1.3"],
        ["detectable difference in the metric", "0.013"],
        ["seeds that find a difference that matters", "9"],
        ["seeds that show that none matters", "-"],
    ]
    assert parsed.paragraphs == ["5 seeds < 6 seeds"]
    assert parsed.tags == TABLE_TAGS
    plain = forecast.to_dict()
    assert json.loads(json.dumps(plain)) == plain
    assert plain["hours_by_arm"] == {"<b>": 12.34}
