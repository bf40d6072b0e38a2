"""`attendet explain WEIGHTS --data data.yaml`: what each attention site does on a data set, and which do nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from attendet.cli.ui.progress import progress_bar
from attendet.cli.ui.tables import console, table
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.data.records import Split
    from attendet.interpret.dataset.survey import Survey


def explain_data(
    weights: str,
    data: str,
    *,
    split: str | None = None,
    site: str = "*",
    limit: int | None = None,
    imgsz: int | None = None,
    batch_size: int | None = None,
    device: str = "auto",
    out: Path | None = None,
    as_json: bool = False,
) -> None:
    """Survey the attention sites of a detector, print what they do, and write it down.

    Args:
        weights: A run's folder or a file of weights.
        data: A data set.
        split: Which part of it; None takes val.
        site: Glob on the paths of the sites.
        limit: Take so many images, 1 or more, spread evenly over the split; None takes all.
        imgsz: Longer side in pixels; None takes that of training.
        batch_size: Images per batch; None takes 16.
        device: Where to compute.
        out: Folder for `attention.json`, `attention.csv` and `attention.png`.
        as_json: Print JSON instead of the table.

    Raises:
        AttendetError: If weights and data do not fit, or there is no attention.
    """
    from attendet.data.reading.data_source import open_data
    from attendet.evaluation.validation import images_for
    from attendet.interpret.capture import attention_sites
    from attendet.interpret.dataset.survey import survey_sites
    from attendet.interpret.dataset.survey_files import plain, write_survey
    from attendet.training.resource_errors import explain_resource_errors
    from attendet.utils.devices import device_of
    from attendet.weights.io.opening import open_detector, weights_file

    split, batch_size = split or "val", batch_size or 16
    detector, card = open_detector(weights_file(weights))
    attention_sites(detector, site)
    where = device_of(device)
    size = imgsz or card.imgsz
    with progress_bar("reading") as bar:
        images = _some(images_for(card.names, open_data(data), split, bar), limit)
    with progress_bar("measuring") as bar, explain_resource_errors(batch_size, size):
        found = survey_sites(detector, images, size, sites_like=site, batch_size=batch_size, device=where, progress=bar)
    about = {"weights": weights, "data": data, "split": split, "imgsz": size}
    if out is not None:
        write_survey(out, found, about)
    if as_json:
        typer.echo(json.dumps({**about, **plain(found)}, indent=2))
    else:
        _print(found, weights)


def _some(split: Split, limit: int | None) -> Split:
    from attendet.data.records import ImageRecords
    from attendet.utils.sampling import evenly_spaced

    if limit is None:
        return split
    return replace(
        split, records=ImageRecords(split.records[number] for number in evenly_spaced(len(split.records), limit))
    )


def _print(survey: Survey, weights: str) -> None:
    from attendet.interpret.dataset.findings import caution, site_findings

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
    counts = f"{plural(metrics.images, 'image')}, {plural(metrics.objects, 'object')}"
    out.print(
        f"\n{counts}: mAP50-95 {metrics.map50_95:.3f}; `without` and `constant` are its changes, which say something "
        f"beyond {survey.noise:.3f}, one object more or less",
        soft_wrap=True,
    )
    for verdict in site_findings(survey).values():
        out.print(escape(verdict.words), soft_wrap=True)
    told = caution(survey)
    if told:
        out.print(told, soft_wrap=True)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
