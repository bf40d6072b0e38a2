"""The files of a survey of attention sites: JSON, a table, and a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attendet.interpret.dataset.survey import Survey
from attendet.interpret.dataset.survey_figure import draw_survey
from attendet.utils.io import write_csv, write_json
from attendet.utils.provenance import PACKAGES, versions

_PART_COLUMNS = ("mean", "std", "between", "fraction_between", "saturated")
_OVERLAP_COLUMNS = ("pointing", "energy", "area", "correlation", "concentration")


def survey_record(survey: Survey, about: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the content of `attention.json`: the survey, and the versions of the software.

    Args:
        survey: The survey.
        about: Further entries that come first, such as weights and data.
    """
    return {**(about or {}), **survey.to_dict(), "versions": versions(PACKAGES)}


def write_survey(folder: Path, survey: Survey, about: Mapping[str, Any] | None = None) -> None:
    """Write `attention.json`, `attention.csv` (a row for each part of a site), and `attention.png`.

    Args:
        folder: The folder; it is created if it is missing.
        survey: The survey.
        about: Further entries of the JSON that come first, such as weights and data.

    Raises:
        OutputError: If a file cannot be written.
    """
    record = survey_record(survey, about)
    write_json(folder / "attention.json", record)
    write_csv(folder / "attention.csv", [row for site in record["sites"] for row in _rows(site)])
    draw_survey(survey, folder / "attention.png")


def _rows(site: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return one row for each part of a site, or one row for a site without parts; None for a missing value."""
    of_site = {key: value for key, value in site.items() if key not in ("object_overlap", "parts", "text")}
    overlap = site["object_overlap"] or {}
    return [
        {
            **of_site,
            "part": part.get("name"),
            **{name: part.get(name) for name in _PART_COLUMNS},
            **{name: overlap.get(name) for name in _OVERLAP_COLUMNS},
        }
        for part in site["parts"] or ({},)
    ]
