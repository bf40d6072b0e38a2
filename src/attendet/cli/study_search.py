"""`attendet study search`: which attention, and where, is worth a study?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from attendet.cli.exit_codes import INTERRUPTED
from attendet.cli.options import AsJson
from attendet.cli.ui.tables import console
from attendet.utils.text import plural


def search(
    file: Annotated[Path, typer.Argument(metavar="SEARCH.YAML", help="What is tried; see docs/study.md.")],
    project: Annotated[Path, typer.Option(help="Folder of searches; this one's is named after it.")] = Path(
        "runs/search"
    ),
    as_json: AsJson = False,
) -> None:
    """Try many candidates with one seed, and draft the study that decides. Stop it at any time: it goes on."""
    from attendet.cli.ui.search_table import SearchTable, candidates_table
    from attendet.study.searching.search_file import read_search
    from attendet.study.searching.search_records import SearchFolder
    from attendet.study.searching.search_run import Search, run_search

    design = read_search(file)
    folder = SearchFolder(project / design.name)
    try:
        with SearchTable() as watcher:
            record = run_search(Search(design, file.parent, folder), watcher)
    except KeyboardInterrupt:
        typer.echo("interrupted: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(folder.record.read_text(encoding="utf-8"))
        return
    out = console()
    out.print(candidates_table(record))
    if record.exhausted:
        count = plural(len(record.candidates) - 1, "candidate")
        out.print(f"nothing is left to try: the space has {count}")
    out.print(record.note, soft_wrap=True)
    draft = escape(str(folder.draft))
    out.print(f"{draft} is a draft of it: read it, then attendet study plan {draft}", soft_wrap=True)
