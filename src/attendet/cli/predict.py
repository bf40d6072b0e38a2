"""`attendet predict`: find objects in images and videos."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.inputs import (
    count_sources,
    lines_of_standard_input,
    nothing_to_read,
    parse_image_size,
    require_data,
    require_same_names,
    run_location,
    split_names,
    weights_and_sources,
)
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
    SourcesArgument,
    SourcesOption,
    WeightsArgument,
    WeightsOption,
)
from attendet.cli.ui.console import console, print_font_advice, print_skipped
from attendet.cli.ui.prediction_progress import PredictionProgress
from attendet.cli.ui.tables import table
from attendet.errors import OptionError
from attendet.utils.text import plural, printable

if TYPE_CHECKING:
    from attendet.prediction.drawing import DrawingStyle
    from attendet.prediction.predictor import Predictor, Timings
    from attendet.prediction.session import PredictionCounts
    from attendet.prediction.writers import ResultWriter


def predict_command(
    weights: WeightsArgument = None,
    sources: SourcesArgument = None,
    weights_option: WeightsOption = None,
    sources_option: SourcesOption = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Data set whose class names the weights must have.", rich_help_panel=INPUT),
    ] = None,
    vid_stride: Annotated[
        int, typer.Option(metavar="N", help="Use every Nth frame of a video.", min=1, rich_help_panel=INPUT)
    ] = 1,
    imgsz: CanvasSize = None,
    confidence: Confidence = None,
    iou: Iou = None,
    max_detections: MaxDetections = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASSES",
            help="Keep these classes only, by index or name: --classes 0 3, --classes cat,dog.",
            rich_help_panel=DETECTION,
        ),
    ] = None,
    agnostic_nms: Annotated[
        bool,
        typer.Option(
            "--agnostic-nms", help="Boxes of different classes suppress each other, too.", rich_help_panel=DETECTION
        ),
    ] = False,
    device: Device = "auto",
    half: Half = False,
    canvas: Annotated[
        Literal["border", "tight", "square"],
        typer.Option(
            "--canvas",
            metavar="RULE",
            help="Gray around an image: at least half a stride (border), as little as possible (tight), or a square.",
            rich_help_panel=DETECTION,
        ),
    ] = "border",
    batch_size: BatchSize = 1,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder to write into. [default: runs/predict/exp, exp2, ...]", rich_help_panel=OUTPUT
        ),
    ] = None,
    project: Project = None,
    name: Name = None,
    exist_ok: ExistOk = False,
    nosave: Annotated[
        bool, typer.Option("--nosave", help="Do not write annotated images and videos.", rich_help_panel=OUTPUT)
    ] = False,
    save_txt: Annotated[
        bool, typer.Option("--save-txt", help="Write YOLO label files.", rich_help_panel=OUTPUT)
    ] = False,
    save_conf: Annotated[
        bool, typer.Option("--save-conf", help="Add the confidence to label files.", rich_help_panel=OUTPUT)
    ] = False,
    save_crop: Annotated[
        bool, typer.Option("--save-crop", help="Write an image of each detection.", rich_help_panel=OUTPUT)
    ] = False,
    save_csv: Annotated[
        bool, typer.Option("--save-csv", help="Write predictions.csv.", rich_help_panel=OUTPUT)
    ] = False,
    save_json: Annotated[
        bool,
        typer.Option(
            "--save-json", help="Write predictions.json in the format of COCO results.", rich_help_panel=OUTPUT
        ),
    ] = False,
    as_json: AsJson = False,
    line_thickness: Annotated[
        int | None,
        typer.Option(
            "--line-thickness",
            metavar="PIXELS",
            help="Line width of drawn boxes. [default: by image size]",
            min=1,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    hide_labels: Annotated[
        bool, typer.Option("--hide-labels", help="Draw boxes without labels.", rich_help_panel=OUTPUT)
    ] = False,
    hide_conf: Annotated[
        bool, typer.Option("--hide-conf", help="Draw labels without confidences.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Find objects in images and videos, and write the results.

    Inputs that cannot be read are named and skipped: the exit code is then 1, and 2 if no input could be read.
    """
    if save_conf and not save_txt:
        raise OptionError("--save-conf has no effect without --save-txt", remedy="give both")
    path, named = weights_and_sources(weights, weights_option, [*(sources or ()), *(sources_option or ())])
    if data is not None:
        require_data(data)
    size = parse_image_size(imgsz)
    location = run_location(out, project, name, Path("runs/predict"), exist_ok=exist_ok)
    progress = PredictionProgress(count_sources(named, print_skipped), vid_stride)
    from attendet.prediction.drawing import DrawingStyle
    from attendet.prediction.predictor import Predictor

    predictor = Predictor(
        path,
        imgsz=size,
        confidence=confidence,
        iou=iou,
        max_detections=max_detections,
        classes=None if classes is None else split_names(classes),
        agnostic=agnostic_nms or None,
        device=device,
        half=half,
        canvas=canvas,
    )
    if data is not None:
        require_same_names(predictor.names, data)
    if not nosave:
        print_font_advice(predictor.names)
    files = {"images": not nosave, "labels": save_txt, "crops": save_crop, "csv": save_csv, "json": save_json}
    outputs = _Outputs(
        location=location,
        exist_ok=exist_ok,
        files=frozenset(kind for kind, is_wanted in files.items() if is_wanted),
        style=DrawingStyle(line_thickness, labels=not hide_labels, confidence=not hide_conf),
        label_confidence=save_conf,
        prints_json=as_json,
    )
    counts, folder, interrupt = _run(predictor, named, outputs, progress, stride=vid_stride, batch_size=batch_size)
    _print(counts, predictor.timings, folder, progress.skipped, to_stderr=as_json)
    if interrupt is not None:
        raise interrupt
    if progress.skipped:
        raise typer.Exit(DEFECTS)


