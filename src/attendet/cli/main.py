"""The `attendet` command."""

from __future__ import annotations

import platform
import re
import sys
from typing import Annotated, TypeAlias

import typer

from attendet._version import __version__
from attendet.cli import (
    attentions,
    benchmark,
    check,
    clean,
    data,
    explain,
    export,
    predict,
    summary,
    train,
    val,
    weights,
)
from attendet.cli.command import (
    PIPE_CLOSED,
    REFUSED,
    USAGE_ERROR,
    Verb,
    VerbGroup,
    describe_usage_error,
    show_help_without_verb,
)
from attendet.cli.studies import study
from attendet.errors import AttendetError
from attendet.utils.processes.interruption import exit_code, interrupted_by_signals
from attendet.utils.processes.standard_streams import discard_unwritable_output, flush_streams, open_closed_streams
from attendet.utils.processes.working_folder import ignore_working_folder
from attendet.utils.text import printable

DETECTORS, EXPERIMENTS, MODELS = "Detectors", "Data and studies", "Models and weights"

_CREDENTIALS = re.compile(r"(\w+://)[^\s/@]*@")

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
app.command("export", cls=Verb, rich_help_panel=DETECTORS)(export.export_command)
app.command("benchmark", cls=Verb, rich_help_panel=DETECTORS)(benchmark.benchmark_command)
app.add_typer(data.app, name="data", rich_help_panel=EXPERIMENTS)
app.add_typer(study.app, name="study", rich_help_panel=EXPERIMENTS)
app.command("clean", cls=Verb, rich_help_panel=EXPERIMENTS)(clean.clean_command)
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
    """Train YOLO detectors with attention modules, and measure whether the attention helps."""
    show_help_without_verb(ctx)


def run() -> None:
    """Run the command line; an error that a user can cause exits with code 2 and prints one line.

    SIGTERM and SIGHUP interrupt it like Ctrl-C; the exit code is 128 plus the number of the signal.
    """
    open_closed_streams()
    try:
        with ignore_working_folder(), interrupted_by_signals():
            code = _run()
    except SystemExit as stop:
        # Typer and Rich exit with 1 if the output has no reader any more.
        if not isinstance(stop.__context__, BrokenPipeError):
            raise
        code = PIPE_CLOSED
    except BrokenPipeError:
        code = PIPE_CLOSED
    finally:
        discard_unwritable_output()
    sys.exit(code)


def _run() -> int:
    """Run the command line and return its exit code."""
    try:
        code = app(prog_name="attendet", standalone_mode=False) or 0
        flush_streams()
    except AttendetError as error:
        # Names of files and messages of servers are part of it, and a terminal interprets control characters.
        return _refuse("\n".join(map(printable, f"attendet: {error}".split("\n"))))
    except USAGE_ERROR as error:
        return _refuse(printable(f"attendet: {describe_usage_error(error)}"))
    except typer.Abort as abort:
        return exit_code(abort.__cause__)
    except UnicodeError:
        return _refuse("attendet: the name of a file is not valid text; rename the file")
    except BrokenPipeError:
        raise
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _refuse(printable(f"attendet: {place}{error.strerror or error}"))
    return code


def _refuse(message: str) -> int:
    # A verb that takes no address quotes it as the name of a file.
    typer.echo(_CREDENTIALS.sub(r"\1", message), err=True)
    return REFUSED
