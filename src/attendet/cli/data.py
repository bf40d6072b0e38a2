"""`attendet data`: check, convert, and download data sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer

from attendet.cli.command import DEFECTS, Verb, VerbGroup, show_help_without_verb
from attendet.cli.inputs import require_data
from attendet.cli.options import INPUT, OUTPUT, AsJson
from attendet.cli.ui.console import console, print_font_advice, progress_bar, step_progress
from attendet.cli.ui.data_table import print_data_report
from attendet.cli.ui.tables import table
from attendet.errors import OptionError
from attendet.utils.io import refuse_existing
from attendet.utils.json_text import to_json
from attendet.utils.limits import MAX_IMGSZ
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.data.conversion import ConversionResult

app = typer.Typer(cls=VerbGroup, invoke_without_command=True, help="Check, convert, or download a data set.")
app.callback()(show_help_without_verb)

Data: TypeAlias = Annotated[
    str, typer.Argument(metavar="DATA", help="A data.yaml, a folder, or a COCO json.", show_default=False)
]
Format: TypeAlias = Annotated[
    Literal["auto", "yolo", "coco", "voc", "cvat"],
    typer.Option("--format", help="Format of the labels; auto detects it.", rich_help_panel=INPUT),
]
Workers: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Processes that read files. [default: number of processors]",
        min=1,
        max=64,
        rich_help_panel=INPUT,
    ),
]


@app.command("check", cls=Verb)
def check_command(
    data: Data,
    format: Format = "auto",  # noqa: A002  # the name of the option
    workers: Workers = None,
    imgsz: Annotated[
        int,
        typer.Option(
            "--imgsz",
            "--img",
            "--img-size",
            metavar="PIXELS",
            help="Image size in training, at which box sizes are reported.",
            min=32,
            max=MAX_IMGSZ,
            rich_help_panel=INPUT,
        ),
    ] = 640,
    picture: Annotated[
        Path,
        typer.Option(
            metavar="FILE",
            help="PNG file for the plots; only a file of this command is replaced.",
            rich_help_panel=OUTPUT,
        ),
    ] = Path("data-check.png"),
    no_picture: Annotated[
        bool, typer.Option("--no-picture", help="Do not draw plots.", rich_help_panel=OUTPUT)
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Report the content of a data set and its problems: a table and plots.

    Exits with code 1 if there are errors, which are problems that affect training or validation.
    """
    require_data(data)
    from attendet.data.reading import data_source
    from attendet.data.report.data_report import make_data_report
    from attendet.data.report.overview import draw_overview, refuse_other_files

    if not no_picture:
        # Reading may take minutes, so a file that must not be replaced is reported first.
        refuse_other_files(picture)
    source = data_source.open(data, format)
    with step_progress("reading") as progress:
        splits = source.read_all(workers=workers, progress=progress)
    report = make_data_report(splits, imgsz, source)
    # Printed before the plots are drawn: their folder may turn out not to be writable.
    if as_json:
        about = {"data": data, "format": source.format, "picture": None if no_picture else str(picture)}
        typer.echo(to_json(about | report.to_dict()))
    else:
        print_data_report(report)
    if not no_picture:
        print_font_advice(source.names)
        draw_overview(splits, picture, title=data, imgsz=imgsz)
        if not as_json:
            console().print(f"plots: {picture}", soft_wrap=True)
    if report.errors:
        raise typer.Exit(DEFECTS)