@dataclass(frozen=True)
class _Outputs:
    """The files that a run writes.

    Attributes:
        location: Project folder and name of the run.
        exist_ok: Whether the folder may exist.
        files: Kinds of files: images, labels, crops, csv, json.
        style: How boxes are drawn.
        label_confidence: Whether label files contain confidences.
        prints_json: Whether JSON is printed on standard output.
    """

    location: tuple[Path, str]
    exist_ok: bool
    files: frozenset[str]
    style: DrawingStyle
    label_confidence: bool
    prints_json: bool

    def open(
        self, names: Sequence[str], progress: PredictionProgress, stack: ExitStack
    ) -> tuple[Path | None, list[ResultWriter]]:
        """Create the folder if files are written, and return it with the writers, which the stack closes."""
        from attendet.prediction.drawing import AnnotatedWriter
        from attendet.prediction.writers import CocoWriter, CropWriter, CsvWriter, LabelWriter
        from attendet.utils.io import new_run_folder
        from attendet.utils.processes.folder_lock import exclusive_lock

        writers: dict[str, Callable[[Path], ResultWriter]] = {
            "images": lambda folder: AnnotatedWriter(folder, names, self.style, progress.skip),
            "labels": lambda folder: LabelWriter(folder, confidence=self.label_confidence),
            "crops": lambda folder: CropWriter(folder, names, progress.skip),
            "csv": lambda folder: CsvWriter(folder / "predictions.csv"),
            "json": lambda folder: CocoWriter(folder / "predictions.json"),
        }
        folder, opened = None, []
        if self.files:
            folder = new_run_folder(*self.location, exist_ok=self.exist_ok)
            stack.enter_context(exclusive_lock(folder, "run"))
            opened = [stack.enter_context(make(folder)) for kind, make in writers.items() if kind in self.files]
        if self.prints_json:
            opened.append(stack.enter_context(CocoWriter(sys.stdout)))
        return folder, opened


def _run(
    predictor: Predictor,
    sources: Sequence[str],
    outputs: _Outputs,
    progress: PredictionProgress,
    *,
    stride: int,
    batch_size: int,
) -> tuple[PredictionCounts, Path | None, KeyboardInterrupt | None]:
    """Detect objects in all sources; return the counts, the folder, and the interruption if there was one.

    Raises:
        DataError: If no source can be read.
    """
    from attendet.prediction.input_frames import read_frames
    from attendet.prediction.session import PredictionCounts, predict_frames
    from attendet.prediction.sources import expand_sources

    expanded = expand_sources(sources, progress.skip, lines_of_standard_input())
    frames = read_frames(expanded, progress.skip, stride, on_loss=progress.tell_loss, bit_depth=predictor.bit_depth)
    counts, folder = PredictionCounts(), None
    with progress.bar, closing(frames), ExitStack() as stack:
        try:
            with predictor.timings.stage("read"):
                first = next(frames, None)
            if first is None:
                raise nothing_to_read()
            # Opened only now, so that a run without any input leaves no folder behind.
            folder, writers = outputs.open(predictor.names, progress, stack)
            all_frames = itertools.chain([first], frames)
            predict_frames(predictor, all_frames, writers, counts, batch_size=batch_size, progress=progress.advance)
        except KeyboardInterrupt as interrupt:
            # A camera is usually ended like this, and the results so far are complete.
            return counts, folder, interrupt
    return counts, folder, None


def _print(counts: PredictionCounts, timings: Timings, folder: Path | None, skipped: int, *, to_stderr: bool) -> None:
    out = console(stderr=to_stderr)
    inputs = [plural(counts.images, "image")] if counts.images or not counts.videos else []
    inputs += [f"{plural(counts.frames, 'frame')} of {plural(counts.videos, 'video')}"] if counts.videos else []
    out.print(f"{', '.join(inputs)}: {plural(counts.detections.total(), 'detection')}")
    if counts.unfinished:
        files = plural(counts.unfinished, "JPEG file")
        out.print(f"{files} without an end marker, read nevertheless")
    if counts.detections:
        rows = table(None, [("class", False), ("detections", True)])
        for name, number in counts.detections.most_common():
            rows.add_row(printable(name), f"{number:,}")
        out.print(rows)
    if counts.total:
        per_image = (f"{stage} {1000 * seconds / counts.total:.1f}" for stage, seconds in timings.seconds.items())
        out.print(f"ms per image: {', '.join(per_image)}")
    if folder is not None:
        out.print(f"results: {folder}", soft_wrap=True)
    if skipped:
        out.print(f"{plural(skipped, 'input or output', 'inputs or outputs')} skipped or incomplete, named above")
