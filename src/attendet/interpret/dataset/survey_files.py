"""A survey of attention sites as files: all numbers as JSON, a table with a row for each part, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from attendet.interpret.dataset.findings import SiteFinding, caution, site_findings
from attendet.interpret.dataset.survey import SiteReport, Survey
from attendet.interpret.dataset.survey_figure import attention_survey
from attendet.utils.io import write_csv, write_json
from attendet.utils.provenance import PACKAGES, versions

OF_PART = ("mean", "std", "between", "share_between", "saturated")
OF_LOOKING = ("pointing", "energy", "area", "correlation", "concentration")


def plain(survey: Survey) -> dict[str, Any]:
    """Return a survey with its verdicts as plain values, for JSON."""
    said = site_findings(survey)
    return {
        "images": survey.metrics.images,
        "objects": survey.metrics.objects,
        "map50_95": survey.metrics.map50_95,
        "map50": survey.metrics.map50,
        "noise": survey.noise,
        "caution": caution(survey),
        "sites": [_site(report, said[report.statistics.path]) for report in survey.sites],
        "versions": versions(PACKAGES),
    }


def write_survey(folder: Path, survey: Survey, about: Mapping[str, Any] | None = None) -> None:
    """Write `attention.json`, `attention.csv` (a row for each part of a site) and `attention.png`.

    Args:
        folder: Where; it is made if it does not exist.
        survey: What is written.
        about: What else the JSON says, before all other: which weights, which data.

    Raises:
        OutputError: If a file cannot be written.
    """
    told = {**(about or {}), **plain(survey)}
    write_json(folder / "attention.json", told)
    write_csv(folder / "attention.csv", [row for site in told["sites"] for row in _rows(site)])
    attention_survey(survey, folder / "attention.png")


def _site(report: SiteReport, verdict: SiteFinding) -> dict[str, Any]:
    site, looked = report.statistics, report.statistics.looking
    return {
        "path": site.path,
        "attention": site.attention,
        "verdict": verdict.kind,
        "words": verdict.words,
        "map50_95_without": report.without.map50_95,
        "map50_without": report.without.map50,
        "map50_95_constant": report.constant.map50_95 if report.constant else None,
        "map50_constant": report.constant.map50 if report.constant else None,
        "looking": {**asdict(looked), "concentration": looked.concentration} if looked else None,
        "parts": [
            {
                "name": part.name,
                "role": part.role,
                "range": part.range,
                **{name: getattr(part, name) for name in OF_PART},
                "means": part.means.tolist(),
            }
            for part in site.parts
        ],
    }


def _rows(site: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return a row for each part of a site, one for a site without parts; None where there is no number."""
    of_site = {key: value for key, value in site.items() if key not in ("looking", "parts", "words")}
    looked = site["looking"] or {}
    return [
        {
            **of_site,
            "part": part.get("name"),
            **{name: part.get(name) for name in OF_PART},
            **{name: looked.get(name) for name in OF_LOOKING},
        }
        for part in site["parts"] or ({},)
    ]
