"""`attendet val`: validate weights on a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attendet.cli.inputs import parse_image_size, require_data, run_location, weights_and_sources
from attendet.cli.options import (
    DETECTION,
    INPUT,
    OUTPUT,
    AsJson,
    BatchSize,
    CanvasSize,
    Confidence,
    Device,
    ExistOk,
    Half,
    Iou,
    MaxDetections,
    Name,
    Project,
    SplitName,
    WeightsArgument,
    WeightsOption,
)
from attendet.cli.ui.console import console, print_font_advice, progress_bar
from attendet.cli.ui.tables import score, table
from attendet.errors import OptionError
from attendet.utils.json_text import to_json

if TYPE_CHECKING:
    from attendet.evaluation.validation import Validation

DEFAULT_PROJECT = Path("runs/val")


def val_command(
    weights: WeightsArgument = None,
    weights_option: WeightsOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="A data.yaml, a folder, or a COCO json. [default: data set of the run]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    split: Annotated[
        SplitName, typer.Option("--split", "--task", help="Part of the data set.", rich_help_panel=INPUT)
    ] = "val",
    imgsz: CanvasSize = None,
    confidence: Confidence = None,
    iou: Iou = None,
    max_detections: MaxDetections = None,
    batch_size: BatchSize = 16,
    device: Device = "auto",
    half: Half = False,
    canvas: Annotated[
        Literal["border", "tight", "square", "yolov5"],
        typer.Option(
            "--canvas",
            metavar="RULE",
            help="Gray around an image: at least half a stride (border), as little as possible (tight), a square, or "
            "as in the original's val.py (yolov5), where it depends on the other images.",
            rich_help_panel=DETECTION,
        ),
    ] = "border",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write metrics, detections and ground truth as COCO json, and plots into this folder.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    save_json: Annotated[
        bool,
        typer.Option("--save-json", help="Write the same to --project/--name: runs/val/exp.", rich_help_panel=OUTPUT),
    ] = False,
    project: Project = None,
    name: Name = None,
    exist_ok: ExistOk = False,
    as_json: AsJson = False,
) -> None:
    """Validate weights: mAP by class and size, precision, recall, F1, and the time per image.

    Results are written only with --out, --save-json, --project, or --name.
    """
    path, others = weights_and_sources(weights, weights_option)
    if others:
        raise OptionError(f"weights must be one file, got {path} and {others[0]}", remedy="validate them one by one")
    if data is not None:
        require_data(data)
    elif not Path(path).is_dir():
        raise OptionError("no data set is given, and a weights file does not name one", remedy="give --data data.yaml")
    size = parse_image_size(imgsz)
    is_written = save_json or any(value is not None for value in (out, project, name))
    location = run_location(out, project, name, DEFAULT_PROJECT, exist_ok=exist_ok)
    from attendet.api.validation import validate

    with progress_bar("validating") as progress:
        validation = validate(
            path,
            data,
            split=split,
            imgsz=size,
            batch_size=batch_size,
            confidence=confidence,
            iou=iou,
            max_detections=max_detections,
            device=device,
            half=half,
            canvas=canvas,
            progress=progress,
        )
    folder = _write(validation, *location, exist_ok=exist_ok) if is_written else None
    if as_json:
        typer.echo(to_json(validation.to_dict()))
    else:
        _print(validation, path, folder)


def _write(validation: Validation, project: Path, name: str, *, exist_ok: bool) -> Path:
    """Write metrics, detections, ground truth, and plots into a folder, and return it."""
    from attendet.utils.io import new_run_folder
    from attendet.utils.processes.folder_lock import exclusive_lock

    folder = new_run_folder(project, name, exist_ok=exist_ok)
    with exclusive_lock(folder, "run"):
        _write_files(validation, folder)
    return folder


def _write_files(validation: Validation, folder: Path) -> None:
    from attendet.data.formats.serialization import coco_text
    from attendet.evaluation.validation import coco_detections
    from attendet.training.plots.run_plots import draw_validation
    from attendet.training.run_folder import RunFolder
    from attendet.utils.io import write_json, write_text

    names = tuple(each.name for each in validation.metrics.per_class)
    images = [str(record.image) for record in validation.records]
    write_json(folder / "metrics.json", validation.to_dict())
    write_json(folder / "detections.json", coco_detections(validation), indent=None)
    write_text(folder / "truth.json", "".join(coco_text(names, validation.records, images, validation.ids)))
    print_font_advice(names)
    draw_validation(RunFolder(folder), validation, names)


def _print(validation: Validation, weights: str, folder: Path | None) -> None:
    metrics = validation.metrics
    headings = ["class", "images", "objects", "precision", "recall", "F1", "mAP50", "mAP50-95"]
    rows = table(weights, [(heading, heading != "class") for heading in headings])
    means = (metrics.precision, metrics.recall, metrics.f1, metrics.map50, metrics.map50_95)
    rows.add_row("all", str(metrics.images), str(metrics.objects), *map(score, means), style="bold")
    for each in metrics.per_class:
        values = (each.precision, each.recall, each.f1, each.ap50, each.ap50_95)
        rows.add_row(each.name, str(each.images), str(each.objects), *map(score, values))
    out = console()
    out.print(rows)
    sizes = {"small": metrics.map_small, "medium": metrics.map_medium, "large": metrics.map_large}
    by_size = ", ".join(f"{size} {score(value)}" for size, value in sizes.items())
    out.print(f"\nmAP75 {metrics.map75:.3f}; mAP50-95 by size: {by_size}")
    if metrics.confidence is not None:
        out.print(f"precision, recall, and F1 at confidence {metrics.confidence:.3f}, where the mean F1 is highest")
    out.print(f"per image: {validation.seconds}")
    for line in (str(validation.labels), *validation.remarks):
        out.print(line, soft_wrap=True)
    if folder is not None:
        out.print(f"results: {folder}", soft_wrap=True)
