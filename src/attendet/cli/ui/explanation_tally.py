"""The table of `attendet explain` for images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table
from attendet.utils.text import plural, printable

if TYPE_CHECKING:
    from attendet.interpret.image.explanation import Explanation
    from attendet.interpret.image.site_explanation import SiteExplanation

_MAX_LINES = 40

T = TypeVar("T")


class _FirstLines(Generic[T]):
    """The first lines of a list of any length, and the number of the others."""

    def __init__(self) -> None:
        self.lines: list[T] = []
        self.others = 0

    def extend(self, lines: Iterable[T]) -> None:
        """Add lines up to the limit, and count the others."""
        for line in lines:
            if len(self.lines) < _MAX_LINES:
                self.lines.append(line)
            else:
                self.others += 1


class ExplanationTally:
    """Collects table rows of the first explanations, and totals of all, while explanations are written."""

    def __init__(self) -> None:
        self._rows = _FirstLines[tuple[str, ...]]()
        self._notes = _FirstLines[str]()
        self._images = 0
        # A file that was exported has no output without attention.
        self._detections: dict[str, int] = {}

    def collect(self, explanations: Iterable[Explanation]) -> Iterator[Explanation]:
        """Yield explanations after collecting their rows."""
        for explanation in explanations:
            self._images += 1
            outputs = {"with": explanation.with_attention, "without": explanation.without_attention}
            for gates, output in outputs.items():
                if output.detections is not None:
                    self._detections[gates] = self._detections.get(gates, 0) + len(output.detections)
            name = Path(explanation.image.name).name
            self._notes.extend(f"{name}: {note}" for note in explanation.notes)
            self._rows.extend(_row(name, site) for site in explanation.sites)
            yield explanation

    def print(self) -> None:
        """Print the table, the notes, and the totals."""
        out = console()
        texts = ("image", "module", "kind")
        numbers = ("over positions", "entropy", "spread", "saturated", "features")
        rows = table(None, [(name, False) for name in texts] + [(name, True) for name in numbers])
        for row in self._rows.lines:
            rows.add_row(*map(printable, row))
        out.print(rows)
        if self._rows.others:
            out.print(f"and {plural(self._rows.others, 'more row')}: the page lists all")
        for note in self._notes.lines:
            out.print(printable(note), soft_wrap=True)
        if self._notes.others:
            out.print(f"and {plural(self._notes.others, 'more note')}: the page lists all")
        detections = plural(self._detections.get("with", 0), "detection")
        without = self._detections.get("without")
        others = "" if without is None else f", {without:,} with attention disabled"
        out.print(f"{plural(self._images, 'image')}: {detections}{others}")


def _row(name: str, site: SiteExplanation) -> tuple[str, ...]:
    positions = "" if site.spatial is None else f"{site.spatial.min():.2f} to {site.spatial.max():.2f}"
    before = float(site.before.mean())
    numbers = ((site.entropy, ".2f"), (site.spread, ".2f"), (site.saturated, ".0%"))
    cells = ["" if value is None else f"{value:{form}}" for value, form in numbers]
    features = f"× {float(site.after.mean()) / before:.2f}" if before else ""
    return (name, site.path, site.module, positions, *cells, features)
