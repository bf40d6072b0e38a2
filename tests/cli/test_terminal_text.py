"""Texts of files reach the terminal as nothing but text."""

import io
import json
import re
from pathlib import Path

import pytest

import attendet.cli.ui.console as consoles
from attendet.cli.ui.console import PlainConsole, progress_bar
from attendet.cli.ui.tables import styled, table
from attendet.errors import DataError
from attendet.utils.json_text import to_json

HOSTILE = "[red]a[/red] :skull: \x1b[2J \x9b31m \u202eevil\u202c \0 \udce9 \x07 [link=http://x]y[/link]"
HARMFUL = ("\x1b", "\x9b", "\u202e", "\u202c", "\0", "\udce9", "\x07", "\N{SKULL}")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Everything that is printed, as a terminal with colors gets it."""
    written = io.StringIO()

    class Terminal(PlainConsole):
        def __init__(self, *, stderr: bool, width: int | None = None) -> None:  # noqa: ARG002
            super().__init__(stderr=stderr, width=200)
            self.file = written
            self._force_terminal = self.is_interactive = True

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr(consoles, "PlainConsole", Terminal)
    return written


def assert_plain(text: str) -> None:
    # What rich itself writes: styles, and the cursor of a progress bar.
    without_styles = re.sub(r"\x1b\[[0-9;?]*[mhlAK]", "", text)
    assert "[red]a[/red] :skull: " in text
    assert "[link=http://x]y[/link]" in text
    assert not [character for character in HARMFUL if character in without_styles]


def test_lines_tables_and_remarks(terminal: io.StringIO) -> None:
    console = consoles.console()
    console.print(HOSTILE, soft_wrap=True)
    rows = table(HOSTILE, [(HOSTILE, False), ("b", True)])
    rows.add_row(HOSTILE, HOSTILE)
    rows.add_row(styled(HOSTILE, "red"), "")
    console.print(rows)
    consoles.print_skipped(DataError(HOSTILE))
    text = terminal.getvalue()
    assert text.count("[red]a[/red]") >= 6
    assert_plain(text)


def test_progress_bars(terminal: io.StringIO) -> None:
    with progress_bar(HOSTILE) as update:
        update(1, 2)
    assert_plain(terminal.getvalue())


def test_line_breaks_of_our_own_texts_stay(terminal: io.StringIO) -> None:
    consoles.console().print("a\nb", style="red")
    assert "a" in terminal.getvalue().splitlines()[0]
    assert len(terminal.getvalue().splitlines()) == 2


def test_every_progress_bar_shows_names_as_they_are() -> None:
    """Markup is on by default in rich's columns."""
    source = Path(consoles.__file__).parent
    for path in source.glob("*.py"):
        for line in path.read_text(encoding="utf-8").splitlines():
            if "TextColumn(" in line and "{" in line:
                assert "markup=False" in line, f"{path.name}: {line}"


def test_json_escapes_what_a_terminal_interprets() -> None:
    text = to_json({HOSTILE: [HOSTILE, "зебра 斑马\n"]})
    assert not [character for character in HARMFUL if character in text]
    assert "зебра 斑马" in text
    assert json.loads(text) == {HOSTILE: [HOSTILE, "зебра 斑马\n"]}
