"""`attendet export`: write a network as files for other runtimes, each compared with torch."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.inputs import one_model, parse_image_size, require_data, split_names
from attendet.cli.options import (
    COMPUTING,
    DETECTION,
    INPUT,
    OUTPUT,
    AsJson,
    Confidence,
    Iou,
    MaxDetections,
    NetworkArgument,
    NetworkOption,
)
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import styled, table
from attendet.errors import Location, OptionError, WeightsError
from attendet.utils.json_text import to_json
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.exporting import Exported, ExportOptions

_FILE = "File"


def export_command(
    model: NetworkArgument = None,
    weights: NetworkOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Data set to measure mAP with, in torch and in the file, and to calibrate int8 with.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "--include",
            metavar="NAMES",
            help="onnx, openvino, torch, ncnn, executorch, tensorrt; several with commas. [default: onnx]",
            rich_help_panel=_FILE,
        ),
    ] = None,
    imgsz: Annotated[
        str | None,
        typer.Option(
            "--imgsz",
            "--img",
            "--img-size",
            metavar="PIXELS",
            help="Longer side of images, or HEIGHT,WIDTH with --static. [default: as in training]",
            rich_help_panel=_FILE,
        ),
    ] = None,
    static: Annotated[
        bool,
        typer.Option(
            "--static", help="Take images of this size only, into which all are fitted.", rich_help_panel=_FILE
        ),
    ] = False,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            "--batch-size",
            metavar="N",
            help="With --static: number of images at a time. [default: 1]",
            min=1,
            rich_help_panel=_FILE,
        ),
    ] = None,
    half: Annotated[bool, typer.Option("--half", help="Compute in 16 bits.", rich_help_panel=_FILE)] = False,
    int8: Annotated[
        bool,
        typer.Option(
            "--int8",
            help="Compute convolutions in 8 bits; needs the data set of the run or --data.",
            rich_help_panel=_FILE,
        ),
    ] = False,
    gates: Annotated[
        bool,
        typer.Option("--gates", help="Also return the maps of attention, for attendet explain.", rich_help_panel=_FILE),
    ] = False,
    no_attention: Annotated[
        bool, typer.Option("--no-attention", help="Leave every attention module out.", rich_help_panel=_FILE)
    ] = False,
    opset: Annotated[
        int, typer.Option(metavar="N", help="Version of the ONNX operators.", min=18, max=23, rich_help_panel=_FILE)
    ] = 20,
    nms: Annotated[
        bool, typer.Option("--nms", help="Select detections in the file.", rich_help_panel=DETECTION)
    ] = False,
    confidence: Confidence = None,
    iou: Iou = None,
    max_detections: MaxDetections = None,
    agnostic_nms: Annotated[
        bool,
        typer.Option(
            "--agnostic-nms", help="Boxes of different classes suppress each other, too.", rich_help_panel=DETECTION
        ),
    ] = False,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Largest difference from torch, of scores and of boxes as a fraction of the canvas. "
            "[default: 0.001; with --half: 0.02]",
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    accept: Annotated[
        bool,
        typer.Option("--accept", help="Keep a file whose mAP is too low.", rich_help_panel=COMPUTING),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the files. [default: that of the weights]", rich_help_panel=OUTPUT),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a network as files for other runtimes, and compare each file with torch on several canvases and batches.

    A file that differs by more than --tolerance, or loses too much mAP, is kept with .failed at the end of its name:
    the exit code is then 1.
    """
    path = one_model(model, weights)
    if data is not None:
        require_data(data)
    thresholds = {
        "--conf": confidence,
        "--iou": iou,
        "--max-det": max_detections,
        "--agnostic-nms": agnostic_nms or None,
    }
    unused = next((name for name, value in thresholds.items() if value is not None), None)
    if unused is not None and not nms:
        raise OptionError(f"{unused} has no effect without --nms", remedy="give both")
    if half and int8:
        raise OptionError("--half cannot be combined with --int8", remedy="give one of them")
    size = parse_image_size(imgsz)
    names = list(dict.fromkeys(split_names(formats or ["onnx"])))
    if not names:
        raise OptionError("--format must name at least one format, got none", remedy="name one, such as onnx")
    from attendet.api.exporting import export_files
    from attendet.exporting import ExportOptions, SelectionOptions
    from attendet.runtimes import is_exported

    if is_exported(path):
        remedy = "name the weights that it was exported from"
        raise WeightsError("an exported file cannot be exported again", where=Location(path), remedy=remedy)
    selection = SelectionOptions(
        0.25 if confidence is None else confidence, iou, max_detections or 300, agnostic=agnostic_nms
    )
    options = ExportOptions(
        imgsz=size,
        batch=batch,
        static=static,
        selection=selection if nms else None,
        precision="int8" if int8 else "float16" if half else "float32",
        gates=gates,
        attention=not no_attention,
        opset=opset,
        tolerance=tolerance,
        accept=accept,
    )
    err = console(stderr=True)
    exported = []
    for each in export_files(path, names, options=options, out=out, data=data, report=err.print):
        exported.append(each)
        if not as_json:
            _print(each, options)
    if as_json:
        typer.echo(to_json([each.to_dict() for each in exported]))
    if not all(each.passes for each in exported):
        raise typer.Exit(DEFECTS)


