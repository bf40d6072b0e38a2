"""`attendet explain WEIGHTS --data data.yaml`: what each attention site does on a data set, and which do nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.markup import escape

from attendet.cli.progress import progress_bar
from attendet.cli.tables import console, table
from attendet.errors import OptionError

if TYPE_CHECKING:
    from attendet.data.records import Split
    from attendet.engine.survey import SiteReport, Survey

OF_PART = ("mean", "std", "between", "share_between", "saturated")
OF_LOOKING = ("pointing", "energy", "area", "correlation", "concentration")


def explain_data(
    weights: str,
    data: str,
    *,
    split: str = "val",
    site: str = "*",
    limit: int | None = None,
    imgsz: int | None = None,
    batch_size: int = 16,
    device: str = "auto",
    out: Path | None = None,
    as_json: bool = False,
) -> None:
    """Survey the attention sites of a detector, print what they do, and write it down.

    Args:
        weights: A run's folder or a file of weights.
        data: A data set.
        split: Which part of it.
        site: Glob on the paths of the sites.
        limit: Take so many images, spread evenly over the split; None takes all.
        imgsz: Longer side in pixels; None takes that of training.
        batch_size: Images per batch.
        device: Where to compute.
        out: Folder for `attention.json`, `attention.csv` and `attention.png`.
        as_json: Print JSON instead of the table.

    Raises:
        AttendetError: If weights and data do not fit, or there is no attention.
    """
    from attendet.data.source import open_source, read_split
    from attendet.data.usable import usable
    from attendet.engine.hardware import device_of
    from attendet.engine.remedies import remedies
    from attendet.engine.survey import survey
    from attendet.engine.validate import require_same_classes
    from attendet.model.open import open_detector, weights_file
    from attendet.observe.capture import sites

    detector, card = open_detector(weights_file(weights))
    sites(detector, site)
    where = device_of(device)
    size = imgsz or card.image_size
    with progress_bar("reading") as bar:
        # Weights of one class called object were trained with --single-cls.
        images = usable(read_split(open_source(data), split, progress=bar), single_class=card.names == ("object",))
    require_same_classes(card.names, images, data)
    images = _some(images, limit)
    with progress_bar("measuring") as bar, remedies(batch_size, size):
        found = survey(detector, images, size, sites_like=site, batch_size=batch_size, device=where, progress=bar)
    plain = {"weights": weights, "data": data, "split": split, "image_size": size, **_plain(found)}
    if out is not None:
        _write(out, found, plain)
    if as_json:
        typer.echo(json.dumps(plain, indent=2))
    else:
        _print(found, weights)


def _some(split: Split, limit: int | None) -> Split:
    import numpy as np

    from attendet.data.records import Records

    if limit is None or limit >= len(split.records):
        return split
    if limit < 1:
        raise OptionError(f"--limit {limit}", remedy="give 1 or more images")
    chosen = np.linspace(0, len(split.records) - 1, limit).round().astype(int).tolist()
    return replace(split, records=Records(split.records[number] for number in chosen))


def _plain(survey: Survey) -> dict[str, Any]:
    """Return plain values for JSON."""
    from attendet.engine.run import versions
    from attendet.engine.verdicts import caution, verdicts

    said = verdicts(survey)
    return {
        "images": survey.metrics.images,
        "objects": survey.metrics.objects,
        "map50_95": survey.metrics.map50_95,
        "map50": survey.metrics.map50,
        "noise": survey.noise,
        "caution": caution(survey),
        "sites": [
            {
                "path": report.statistics.path,
                "attention": report.statistics.attention,
                "verdict": said[report.statistics.path].kind,
                "words": said[report.statistics.path].words,
                "map50_95_without": report.without.map50_95,
                "map50_without": report.without.map50,
                "map50_95_constant": report.constant.map50_95 if report.constant else None,
                "map50_constant": report.constant.map50 if report.constant else None,
                "looking": _looking(report),
                "parts": [
                    {
                        "name": part.name,
                        "role": part.role,
                        "range": part.range,
                        **{name: getattr(part, name) for name in OF_PART},
                        "means": part.means.tolist(),
                    }
                    for part in report.statistics.parts
                ],
            }
            for report in survey.sites
        ],
        "versions": versions(),
    }


def _looking(report: SiteReport) -> dict[str, float] | None:
    looked = report.statistics.looking
    return {**asdict(looked), "concentration": looked.concentration} if looked else None


def _write(out: Path, survey: Survey, plain: dict[str, Any]) -> None:
    from attendet.engine.pictures.survey import attention_survey
    from attendet.files import write_atomically

    with write_atomically(out / "attention.json") as temporary:
        temporary.write_text(json.dumps(plain, indent=2), encoding="utf-8")
    rows = _rows(plain)
    with (
        write_atomically(out / "attention.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    attention_survey(survey, out / "attention.png")


def _rows(plain: dict[str, Any]) -> list[dict[str, object]]:
    """Return a row for each part of each site, one for a site without parts; None where there is no number."""
    rows = []
    for site in plain["sites"]:
        of_site = {key: value for key, value in site.items() if key not in ("looking", "parts", "words")}
        looked = site["looking"] or {}
        rows += [
            {
                **of_site,
                "part": part.get("name"),
                **{name: part.get(name) for name in OF_PART},
                **{name: looked.get(name) for name in OF_LOOKING},
            }
            for part in site["parts"] or ({},)
        ]
    return rows


def _print(survey: Survey, weights: str) -> None:
    from attendet.engine.verdicts import caution, verdicts

    metrics = survey.metrics
    texts = ("site", "attention", "part")
    shares = ("mean", "std", "between", "share between", "saturated")
    numbers = (*shares, "pointing", "by chance", "concentration", "correlation", "without", "constant")
    rows = table(escape(weights), [(name, False) for name in texts] + [(name, True) for name in numbers])
    for report in survey.sites:
        site, looked = report.statistics, report.statistics.looking
        looks = (looked.pointing, looked.area, looked.concentration, looked.correlation) if looked else (None,) * 4
        whole = metrics.map50_95
        worth = (report.without.map50_95 - whole, report.constant.map50_95 - whole if report.constant else None)
        of_site = [*map(_number, looks), *map(_signed, worth)]
        for number, part in enumerate(site.parts or (None,)):
            values = (part.mean, part.std, part.between, part.share_between, part.saturated) if part else (None,) * 5
            name = (escape(site.path), site.attention) if number == 0 else ("", "")
            rows.add_row(*name, part.name if part else "-", *map(_number, values), *(of_site if number == 0 else []))
    out = console()
    out.print(rows)
    out.print(
        f"\n{metrics.images} images, {metrics.objects} objects: mAP50-95 {metrics.map50_95:.3f}; `without` and "
        f"`constant` are its changes, which say something beyond {survey.noise:.3f}, one object more or less",
        soft_wrap=True,
    )
    for verdict in verdicts(survey).values():
        out.print(escape(verdict.words), soft_wrap=True)
    told = caution(survey)
    if told:
        out.print(told, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
