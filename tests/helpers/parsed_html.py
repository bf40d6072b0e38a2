"""HTML as the browser's parser would see it: elements, cells of tables, and paragraphs."""

from __future__ import annotations

from html.parser import HTMLParser


class ParsedHtml(HTMLParser):
    """Collects the rows of all tables, the texts of paragraphs, and all elements with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.paragraphs: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._texts: list[str] | None = None
        self.feed(text)
        self.close()

    @property
    def tags(self) -> set[str]:
        """Names of the elements that occur."""
        return {tag for tag, _ in self.elements}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th", "p"):
            self._texts = self.paragraphs if tag == "p" else self.rows[-1]
            self._texts.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "p"):
            self._texts = None

    def handle_data(self, data: str) -> None:
        if self._texts is not None:
            self._texts[-1] += data
