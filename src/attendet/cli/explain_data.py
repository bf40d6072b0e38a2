"""`attendet explain --data`: measure what each attention module does on a data set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from attendet.cli.ui.console import console, progress_bar
from attendet.cli.ui.tables import change, score, table
from attendet.errors import OptionError
from attendet.utils.json_text import to_json
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.data.label_counts import LabelCounts
    from attendet.data.records import Split
    from attendet.interpret.dataset.survey import SiteReport, Survey


def survey_data_set(
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
    """Measure the attention modules of a detector on a data set, and print and write the results.

    Args:
        weights: Folder of a run or weights file.
        data: The data set.
        split: `train`, `val`, or `test`.
        site: Pattern of the paths of the attention modules.
        limit: Number of images, 1 or more, evenly spaced over the split; None for all.
        imgsz: Longer side of the images in pixels; None for that of training.
        batch_size: Images per batch.
        device: The device that computes.
        out: Folder for `attention.json`, `attention.csv`, and `attention.png`; None writes nothing.
        as_json: Print JSON instead of the table.

    Raises:
        AttendetError: If weights and data do not fit, or the detector has no such attention.
    """
    from attendet.data.reading import data_source
    from attendet.evaluation.validation import read_split_for_classes
    from attendet.interpret.capture import attention_sites
    from attendet.interpret.dataset.survey_files import survey_record, write_survey
    from attendet.interpret.dataset.surveying import survey_sites
    from attendet.runtimes.runtime_files import is_exported
    from attendet.training.resource_errors import explain_resource_errors
    from attendet.utils.devices import resolve_device
    from attendet.weights.io import opening

    if is_exported(weights):
        message = "--data needs weights, because the survey changes the network, got an exported file"
        raise OptionError(message, remedy="name the weights that were exported")
    opened = opening.open(weights)
    # A wrong pattern should be reported before the images are read.
    attention_sites(opened.detector, site)
    target, size = resolve_device(device), imgsz or opened.imgsz
    with progress_bar("reading") as progress:
        source, depth = data_source.open(data), opened.card.bit_depth
        read = read_split_for_classes(opened.names, source, split, progress, bit_depth=depth)
        images = _first_images(read, limit)
    with progress_bar("measuring") as progress, explain_resource_errors(batch_size, size):
        survey = survey_sites(
            opened.detector, images, size, site=site, batch_size=batch_size, device=target, progress=progress
        )
    about = {"weights": weights, "data": data, "split": split, "imgsz": size}
    if out is not None:
        write_survey(out, survey, about)
    if as_json:
        typer.echo(to_json(survey_record(survey, about)))
    else:
        _print(survey, images.labels, weights, out)


def _first_images(split: Split, limit: int | None) -> Split:
    """Return a split with at most `limit` images, evenly spaced over it."""
    from attendet.data.records import ImageRecords
    from attendet.utils.sampling import evenly_spaced

    if limit is None:
        return split
    chosen = evenly_spaced(len(split.records), limit)
    return replace(split, records=ImageRecords(split.records[index] for index in chosen))


def _print(survey: Survey, labels: LabelCounts, weights: str, folder: Path | None) -> None:
    metrics = survey.metrics
    texts = ("site", "attention", "part")
    weight_columns = ("mean", "std", "between", "fraction between", "saturated")
    object_columns = ("pointing", "by chance", "concentration", "correlation")
    numbers = (*weight_columns, *object_columns, "without", "constant")
    rows = table(weights, [(name, False) for name in texts] + [(name, True) for name in numbers])
    for report in survey.sites:
        for row in _rows(report, metrics.map50_95):
            rows.add_row(*row)
    out = console()
    out.print(rows)
    counts = f"{plural(metrics.images, 'image')}, {plural(metrics.objects, 'object')}"
    out.print(
        f"\n{counts}: mAP50-95 {metrics.map50_95:.3f}; `without` and `constant` are its changes if the site is "
        "disabled or its weights are replaced by their means; changes up to "
        f"{survey.noise:.3f} (one object more or less) are noise",
        soft_wrap=True,
    )
    out.print(str(labels), soft_wrap=True)
    for finding in survey.findings.values():
        out.print(finding.text, soft_wrap=True)
    if survey.caution:
        out.print(survey.caution, soft_wrap=True)
    if folder is not None:
        out.print(f"results: {folder}", soft_wrap=True)


def _rows(report: SiteReport, map50_95: float) -> list[list[str]]:
    """Return one row for each part of a site, or one for a site without parts; the first has the values of the site."""
    site, overlap = report.statistics, report.statistics.object_overlap
    on_objects = (
        (overlap.pointing, overlap.area, overlap.concentration, overlap.correlation) if overlap else (None,) * 4
    )
    without = report.without.map50_95 - map50_95
    constant = report.constant.map50_95 - map50_95 if report.constant else None
    of_site = [*map(score, on_objects), change(without), change(constant)]
    rows = []
    for number, part in enumerate(site.parts or (None,)):
        values = (part.mean, part.std, part.between, part.fraction_between, part.saturated) if part else (None,) * 5
        name = (site.path, site.attention) if number == 0 else ("", "")
        rows.append([*name, part.name if part else "-", *map(score, values), *(of_site if number == 0 else [])])
    return rows
