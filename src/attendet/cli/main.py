"""The `attendet` command."""

from __future__ import annotations

import platform
import sys
from typing import Annotated, TypeAlias

import typer

from attendet._version import __version__
from attendet.cli import attentions, check, data, explain, predict, study, summary, train, val, weights
from attendet.cli.exit_codes import REFUSED
from attendet.errors import AttendetError
from attendet.utils.text import printable

app = typer.Typer(
    name="attendet",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("summary")(summary.summary)
app.command("check")(check.check)
app.command("predict")(predict.predict)
app.command("explain")(explain.explain)
app.add_typer(data.app, name="data")
app.command("train", cls=train.TrainCommand)(train.train)
app.command("val")(val.val)
app.add_typer(study.app, name="study")
app.add_typer(weights.app, name="weights")
app.command("attentions")(attentions.attentions)


def _show_versions(wanted: bool) -> None:
    if not wanted:
        return
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    typer.echo(
        f"attendet {__version__}, torch {torch.__version__}, Python {platform.python_version()}, device {device}"
    )
    raise typer.Exit


Version: TypeAlias = Annotated[
    bool,
    typer.Option("--version", help="Show the versions and the device.", is_eager=True, callback=_show_versions),
]


@app.callback()
def attendet(version: Version = False) -> None:
    """Attention for convolutional networks, and an honest answer to whether it helped."""


def run() -> None:
    """Run the command line; an error that a user can cause exits with 2 and one line."""
    try:
        app()
    except AttendetError as error:
        # Names of files and words of servers stand in it, and a terminal obeys control characters.
        typer.echo("\n".join(map(printable, f"attendet: {error}".split("\n"))), err=True)
        sys.exit(REFUSED)
    except UnicodeError:
        typer.echo("attendet: a file's name is not valid text; rename the file", err=True)
        sys.exit(REFUSED)
    except OSError as error:
        # A pipe whose reader has seen enough is no error of ours: Typer ends on it, with 1.
        place = f"{error.filename}: " if error.filename else ""
        typer.echo(printable(f"attendet: {place}{error.strerror or error}"), err=True)
        sys.exit(REFUSED)
