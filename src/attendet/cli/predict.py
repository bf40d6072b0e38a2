"""`attendet predict`: what a trained network sees in images and videos."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from attendet.cli.exit_codes import DEFECTS, INTERRUPTED
from attendet.cli.options import AsJson, Device
from attendet.cli.ui.prediction_progress import PredictionProgress
from attendet.cli.ui.tables import console, table
from attendet.errors import DataError, OptionError
from attendet.utils.text import plural, printable

if TYPE_CHECKING:
    from attendet.prediction.predictor import Timings
    from attendet.prediction.session import PredictionTally
    from attendet.prediction.writers import Writer

_LONGEST_LINE = 65_536


def predict(
    weights: Annotated[str, typer.Argument(help="A run's folder, a .safetensors file, or a .pt of YOLOv5.")],
    sources: Annotated[
        list[str],
        typer.Argument(
            metavar="SOURCE...",
            help="Images, videos, folders, patterns in quotes, list files (.txt), - for paths from standard input, "
            "a camera's number.",
        ),
    ],
    imgsz: Annotated[
        int | None,
        typer.Option("--imgsz", "--img", "--img-size", help="Longer side in pixels; training's if left out."),
    ] = None,
    conf_thres: Annotated[float, typer.Option(help="Least confidence, 0-1.")] = 0.25,
    iou_thres: Annotated[float, typer.Option(help="Boxes that overlap a better one by more are dropped, 0-1.")] = 0.45,
    max_det: Annotated[int, typer.Option(help="Most detections of an image.")] = 1000,
    classes: Annotated[
        list[str] | None, typer.Option(help="Names or numbers of the classes to keep: --classes cat,3.")
    ] = None,
    agnostic_nms: Annotated[
        bool, typer.Option("--agnostic-nms", help="Boxes of different classes suppress each other.")
    ] = False,
    device: Device = "auto",
    half: Annotated[bool, typer.Option("--half", help="Half precision, on a GPU.")] = False,
    batch_size: Annotated[int, typer.Option(help="Images that go through the network together.", min=1)] = 1,
    vid_stride: Annotated[int, typer.Option(help="Take every n-th frame of a video.", min=1)] = 1,
    nosave: Annotated[bool, typer.Option("--nosave", help="Write no annotated images and videos.")] = False,
    save_txt: Annotated[bool, typer.Option("--save-txt", help="Write YOLO label files.")] = False,
    save_conf: Annotated[bool, typer.Option("--save-conf", help="With the confidence in them.")] = False,
    save_crop: Annotated[bool, typer.Option("--save-crop", help="Write each detection cut out.")] = False,
    save_csv: Annotated[bool, typer.Option("--save-csv", help="Write predictions.csv.")] = False,
    save_json: Annotated[bool, typer.Option("--save-json", help="Write predictions.json, COCO results.")] = False,
    as_json: AsJson = False,
    project: Annotated[Path, typer.Option(help="The folder of all runs.")] = Path("runs/predict"),
    name: Annotated[str, typer.Option(help="The run's folder in it; a number is added where it exists.")] = "exp",
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Take the run's folder even if it exists.")] = False,
    line_thickness: Annotated[int | None, typer.Option(help="Pixels; chosen by the image's size if left out.")] = None,
    hide_labels: Annotated[bool, typer.Option("--hide-labels", help="Draw boxes alone.")] = False,
    hide_conf: Annotated[bool, typer.Option("--hide-conf", help="Draw no confidences.")] = False,
) -> None:
    """Find objects in images and videos, and write what was found.

    What cannot be read, or held by its format, is named and left out. Exits with 1 if something was, and with 2 if
    nothing could be read.
    """
    if save_conf and not save_txt:
        raise OptionError("--save-conf without --save-txt", remedy="give both")
    from attendet.prediction.annotated import PictureWriter
    from attendet.prediction.drawing import Style
    from attendet.prediction.input_frames import read_frames
    from attendet.prediction.predictor import Predictor
    from attendet.prediction.session import PredictionTally, predict_frames
    from attendet.prediction.sources import expand
    from attendet.prediction.writers import CocoWriter, CropWriter, CsvWriter, LabelWriter
    from attendet.utils.io import new_run_folder

    style = Style(line_thickness, labels=not hide_labels, confidence=not hide_conf)
    predictor = Predictor(
        weights,
        imgsz=imgsz,
        confidence=conf_thres,
        iou=iou_thres,
        max_detections=max_det,
        classes=_class_list(classes),
        agnostic=agnostic_nms,
        device=device,
        half=half,
    )
    possible: list[tuple[bool, Callable[[Path], Writer]]] = [
        (not nosave, lambda folder: PictureWriter(folder, predictor.names, style, watch.skip)),
        (save_txt, lambda folder: LabelWriter(folder, confidence=save_conf)),
        (save_crop, lambda folder: CropWriter(folder, predictor.names, watch.skip)),
        (save_csv, lambda folder: CsvWriter(folder / "predictions.csv")),
        (save_json, lambda folder: CocoWriter(folder / "predictions.json")),
    ]
    wanted = [make for is_wanted, make in possible if is_wanted]

    watch = PredictionProgress(_expected(sources), vid_stride)
    seen = read_frames(expand(sources, watch.skip, _standard_input()), watch.skip, vid_stride)
    tally, folder, interrupted = PredictionTally(), None, False
    with watch.progress, ExitStack() as stack:
        try:
            with predictor.timings.stage("read"):
                first = next(seen, None)
            if first is None:
                raise DataError(
                    "nothing could be used of what was named", remedy="name images, videos, folders or a camera"
                )
            # Made only now, so that a run with nothing to look at leaves no folder.
            folder = new_run_folder(project, name, exist_ok=exist_ok) if wanted else None
            writers = [stack.enter_context(make(folder)) for make in wanted] if folder else []
            if as_json:
                writers.append(stack.enter_context(CocoWriter(sys.stdout)))
            everything = itertools.chain([first], seen)
            predict_frames(predictor, everything, writers, tally, batch_size=batch_size, progress=watch.advance)
        except KeyboardInterrupt:
            # The usual end of a camera; what has been seen is worth keeping of anything.
            interrupted = True
    _summarize(tally, predictor.timings, folder, watch.skipped, to_stderr=as_json)
    if interrupted:
        raise typer.Exit(INTERRUPTED)
    if watch.skipped:
        raise typer.Exit(DEFECTS)


def _class_list(texts: list[str] | None) -> list[str] | None:
    """Return what `--classes cat,3 --classes dog` names."""
    if texts is None:
        return None
    return [name.strip() for text in texts for name in text.split(",") if name.strip()]


def _standard_input() -> Iterator[str]:
    """Yield the lines of standard input as they come; names of files are bytes, and need not be UTF-8."""
    for line in iter(lambda: sys.stdin.buffer.readline(_LONGEST_LINE), b""):
        yield line.decode("utf-8", "surrogateescape")


def _expected(sources: list[str]) -> int | None:
    """Return how many images and videos there will be, where that can be known without reading them."""
    from attendet.prediction.sources import MediaKind, expand

    if "-" in sources:
        return None
    found = 0
    for source in expand(sources, lambda _: None):
        if source.kind is MediaKind.CAMERA:
            return None
        found += 1
    return found


def _summarize(tally: PredictionTally, timings: Timings, folder: Path | None, skipped: int, *, to_stderr: bool) -> None:
    out = console(stderr=to_stderr)
    looked_at = [plural(tally.images, "image")] if tally.images or not tally.videos else []
    if tally.videos:
        looked_at.append(f"{plural(tally.frames, 'frame')} of {plural(tally.videos, 'video')}")
    out.print(f"{', '.join(looked_at)}: {plural(tally.detections.total(), 'detection')}")
    if tally.detections:
        rows = table(None, [("class", False), ("detections", True)])
        for name, found in tally.detections.most_common():
            rows.add_row(escape(printable(name)), f"{found:,}")
        out.print(rows)
    if tally.pictures:
        per_image = (f"{stage} {1000 * seconds / tally.pictures:.1f}" for stage, seconds in timings.seconds.items())
        out.print(f"ms per image: {', '.join(per_image)}")
    if folder is not None:
        out.print(f"written to {escape(str(folder))}", soft_wrap=True)
    if skipped:
        out.print(f"could not be read or written, or not to the end: {skipped}, named above")
