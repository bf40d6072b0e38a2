"""Commands that accept YOLOv5's notations and report mistakes in one line, and their exit codes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from attendet.cli.yolov5.argument_rewriting import DeclaredOptions, rewrite_arguments
from attendet.cli.yolov5.flags import VERBS
from attendet.errors import OptionError, nearest_name
from attendet.utils.processes.interruption import exit_code
from attendet.utils.text import printable

DEFECTS = 1
"""Exit code of a command that finished, but skipped inputs or found faults."""
REFUSED = 2
"""Exit code after a mistake of the user, which one line on standard error explains."""
PIPE_CLOSED = 141
"""Exit code of a command whose output has no reader any more, as in `| head` (128 + SIGPIPE, as in shells)."""

# Typer exports one of its parser's errors, BadParameter; its base class is the class of all usage errors.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]


_EXTRA_ARGUMENT = re.compile(r"Got unexpected extra argument(?:s|\(s\))? \((.*)\)")


class Verb(TyperCommand):
    """A verb of the command line, whose arguments are rewritten before they are parsed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.help = _join_lines(self.help)
        for parameter in self.params:
            # Help texts have no markup, but defaults in brackets.
            parameter.help = escape(getattr(parameter, "help", None) or "")  # pyright: ignore[reportAttributeAccessIssue]

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters; flags have no type on help pages."""
        return _without_flag_types(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the arguments of the verb and parse them."""
        return super().parse_args(ctx, rewrite_arguments(args, self._declared(ctx)))

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; if a signal interrupts it, print one line, which ends with the notes of the interruption.

        Raises:
            Exit: With the exit code of the signal, if the verb was interrupted.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            typer.echo(printable(": ".join(["interrupted", *getattr(interrupt, "__notes__", [])])), err=True)
            raise typer.Exit(exit_code(interrupt)) from None

    def _declared(self, ctx: Any) -> DeclaredOptions:
        options = [each for each in self.get_params(ctx) if each.param_type_name == "option"]
        flags = [each for each in options if each.is_flag]
        lists = [each for each in options if each.multiple]
        return DeclaredOptions(
            verb=ctx.command_path.removeprefix("attendet "),
            flags=_names(flags),
            single=_names(each for each in options if each not in flags and each not in lists),
            lists=_names(lists),
            has_arguments=any(each.param_type_name == "argument" for each in self.params),
        )


class VerbGroup(TyperGroup):
    """Several verbs under one name, such as `attendet data`; a wrong name is answered with the right one."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return all parameters; flags have no type on help pages."""
        return _without_flag_types(super().get_params(ctx))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb that the arguments name.

        Raises:
            OptionError: If there is no such verb.
        """
        name, known = args[0], self.list_commands(ctx)
        if name in known or name.startswith("-"):
            return super().resolve_command(ctx, args)
        renamed = VERBS.get(name) if ctx.parent is None else None
        nearest = renamed or nearest_name(name, known)
        remedy = f"did you mean {ctx.command_path} {nearest}?" if nearest else f"use one of {', '.join(known)}"
        raise OptionError(f"{ctx.command_path} has no command {name!r}", remedy=remedy)


def show_help_without_verb(ctx: typer.Context) -> None:
    """Print the help page of a group whose verb was left out, and exit with code 2."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(REFUSED)


def describe_usage_error(error: Exception) -> str:
    """Return a mistake that the parser found as one line without its final period."""
    message = " ".join(error.format_message().split())  # pyright: ignore[reportAttributeAccessIssue]
    message = _EXTRA_ARGUMENT.sub(r"unexpected argument \1", message.rstrip("."))
    message = message.replace(": Input should", ": it should").replace(": Value error, ", ": ")
    context = getattr(error, "ctx", None)
    remedy = f"; see {context.command_path} --help" if context is not None else ""
    return message[:1].lower() + message[1:] + remedy


def _without_flag_types(parameters: list[Any]) -> list[Any]:
    """Return parameters whose flags have no type <bool> on help pages."""
    for parameter in parameters:
        if getattr(parameter, "is_flag", False) and parameter.metavar is None:
            parameter.metavar = ""
    return parameters


def _names(options: Iterable[Any]) -> frozenset[str]:
    return frozenset(name for each in options for name in (*each.opts, *each.secondary_opts))


def _join_lines(text: str | None) -> str | None:
    """Return a docstring with one line per paragraph: Typer breaks lines where the source does."""
    if text is None:
        return None
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
