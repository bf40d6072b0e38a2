"""`attendet explain`: what a detector's attention looks at in images, and what it changes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from attendet.cli.exit_codes import DEFECTS
from attendet.cli.explain_data import explain_data
from attendet.cli.options import AsJson, Device, ImageSize
from attendet.cli.ui.explanation_tally import ExplanationTally
from attendet.cli.ui.progress import progress_bar
from attendet.cli.ui.tables import console, tell_left_out
from attendet.errors import AttendetError, DataError, Location, OptionError
from attendet.utils.io import refuse_existing


def explain(
    weights: Annotated[
        str, typer.Argument(metavar="RUN|WEIGHTS", help="A run's folder, a .safetensors file, or a .pt of YOLOv5.")
    ],
    images: Annotated[
        list[str] | None, typer.Argument(metavar="[IMAGE...]", help="Images, folders, or patterns in quotes.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="A data set in place of images: which modules do something, and which nothing.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="train, val or test of --data; unless given, val.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="So many images of --data, spread evenly, instead of all.", min=1)
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images of --data per batch; unless given, 16.", min=1)] = None,
    out: Annotated[
        Path | None, typer.Option(help="A new folder for figures, page and numbers; runs/explain/exp if left out.")
    ] = None,
    site: Annotated[str, typer.Option(help="Which attention modules, by path: 'model.9', 'model.[2-4].*'.")] = "*",
    class_name: Annotated[
        str | None, typer.Option("--class", help="Name or number of the class whose detection CAMs explain.")
    ] = None,
    detection: Annotated[
        int, typer.Option(help="Which detection (of the class) CAMs explain, 1 the most confident.", min=1)
    ] = 1,
    conf_thres: Annotated[float, typer.Option(help="Least confidence, 0-1.", min=0, max=1)] = 0.25,
    iou_thres: Annotated[
        float, typer.Option(help="Boxes that overlap a better one by more are dropped, 0-1.", min=0, max=1)
    ] = 0.45,
    imgsz: ImageSize = None,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Show what attention looks at and what it changes: a figure for each image, one page, and the numbers.

    Images that cannot be read are named and left out. Exits with 1 if one was, and with 2 if none could be read.

    With --data, measure instead what each module does on a data set, and what mAP is without it.
    """
    of_images = {"--class": class_name, "--detection": detection != 1}
    of_images |= {"--conf-thres": conf_thres != 0.25, "--iou-thres": iou_thres != 0.45}
    of_data = {"--split": split, "--limit": limit is not None, "--batch-size": batch_size}
    _refuse(of_data if data is None else of_images, "without" if data is None else "beside")
    if (data is None) == (not images):
        both = "there are images and a data set" if images else "there is nothing to explain attention by"
        raise OptionError(both, remedy="name images, or give --data data.yaml")
    if out is not None:
        refuse_existing(out)
    if data is not None:
        explain_data(
            weights,
            data,
            split=split,
            site=site,
            limit=limit,
            imgsz=imgsz,
            batch_size=batch_size,
            device=device,
            out=out,
            as_json=as_json,
        )
        return
    from attendet.interpret.image.answer import Thresholds
    from attendet.interpret.image.explanation import explanations, opened
    from attendet.interpret.image.question import Question
    from attendet.interpret.image.writer import MANIFEST, PAGE, write_explanations, write_run
    from attendet.utils.devices import device_of

    where = device_of(device)
    question = Question(
        site=site,
        class_name=class_name,
        detection=detection,
        thresholds=Thresholds(conf_thres, iou_thres),
        imgsz=imgsz,
    )
    network, question = opened(weights, question)
    skipped = _Skipped()
    tally = ExplanationTally()
    paths = list(_named(images or (), skipped))
    with progress_bar("explaining") as bar:
        each = explanations(network.to(where), _counted(paths, bar), question, skipped)
        watched = tally.watch(each)
        if out is None:
            folder, _ = write_run(watched, Path("runs/explain"), "exp", network, question, weights)
        else:
            folder = out
            write_explanations(watched, out, network, question, weights)
    if as_json:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        typer.echo(json.dumps({"folder": str(folder), **manifest}, indent=2))
    else:
        tally.tell()
        console().print(f"written to {escape(str(folder))}; open {escape(str(folder / PAGE))}", soft_wrap=True)
    if skipped.count:
        raise typer.Exit(DEFECTS)


def _refuse(options: Mapping[str, object], how: str) -> None:
    """Refuse options that would say nothing."""
    given = next((name for name, value in options.items() if value), None)
    if given:
        raise OptionError(f"{given} {how} --data", remedy="leave one of them out" if how == "beside" else "give both")


def _named(arguments: Iterable[str], skip: Callable[[AttendetError], None]) -> Iterator[str]:
    """Yield the images that arguments name, as `attendet predict` understands them."""
    from attendet.prediction.sources import MediaKind, expand

    for source in expand(arguments, skip):
        if source.kind is MediaKind.IMAGE:
            yield source.name
        else:
            remedy = "give images, such as single frames"
            skip(
                DataError(
                    f"attention is not explained in a {source.kind.value}", where=Location(source.name), remedy=remedy
                )
            )


def _counted(paths: list[str], bar: Callable[[int, int], None]) -> Iterator[str]:
    for number, path in enumerate(paths):
        bar(number, len(paths))
        yield path


class _Skipped:
    """Names on standard error what is left out, and counts it."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, error: AttendetError) -> None:
        self.count += 1
        tell_left_out(console(stderr=True), error)
