"""`attendet val`: how good weights are on a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from attendet.cli.options import AsJson, Device, ImageSize
from attendet.cli.ui.progress import progress_bar
from attendet.cli.ui.tables import console, table
from attendet.errors import OptionError

if TYPE_CHECKING:
    from attendet.data.reading.data_source import DataSource
    from attendet.evaluation.validation import Validation


def val(
    weights: Annotated[
        str, typer.Argument(metavar="RUN|WEIGHTS", help="A run's folder, a .safetensors file, or a .pt of YOLOv5.")
    ],
    data: Annotated[str | None, typer.Option(help="A data set; that of the run if left out.")] = None,
    split: Annotated[str, typer.Option("--split", "--task", help="train, val or test.")] = "val",
    imgsz: ImageSize = None,
    batch_size: Annotated[int, typer.Option(help="Images per batch.", min=1)] = 16,
    conf_thres: Annotated[float, typer.Option(help="Least confidence.", min=0, max=1)] = 0.001,
    iou_thres: Annotated[
        float, typer.Option(help="Overlap above which the less confident is dropped.", min=0, max=1)
    ] = 0.6,
    max_det: Annotated[int, typer.Option(help="Most detections of an image.", min=1)] = 300,
    device: Device = "auto",
    half: Annotated[bool, typer.Option("--half", help="Compute in 16 bits (CUDA).")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder for metrics, detections and truth in COCO's format, and pictures.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure detections: COCO's mAP by class and size, precision, recall, F1, and the time per image by stage."""
    from attendet.evaluation.config import ValidationConfig
    from attendet.evaluation.validation import images_for, validate
    from attendet.training.resource_errors import explain_resource_errors
    from attendet.utils.devices import device_of
    from attendet.weights.io.opening import open_detector, weights_file

    detector, card = open_detector(weights_file(weights))
    source = _source(weights, data)
    where = device_of(device)
    if half and not where.startswith("cuda"):
        raise OptionError("--half needs CUDA", remedy="leave it out")
    with progress_bar("reading") as bar:
        images = images_for(card.names, source, split, bar)
    options = ValidationConfig(confidence=conf_thres, iou=iou_thres, max_detections=max_det)
    with progress_bar("validating") as bar, explain_resource_errors(batch_size, imgsz or card.imgsz):
        measured = validate(
            detector,
            images,
            imgsz or card.imgsz,
            options,
            batch_size=batch_size,
            device=where,
            half=half,
            progress=bar,
        )
    if out is not None:
        _write(out, measured, images.names)
    if as_json:
        typer.echo(json.dumps(_plain(measured), indent=2))
    else:
        _print(measured, weights)


def _source(weights: str, data: str | None) -> DataSource:
    """Return the data set to measure on, that of the run where none is named."""
    from pydantic import ValidationError

    from attendet.data.reading.data_source import open_data
    from attendet.training.config import DataConfig
    from attendet.training.run_folder import RunFolder, read_record

    if data is not None:
        return open_data(data)
    if not Path(weights).is_dir():
        raise OptionError("weights alone do not say on what to measure", remedy="give --data data.yaml")
    configuration = read_record(RunFolder(Path(weights))).configuration
    try:
        recorded = DataConfig.model_validate(configuration["data"])
    except (KeyError, TypeError, ValidationError) as error:
        raise OptionError("the run does not say on what to measure", remedy="give --data data.yaml") from error
    return open_data(recorded.path, recorded.format)


def _plain(measured: Validation) -> dict[str, Any]:
    milliseconds = {stage: round(1000 * seconds, 3) for stage, seconds in vars(measured.seconds).items()}
    return {**measured.metrics.to_dict(), "milliseconds_per_image": milliseconds}


def _write(out: Path, measured: Validation, names: tuple[str, ...]) -> None:
    from attendet.data.formats.serialization import coco_text
    from attendet.evaluation.validation import coco_detections
    from attendet.training.plots.run_plots import draw_measured
    from attendet.training.run_folder import RunFolder
    from attendet.utils.io import write_atomically

    truth = "".join(coco_text(names, measured.records, [str(record.image) for record in measured.records]))
    texts = {
        "metrics": json.dumps(_plain(measured), indent=2),
        "detections": json.dumps(coco_detections(measured)),
        "truth": truth,
    }
    for name, text in texts.items():
        with write_atomically(out / f"{name}.json") as temporary:
            temporary.write_text(text, encoding="utf-8")
    draw_measured(RunFolder(out), measured, names)


def _print(measured: Validation, weights: str) -> None:
    metrics = measured.metrics
    headings = ["class", "images", "objects", "precision", "recall", "F1", "mAP50", "mAP50-95"]
    rows = table(escape(weights), [(heading, heading != "class") for heading in headings])
    whole = (metrics.precision, metrics.recall, metrics.f1, metrics.map50, metrics.map50_95)
    rows.add_row("all", str(metrics.images), str(metrics.objects), *map(_share, whole), style="bold")
    for each in metrics.per_class:
        shares = (each.precision, each.recall, each.f1, each.ap50, each.ap50_95)
        rows.add_row(escape(each.name), str(each.images), str(each.objects), *map(_share, shares))
    out = console()
    out.print(rows)
    sizes = {"small": metrics.map_small, "medium": metrics.map_medium, "large": metrics.map_large}
    out.print(
        f"\nmAP75 {metrics.map75:.3f}; mAP50-95 by size: {', '.join(f'{k} {_share(v)}' for k, v in sizes.items())}"
    )
    if metrics.confidence is not None:
        out.print(f"precision, recall and F1 at confidence {metrics.confidence:.3f}, where the mean F1 is best")
    spent = vars(measured.seconds)
    out.print(f"per image: {', '.join(f'{stage} {1000 * seconds:.1f} ms' for stage, seconds in spent.items())}")


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
