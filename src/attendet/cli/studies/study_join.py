"""`attendet study join`: compare the arms of studies on several data sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from attendet.cli.inputs import require_file
from attendet.cli.options import AsJson
from attendet.cli.ui.console import console
from attendet.utils.json_text import to_json


def join_command(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders of studies, one for each data set.", show_default=False),
    ],
    as_json: AsJson = False,
) -> None:
    """Compare the arms of several studies, one for each data set, with the baseline."""
    for folder in folders:
        require_file(folder, "name the folder of a study, such as runs/study/first")
    from attendet.cli.ui.tables import table
    from attendet.study import workflow

    joined = workflow.join(folders)
    if as_json:
        typer.echo(to_json(joined.to_dict()))
        return
    header, rows = joined.table()
    shown = table(f"differences in {joined.metric}", [(header[0], False), *((name, True) for name in header[1:])])
    for row in rows:
        shown.add_row(*row)
    terminal = console()
    terminal.print(shown)
    for remark in joined.remarks:
        terminal.print(f"note: {remark}", soft_wrap=True)