def _print(exported: Exported, options: ExportOptions) -> None:
    """Print the differences of a file from torch, and how it is used."""
    out = console()
    parity = exported.parity
    images = f"{parity.real_images} real" if parity.real_images else "synthetic"
    rows = table(None, [("compared with torch", False), ("largest difference", True), ("limit", True)])
    names = {"boxes": "boxes (fraction of the canvas)", "scores": "scores (0-1)"}
    # Scores are at most 1: an int8 file has no limit unless the user gave one.
    limit = f"{parity.tolerance:g}" if parity.tolerance < 1 else "none"
    for name, value in parity.differences.items():
        rows.add_row(names.get(name, f"{name} (fraction of the largest value)"), f"{value:.1e}", limit)
    if exported.metadata.selection is not None and parity.tolerance < 1:
        rows.add_row("detections that differ", f"{parity.differing} of {parity.detections}", "0")
    if parity.quality is not None:
        quality = parity.quality
        text = (
            f"mAP50-95 on {plural(quality.images, 'image')}: {quality.map_torch:.4f} in torch, {quality.map_file:.4f}"
        )
        change = f"{abs(100 * quality.loss):.2f} points {'lost' if quality.loss >= 0 else 'gained'}"
        rows.add_row(text, change, f"{100 * quality.limit:g} lost")
    out.print(rows)
    shapes = ", ".join("x".join(map(str, shape)) for shape in dict.fromkeys(parity.inputs))
    out.print(f"on {images} images in batches of {shapes}", soft_wrap=True)
    for failure in parity.failures:
        out.print(styled(f"{exported.path.name}: {failure}", "red"), soft_wrap=True)
    out.print(f"{exported.path}: {exported.size / 2**20:.1f} MB", soft_wrap=True)
    if exported.format == "tensorrt" and exported.passes:
        out.print(f"TensorRT (not verified here): {trtexec_line(exported, options)}", soft_wrap=True)


def trtexec_line(exported: Exported, options: ExportOptions) -> str:
    """Return the command with which TensorRT builds its engine from an ONNX file.

    The file states the precision of each operator, also in 8 and 16 bits, so the command does not.
    """
    command = ["trtexec", f"--onnx={exported.path}", f"--saveEngine={exported.path.with_suffix('.engine')}"]
    imgsz = exported.metadata.imgsz
    if not options.static and imgsz is not None:
        stride = int(max(exported.metadata.strides))
        side = -(-imgsz // stride) * stride
        shapes = (("min", 1, stride), ("opt", 1, side), ("max", 8, side + stride))
        command += [f"--{name}Shapes=images:{count}x3x{sides}x{sides}" for name, count, sides in shapes]
    return shlex.join(command)
