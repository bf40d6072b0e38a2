"""The `attendet` command."""

from __future__ import annotations

import platform
import sys
from typing import Annotated, TypeAlias

import typer

from attendet._version import __version__
from attendet.cli import attentions, check, data, explain, predict, study, summary, train, val, weights
from attendet.cli.command import (
    INTERRUPTED,
    REFUSED,
    USAGE_ERROR,
    Verb,
    VerbGroup,
    describe_usage_error,
    show_help_without_verb,
)
from attendet.errors import AttendetError
from attendet.utils.text import printable

DETECTORS, EXPERIMENTS, MODELS = "Detectors", "Data and studies", "Models and weights"

app = typer.Typer(
    name="attendet",
    cls=VerbGroup,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("train", cls=Verb, rich_help_panel=DETECTORS)(train.train_command)
app.command("val", cls=Verb, rich_help_panel=DETECTORS)(val.val_command)
app.command("predict", cls=Verb, rich_help_panel=DETECTORS)(predict.predict_command)
app.command("explain", cls=Verb, rich_help_panel=DETECTORS)(explain.explain_command)
app.add_typer(data.app, name="data", rich_help_panel=EXPERIMENTS)
app.add_typer(study.app, name="study", rich_help_panel=EXPERIMENTS)
app.command("summary", cls=Verb, rich_help_panel=MODELS)(summary.summary_command)
app.command("check", cls=Verb, rich_help_panel=MODELS)(check.check_command)
app.command("attentions", cls=Verb, rich_help_panel=MODELS)(attentions.attentions_command)
app.add_typer(weights.app, name="weights", rich_help_panel=MODELS)


def _print_versions(wanted: bool) -> None:
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
    typer.Option("--version", help="Print the versions and the device.", is_eager=True, callback=_print_versions),
]


@app.callback()
def attendet(ctx: typer.Context, version: Version = False) -> None:  # noqa: ARG001  # its callback prints
    """Train YOLOv5 detectors with attention modules, and measure whether the attention helps."""
    show_help_without_verb(ctx)


def run() -> None:
    """Run the command line; an error that a user can cause exits with code 2 and prints one line."""
    try:
        code = app(prog_name="attendet", standalone_mode=False)
    except AttendetError as error:
        # Names of files and messages of servers are part of it, and a terminal interprets control characters.
        _refuse("\n".join(map(printable, f"attendet: {error}".split("\n"))))
    except USAGE_ERROR as error:
        _refuse(printable(f"attendet: {describe_usage_error(error)}"))
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except UnicodeError:
        _refuse("attendet: the name of a file is not valid text; rename the file")
    except OSError as error:
        # Typer itself handles a closed pipe, and exits with 1.
        place = f"{error.filename}: " if error.filename else ""
        _refuse(printable(f"attendet: {place}{error.strerror or error}"))
    else:
        sys.exit(code or 0)


def _refuse(message: str) -> None:
    typer.echo(message, err=True)
    sys.exit(REFUSED)
