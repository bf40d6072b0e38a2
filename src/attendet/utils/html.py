"""Parts of HTML pages that need nothing else: images are inside, nothing is fetched, and texts are escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape as escape_html
from typing import Literal

from attendet.utils.text import printable

# Characters of a text cell beyond which it may take several lines.
_LONG_CELL = 60

_STYLE = """\
:root { color-scheme: light; --ink: #222; --faint: #667; --line: #dde; --mark: #0072b2; --ground: #fff;
  --panel: #f6f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1.5rem 4rem; max-width: 76rem; color: var(--ink); background: var(--ground);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .6rem; }
h2 { font-size: 1.2rem; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h3 { font-size: 1rem; margin: 1.6rem 0 .4rem; }
p { margin: .4rem 0; }
.faint { color: var(--faint); }
img { display: block; max-width: 100%; height: auto; }
.table { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem 1.1rem .3rem 0; text-align: right; vertical-align: top; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--faint); font-weight: 600; border-bottom: 2px solid #889; }
th.text, td.text { text-align: left; }
td.long { white-space: normal; overflow-wrap: anywhere; min-width: 20rem; }
:focus-visible { outline: 3px solid var(--mark); outline-offset: 3px; }
"""


class Markup(str):
    """A piece of HTML, which `escape` leaves as it is."""

    __slots__ = ()


def escape(value: object) -> Markup:
    r"""Return a text as HTML that shows these very characters; characters that cannot be shown become `?`.

    Example:
        >>> escape("<b>\x1b"), escape(Markup("<b>"))
        ('&lt;b&gt;?', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(escape_html(printable(str(value))))


def html_table(
    header: Sequence[str], rows: Iterable[Sequence[object]], *, text_columns: int | None = None, label: str = "table"
) -> Markup:
    """Return an HTML table that scrolls sideways if it is too wide for the page.

    Args:
        header: Name of each column.
        rows: Cells of each row; `Markup` is taken as HTML, and every other value as text.
        text_columns: Number of leading columns that are aligned to the left as text; the others hold numbers and are
            aligned to the right (default: all are text).
        label: What the table holds, for screen readers.

    Example:
        >>> print(html_table(("class", "mAP50"), [("a<b", "0.5")], text_columns=1))
        <div class="table" tabindex="0" role="region" aria-label="table"><table>
        <thead><tr><th scope="col" class="text">class</th><th scope="col">mAP50</th></tr></thead>
        <tbody>
        <tr><td class="text">a&lt;b</td><td>0.5</td></tr>
        </tbody></table></div>
    """
    texts = len(header) if text_columns is None else text_columns
    head = "".join(
        f'<th scope="col"{_class_attribute("text" * (place < texts))}>{escape(name)}</th>'
        for place, name in enumerate(header)
    )
    body = "".join(
        "<tr>" + "".join(_cell(cell, is_text=place < texts) for place, cell in enumerate(row)) + "</tr>\n"
        for row in rows
    )
    # Keyboard users can scroll only an element that takes the focus.
    start = f'<div class="table" tabindex="0" role="region" aria-label="{escape(label)}"><table>\n'
    return Markup(f"{start}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>")


def html_paragraphs(texts: Iterable[object]) -> Markup:
    """Return one HTML paragraph for each text.

    Example:
        >>> html_paragraphs(["1 < 2", Markup("<b>bold</b>")])
        '<p>1 &lt; 2</p><p><b>bold</b></p>'
    """
    return Markup("".join(f"<p>{escape(text)}</p>" for text in texts))


def inline_image(content: bytes, alt: str, kind: Literal["png", "jpeg"] = "png", attributes: str = "") -> Markup:
    """Return an image whose content is part of the page.

    Args:
        content: The bytes of the file.
        alt: A description of the image, for readers who cannot see it.
        kind: Format of the file.
        attributes: Further attributes of the element, as HTML.

    Example:
        >>> inline_image(b"abc", "three letters")
        '<img src="data:image/png;base64,YWJj" alt="three letters">'
    """
    data = base64.b64encode(content).decode("ascii")
    return Markup(
        f'<img {attributes + " " if attributes else ""}src="data:image/{kind};base64,{data}" alt="{escape(alt)}">'
    )


def page_start(title: str, *, style: str = "", script: str = "") -> Markup:
    """Return the beginning of a page, up to and including `<body>`.

    Args:
        title: The title as text.
        style: CSS that is added to that of all pages.
        script: The script that `page_end` gets; the browser runs no other one.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
        policy += f"; script-src 'sha256-{digest}'"
    return Markup(
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}{style}</style>\n</head>\n<body>\n"
    )


def page_end(script: str = "") -> Markup:
    """Return the end of a page, from its script on."""
    element = f"<script>{script}</script>\n" if script else ""
    return Markup(f"{element}</body>\n</html>\n")


def _cell(value: object, *, is_text: bool) -> str:
    long = " long" if is_text and not isinstance(value, Markup) and len(str(value)) > _LONG_CELL else ""
    return f"<td{_class_attribute(f'text{long}' if is_text else '')}>{escape(value)}</td>"


def _class_attribute(names: str) -> str:
    return f' class="{names}"' if names else ""
