"""What `attendet explain` tells on the terminal of the images that it has explained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from rich.markup import escape

from attendet.cli.ui.tables import console, table
from attendet.utils.text import plural, printable

if TYPE_CHECKING:
    from attendet.interpret.image.explanation import Explanation
    from attendet.interpret.image.site_view import SiteView

MOST_TOLD = 40

T = TypeVar("T")


class _First(Generic[T]):
    """Keeps the first forty of many, and counts the others."""

    def __init__(self) -> None:
        self.kept: list[T] = []
        self.left = 0

    def add(self, items: Iterable[T]) -> None:
        """Take some more."""
        for item in items:
            if len(self.kept) < MOST_TOLD:
                self.kept.append(item)
            else:
                self.left += 1


class ExplanationTally:
    """Keeps what the terminal shows of explanations that pass by: of the first images, and the number of all."""

    def __init__(self) -> None:
        self._rows = _First[tuple[str, ...]]()
        self._notes = _First[str]()
        self._images = 0
        self._detections = [0, 0]

    def watch(self, each: Iterable[Explanation]) -> Iterator[Explanation]:
        """Yield explanations, having noted them."""
        for explanation in each:
            self._images += 1
            for place, answer in enumerate((explanation.answer, explanation.without)):
                self._detections[place] += 0 if answer.detections is None else len(answer.detections)
            name = Path(explanation.picture.name).name
            self._notes.add(f"{name}: {note}" for note in explanation.notes)
            self._rows.add(_row(name, site) for site in explanation.sites)
            yield explanation

    def tell(self) -> None:
        """Print it."""
        out = console()
        heads = [("image", False), ("module", False), ("kind", False), ("over positions", True)]
        rows = table(None, [*heads, ("entropy", True), ("spread", True), ("saturated", True), ("features", True)])
        for row in self._rows.kept:
            rows.add_row(*(escape(printable(cell)) for cell in row))
        out.print(rows)
        if self._rows.left:
            out.print(f"and {plural(self._rows.left, 'more row')}: the page has all")
        for note in self._notes.kept:
            out.print(escape(printable(note)), soft_wrap=True)
        if self._notes.left:
            out.print(f"and {plural(self._notes.left, 'more note')}: the page has all")
        now, then = self._detections
        out.print(f"{plural(self._images, 'image')}: {plural(now, 'detection')}, {then:,} with gates disabled")


def _row(name: str, site: SiteView) -> tuple[str, ...]:
    over = "" if site.spatial is None else f"{site.spatial.min():.2f} to {site.spatial.max():.2f}"
    before = float(site.before.mean())
    numbers = ((site.entropy, ".2f"), (site.spread, ".2f"), (site.saturated, ".0%"))
    told = ["" if value is None else f"{value:{form}}" for value, form in numbers]
    change = f"× {float(site.after.mean()) / before:.2f}" if before else ""
    return (name, site.path, site.kind, over, *told, change)
