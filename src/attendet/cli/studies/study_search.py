"""`attendet study search`: try many candidates with one seed, and draft a study of the best."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.inputs import require_file
from attendet.cli.options import OUTPUT, AsJson
from attendet.cli.ui.console import console
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.study.searching.search_records import SearchFolder, SearchRecord


def search_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Design of the search; see docs/study.md.", show_default=False)
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the search. [default: runs/search/NAME]", rich_help_panel=OUTPUT),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try many attention modules and places with one seed, and draft a study of the best.

    It can be interrupted at any time: the same command continues.
    """
    require_file(file, "see docs/study.md")
    from attendet.cli.ui.search_table import SearchTable
    from attendet.study.search_workflow import open_search
    from attendet.study.searching.search_run import run_search

    search = open_search(file, out)
    try:
        with SearchTable() as observer:
            record = run_search(search, observer)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("the same command continues")
        raise
    if as_json:
        typer.echo(search.folder.record.read_text(encoding="utf-8"))
    else:
        _print_search(record, search.folder)


def _print_search(record: SearchRecord, folder: SearchFolder) -> None:
    from attendet.cli.ui.search_table import candidates_table

    out = console()
    out.print(candidates_table(record))
    if record.exhausted:
        out.print(f"the search space is exhausted: {plural(len(record.candidates) - 1, 'candidate')}")
    out.print(record.note, soft_wrap=True)
    draft = str(folder.draft)
    out.print(f"draft of a study: {draft}; check it, then run attendet study plan {draft}", soft_wrap=True)
