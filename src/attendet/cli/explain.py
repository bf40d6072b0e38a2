"""`attendet explain`: show where the attention of a detector looks, and how it changes the detections."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.explain_data import survey_data_set
from attendet.cli.inputs import require_data, weights_and_sources
from attendet.cli.options import (
    COMPUTING,
    DETECTION,
    INPUT,
    OUTPUT,
    AsJson,
    Confidence,
    Device,
    ImageSize,
    Iou,
    SourcesOption,
    SplitName,
    WeightsArgument,
    WeightsOption,
)
from attendet.cli.ui.console import console, print_font_advice, print_skipped, progress_bar
from attendet.cli.ui.explanation_tally import ExplanationTally
from attendet.errors import AttendetError, DataError, Location, OptionError
from attendet.utils.io import read_json, refuse_existing
from attendet.utils.json_text import to_json

if TYPE_CHECKING:
    from attendet.interpret.image.request import ExplanationRequest

_CONFIDENCE = 0.25
_MAX_MANIFEST_BYTES = 2**28


def explain_command(
    weights: WeightsArgument = None,
    images: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IMAGE...",
            help="Images, folders, patterns in quotes, or lists of paths (.txt).",
            show_default=False,
        ),
    ] = None,
    weights_option: WeightsOption = None,
    sources_option: SourcesOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Data set to survey all attention modules on, instead of images.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option("--split", "--task", help="Part of --data. [default: val]", rich_help_panel=INPUT),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Use N images of --data, evenly spaced, instead of all.", min=1, rich_help_panel=INPUT
        ),
    ] = None,
    site: Annotated[
        str,
        typer.Option(
            metavar="PATTERN",
            help="Attention modules to explain, by path: model.9, 'model.[2-4].*'.",
            rich_help_panel=INPUT,
        ),
    ] = "*",
    imgsz: ImageSize = None,
    class_name: Annotated[
        str | None,
        typer.Option(
            "--class",
            metavar="CLASS",
            help="Index or name of the class whose detection is explained. [default: of the most confident detection]",
            rich_help_panel=DETECTION,
        ),
    ] = None,
    detection: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Explain the Nth detection (of --class); 1 is the most confident.",
            min=1,
            rich_help_panel=DETECTION,
        ),
    ] = 1,
    confidence: Confidence = None,
    iou: Iou = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            "--batch",
            metavar="N",
            help="Images of --data that go through the network together. [default: 16]",
            min=1,
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="New folder for figures, an HTML page, and numbers. [default: runs/explain/exp; with --data: none]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show where the attention of a detector looks in images, and how it changes the detections.

    Images that cannot be read are named and skipped: the exit code is then 1, and 2 if no image could be read.

    With --data, measure each attention module on a data set: where it looks, and the mAP without it.
    """
    path, sources = weights_and_sources(weights, weights_option, [*(images or ()), *(sources_option or ())])
    for_images = {"--class": class_name, "--detection": detection != 1}
    for_images |= {"--conf": confidence is not None, "--iou": iou is not None}
    for_data = {"--split": split, "--limit": limit is not None, "--batch-size": batch_size}
    _check_options(data, sources, for_images, for_data)
    if out is not None:
        refuse_existing(out)
    if data is not None:
        require_data(data)
        survey_data_set(
            path,
            data,
            split=split or "val",
            site=site,
            limit=limit,
            imgsz=imgsz,
            batch_size=batch_size or 16,
            device=device,
            out=out,
            as_json=as_json,
        )
        return
    from attendet.interpret.image.request import ExplanationRequest

    request = ExplanationRequest(
        site=site,
        class_name=class_name,
        detection=detection,
        confidence=_CONFIDENCE if confidence is None else confidence,
        iou=iou,
        imgsz=imgsz,
    )
    _explain_images(path, sources, request, device=device, out=out, as_json=as_json)


def _check_options(
    data: str | None, sources: Sequence[str], for_images: Mapping[str, object], for_data: Mapping[str, object]
) -> None:
    """Raise an error unless there are either images or a data set, with options that apply to them.

    Args:
        data: The data set.
        sources: The images.
        for_images: Options that apply to images only, and whether each is given.
        for_data: Options that apply to a data set only, and whether each is given.

    Raises:
        OptionError: If the options do not fit.
    """
    unused = next((name for name, is_given in (for_data if data is None else for_images).items() if is_given), None)
    if unused is not None and data is None:
        raise OptionError(f"{unused} has no effect without --data", remedy="give both")
    if unused is not None:
        raise OptionError(f"{unused} has no effect with --data", remedy="give one of them")
    if data is not None and sources:
        raise OptionError("images and a data set are given", remedy="name images, or give --data data.yaml")
    if data is None and not sources:
        raise OptionError("no image is given", remedy="name images, or give --data data.yaml")


def _explain_images(
    weights: str, sources: Sequence[str], request: ExplanationRequest, *, device: str, out: Path | None, as_json: bool
) -> None:
    """Explain images, write the explanations into a folder, and print a table or the manifest."""
    from attendet.interpret.image.explainer import explanations, open_network
    from attendet.interpret.image.writer import MANIFEST, PAGE, write_explanations, write_run

    network, request = open_network(weights, request, device)
    print_font_advice(request.names)
    skipped = _SkippedImages()
    tally = ExplanationTally()
    paths = list(_image_paths(sources, skipped))
    with progress_bar("explaining") as progress:
        found = tally.collect(explanations(network, _count(paths, progress), request, skipped))
        if out is None:
            folder, _ = write_run(found, Path("runs/explain"), "exp", network, request, weights)
        else:
            folder = out
            write_explanations(found, out, network, request, weights)
    if as_json:
        manifest = read_json(folder / MANIFEST, _MAX_MANIFEST_BYTES)
        typer.echo(to_json({"folder": str(folder), **manifest}))
    else:
        tally.print()
        console().print(f"results: {folder}; open {folder / PAGE}", soft_wrap=True)
    if skipped.count:
        raise typer.Exit(DEFECTS)


def _image_paths(sources: Iterable[str], skip: Callable[[AttendetError], None]) -> Iterator[str]:
    """Yield the images that sources name, as `attendet predict` expands them; videos and cameras are skipped."""
    from attendet.prediction.sources import MediaKind, expand_sources

    for source in expand_sources(sources, skip):
        if source.kind is MediaKind.IMAGE:
            yield source.name
        else:
            message = f"attention cannot be explained in a {source.kind.value}"
            skip(DataError(message, where=Location(source.label), remedy="give images, such as single frames"))


def _count(paths: list[str], progress: Callable[[int, int], None]) -> Iterator[str]:
    """Yield paths, and report the number of those before."""
    for number, path in enumerate(paths):
        progress(number, len(paths))
        yield path


class _SkippedImages:
    """Names the images that are skipped on standard error, and counts them."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: AttendetError) -> None:
        self.count += 1
        print_skipped(error)