@app.command("convert", cls=Verb)
def convert_command(
    data: Data,
    to: Annotated[
        Literal["yolo", "coco", "voc"],
        typer.Option(help="Format to write.", show_default=False, rich_help_panel=OUTPUT),
    ],
    folder: Annotated[Path | None, typer.Argument(metavar="DIR", help="The same as --out.", show_default=False)] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="New folder to write.", rich_help_panel=OUTPUT)
    ] = None,
    format: Format = "auto",  # noqa: A002  # the name of the option
    workers: Workers = None,
    copy: Annotated[
        bool | None,
        typer.Option(
            "--copy/--link",
            help="Copy the images, or create hard links. [default: hard links where possible]",
            show_default=False,
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    crowd: Annotated[
        Literal["refuse", "drop", "keep"],
        typer.Option(
            help="Boxes around groups of objects, which only COCO can mark: drop them, or keep them as objects.",
            rich_help_panel=OUTPUT,
        ),
    ] = "refuse",
    as_json: AsJson = False,
) -> None:
    """Write a data set in another format: images, labels, and a data.yaml.

    Exits with code 1 if something could not be converted.
    """
    require_data(data)
    target = _one_folder(folder, out)
    refuse_existing(target)
    from attendet.data.conversion import convert

    files = "auto" if copy is None else "copy" if copy else "link"
    with step_progress("reading") as progress:
        result = convert(
            data, to=to, out=target, format=format, files=files, crowd=crowd, workers=workers, progress=progress
        )
    losses = _conversion_losses(result)
    if as_json:
        typer.echo(to_json({"format": to, **result.to_dict()}))
    else:
        _print_converted(result, losses)
    if losses:
        raise typer.Exit(DEFECTS)


def _one_folder(folder: Path | None, out: Path | None) -> Path:
    """Return the folder that is named as an argument or as an option."""
    if folder is not None and out is not None:
        raise OptionError(f"the new folder must be named once, got {folder} and --out {out}")
    target = folder or out
    if target is None:
        raise OptionError("no folder is given to write into", remedy="give --out DIR")
    return target


@app.command("get", cls=Verb)
def get_command(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Name of a public data set; without it, all are listed.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder to write. [default: NAME]", rich_help_panel=OUTPUT),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another address of the same archive.", rich_help_panel=INPUT),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Download a public data set, verify its files, and write its data.yaml.

    If it is interrupted, the same command continues the download.
    """
    from attendet.data.download.public_data import get, public_sets

    if name is None:
        _print_public_sets(as_json=as_json)
        return
    with progress_bar(f"downloading {name}", of_bytes=True) as progress:
        data_yaml = get(name, out, url=url, progress=progress)
    public = public_sets()[name]
    if as_json:
        about = {"data_yaml": str(data_yaml), "name": public.name, "about": public.about}
        typer.echo(to_json({**about, "license": public.license, "home": public.home}))
        return
    for line in (str(data_yaml), public.about, f"license: {public.license}", public.home):
        console().print(line, soft_wrap=True)


def _conversion_losses(result: ConversionResult) -> list[str]:
    """Return a line for each kind of image, label, or box that is missing from the new data set or was changed."""
    losses = [
        f"{count:,} × {kind.value}: not converted; attendet data check lists the files"
        for kind, count in result.lost.items()
    ]
    if result.left_out:
        reason = "images or labels cannot be understood, or a split has no labels"
        losses.append(f"{plural(result.left_out, 'image')} left out, because {reason}")
    if result.clipped:
        boxes = plural(result.clipped, "box", "boxes")
        losses.append(f"{boxes} clipped to the image, because YOLO cannot express them")
    if result.dropped:
        losses.append(f"{plural(result.dropped, 'box', 'boxes')} dropped: crowds, or boxes outside the image")
    return losses


def _print_converted(result: ConversionResult, losses: Sequence[str]) -> None:
    out = console()
    if result.copied == result.images:
        how = "copied"
    else:
        how = f"{result.copied:,} of them copied" if result.copied else "linked"
    boxes, classes = plural(result.objects, "box", "boxes"), plural(result.num_classes, "class", "classes")
    images = plural(result.images, "image")
    out.print(f"{result.data_yaml}: {images} ({how}), {boxes}, {classes}", soft_wrap=True)
    if result.missing:
        out.print(f"{plural(result.missing, 'image')} without a label file: written as background", soft_wrap=True)
    for line in losses:
        out.print(f"! {line}", style="yellow", soft_wrap=True)


def _print_public_sets(*, as_json: bool) -> None:
    from attendet.data.download.public_data import public_sets

    known = public_sets().values()
    if as_json:
        keys = ("name", "about", "license", "home")
        typer.echo(to_json([{key: getattr(each, key) for key in keys} for each in known]))
        return
    rows = table(None, [("name", False), ("content", False), ("license", False), ("home", False)])
    for each in known:
        rows.add_row(each.name, each.about, each.license, each.home)
    console().print(rows)
