"""`attendet data`: look into a data set, convert it, or fetch a public one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import typer
from rich.markup import escape

from attendet.cli.exit_codes import DEFECTS
from attendet.cli.options import AsJson
from attendet.cli.ui.data_table import print_report
from attendet.cli.ui.progress import progress_bar
from attendet.cli.ui.tables import console, table
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.data.reading.data_source import DataSource
    from attendet.data.records import Split

app = typer.Typer(no_args_is_help=True, help="Look into a data set, convert it, or fetch a public one.")

Format: TypeAlias = Literal["auto", "yolo", "coco", "voc"]
Data: TypeAlias = Annotated[str, typer.Argument(help="A data.yaml, a COCO json, or a folder.", metavar="DATA")]
FormatOption: TypeAlias = Annotated[
    Format, typer.Option("--format", help="How labels are written; auto: as the data.yaml says, or by looking.")
]
Workers: TypeAlias = Annotated[
    int | None, typer.Option(help="Processes that read; by default as many as processors.", min=1, max=64)
]


@app.command()
def check(
    data: Data,
    imgsz: Annotated[int, typer.Option(help="Training size: box sizes are told at it.", min=32, max=8192)] = 640,
    format: FormatOption = "auto",  # noqa: A002  # what the option is called
    picture: Annotated[
        Path | None, typer.Option(help="Where the picture goes; only one drawn by this command is replaced.")
    ] = Path("data-check.png"),
    no_picture: Annotated[bool, typer.Option("--no-picture", help="Draw none.")] = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Tell what is in a data set and what is wrong with it: a table, and a picture.

    Exits with 1 where there are errors: training would skip something, or measure the wrong thing.
    """
    from attendet.data.reading.data_source import open_data
    from attendet.data.report.data_report import make_data_report
    from attendet.data.report.overview_figure import draw_overview, refuse_foreign

    drawn = None if no_picture else picture
    if drawn:
        # Before the long part.
        refuse_foreign(drawn)
    source = open_data(data, format)
    splits = _read(source, workers)
    found = make_data_report(splits, imgsz)
    # Told before the picture is drawn, whose folder may turn out not to be writable.
    if as_json:
        about = {"data": data, "format": source.format, "picture": str(drawn) if drawn else None}
        typer.echo(json.dumps(about | found.to_dict(), indent=2, ensure_ascii=False))
    else:
        print_report(found, source)
    if drawn:
        draw_overview(splits, drawn, title=data, imgsz=imgsz)
        if not as_json:
            console().print(escape(f"drawn: {drawn}"), soft_wrap=True)
    if found.errors:
        raise typer.Exit(DEFECTS)


@app.command()
def convert(
    data: Data,
    out: Annotated[Path, typer.Argument(help="The folder to make.")],
    to: Annotated[Literal["yolo", "coco", "voc"], typer.Option(help="The format to write.")],
    format: FormatOption = "auto",  # noqa: A002  # what the option is called
    copy: Annotated[
        bool | None, typer.Option("--copy/--link", help="Copy images, or link them; by default link where possible.")
    ] = None,
    crowd: Annotated[
        Literal["refuse", "drop", "keep"],
        typer.Option(help="Groups of objects, which only COCO can mark: leave them out, or keep them as objects."),
    ] = "refuse",
    workers: Workers = None,
) -> None:
    """Write a data set in another format: images, labels, and a data.yaml.

    Exits with 1 where something could not be taken along.
    """
    from attendet.data.conversion import convert as write
    from attendet.data.reading.data_source import open_data
    from attendet.utils.io import refuse_existing

    # Before the long part.
    refuse_existing(out)
    source = open_data(data, format)
    splits = _read(source, workers)
    files = "auto" if copy is None else "copy" if copy else "link"
    with progress_bar("writing") as progress:
        readable = [split for split in splits if len(split.records)]
        done = write(readable, to, out, files=files, crowd=crowd, progress=progress)
    how = "copied" if done.copied == done.images else f"{done.copied:,} of them copied" if done.copied else "linked"
    counts = (plural(done.objects, "box", "boxes"), plural(len(source.names), "class", "classes"))
    told = f"{done.data_yaml}: {plural(done.images, 'image')} ({how}), {', '.join(counts)}"
    console().print(escape(told), soft_wrap=True)
    lost = _lost(splits)
    if done.cut:
        lost.append(f"{plural(done.cut, 'box', 'boxes')} further outside than YOLO can say: cut at the image's edge")
    if done.left_out:
        lost.append(f"{plural(done.left_out, 'box', 'boxes')} left out: crowds, or nothing of it inside the image")
    for line in lost:
        console().print(escape(f"! {line}"), style="yellow", soft_wrap=True)
    if lost:
        raise typer.Exit(DEFECTS)


@app.command()
def get(
    name: Annotated[str | None, typer.Argument(help="bccd or pear640; without a name, all are listed.")] = None,
    out: Annotated[Path | None, typer.Option(help="The folder to make; by default of the set's name, here.")] = None,
    url: Annotated[str | None, typer.Option(help="Another address of the same archive.")] = None,
) -> None:
    """Fetch a public data set, check every file of it, and write its data.yaml.

    Called again after an interruption, it goes on from there.
    """
    from attendet.data.download.public_sets import download_public_set as fetch
    from attendet.data.download.public_sets import find_public_set, public_sets

    if name is None:
        listed = table(None, [("name", False), ("what", False), ("license", False), ("home", False)])
        for known in public_sets().values():
            listed.add_row(known.name, escape(known.about), escape(known.license), known.home)
        console().print(listed)
        return
    wanted = find_public_set(name)
    with progress_bar(f"fetching {name}", of_bytes=True) as progress:
        written = fetch(wanted, out or Path(name), url=url, progress=progress)
    for line in (str(written), wanted.about, f"license: {wanted.license}", wanted.home):
        console().print(escape(line), soft_wrap=True)


def _read(source: DataSource, workers: int | None) -> list[Split]:
    """Return all splits; where one of several cannot be read, it is empty, and a problem says why.

    Raises:
        DataError: If none can be read.
    """
    from attendet.data.reading.data_source import read_split
    from attendet.data.records import ImageRecords, Problem, ProblemKind, Split
    from attendet.errors import DataError, Location

    splits, failed = [], []
    for name in source.splits:
        try:
            with progress_bar(f"reading {name}") as progress:
                splits.append(read_split(source, name, workers=workers, progress=progress))
        except DataError as error:
            failed.append(error)
            detail = error.what if error.remedy is None else f"{error.what}; {error.remedy}"
            problem = Problem(ProblemKind.MISSING_SPLIT, error.where or Location(str(source.file)), detail)
            splits.append(Split(name, source.names, ImageRecords(), (problem,)))
    if len(failed) == len(splits):
        raise failed[0]
    return splits


def _lost(splits: list[Split]) -> list[str]:
    """Return what reading has lost already, in words."""
    from attendet.data.records import ProblemKind

    losing = (
        ProblemKind.MISSING_SPLIT,
        ProblemKind.UNREADABLE_IMAGE,
        ProblemKind.MISSING_IMAGE,
        ProblemKind.UNREADABLE_LABELS,
        ProblemKind.MALFORMED,
        ProblemKind.UNKNOWN_CLASS,
    )
    counts = {kind: sum(split.counts()[kind] for split in splits) for kind in losing}
    return [
        f"{count:,} × {kind.value}: not taken along; attendet data check names them"
        for kind, count in counts.items()
        if count
    ]
