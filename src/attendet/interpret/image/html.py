"""One page of one call: every image with its figure, layers to lay over it, and the numbers; nothing is fetched."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TextIO

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from PIL import Image

from attendet.interpret.image import panels
from attendet.interpret.image.answer import Answer
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.input_image import on_image
from attendet.interpret.image.site_view import JOINED, Array, SiteView
from attendet.utils.text import plural

LONGEST = 960
"""Longer side in pixels of the images on the page."""

LAYER = 320
"""Longer side in pixels of the layers over them, which have no fine detail."""


class ExplanationPage:
    """A page that grows image by image, so that only one is in memory.

    Args:
        file: Where it is written.
        title: Its title.
        about: What was explained, in a sentence.
        versions: Of the programs, by name.
    """

    def __init__(self, file: TextIO, title: str, about: str, versions: Mapping[str, str]) -> None:
        template = Template((files("attendet.interpret.image") / "page.html").read_text(encoding="utf-8"))
        told = "Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
        mark = "\0"
        whole = template.substitute(title=escape(title), about=escape(about), versions=escape(told), sections=mark)
        before, self._after = whole.split(mark)
        self._file = file
        self._count = 0
        file.write(before)

    def add(self, explanation: Explanation, figure: bytes) -> None:
        """Add an image.

        Args:
            explanation: What is told of it.
            figure: Its figure, a PNG.
        """
        self._count += 1
        self._file.writelines(_section(explanation, figure, self._count))

    def close(self) -> None:
        """Write what comes after the last image."""
        self._file.write(self._after)


def _section(explanation: Explanation, figure: bytes, number: int) -> Iterator[str]:
    name = Path(explanation.picture.name).name
    summary = in_words(explanation)
    yield f'<section tabindex="-1" aria-labeledby="image-{number}"><h2 id="image-{number}">{escape(name)}</h2>\n'
    yield "".join(f"<p>{escape(sentence)}</p>\n" for sentence in summary)
    yield '<div class="viewer"><div class="stage">\n'
    yield f'<img src="{_photograph(explanation.picture.pixels)}" alt="{escape(name)}, the image itself">\n'
    layers = list(_layers(explanation))
    for place, (_, alt, values, colors, scale) in enumerate(layers):
        yield f'<img data-layer="{place}" src="{_overlay(explanation, values, colors, scale)}" alt="{escape(alt)}">\n'
    yield f"</div><fieldset><legend>Layer over image {number}</legend>\n"
    yield _radio(number, "none", "the image alone", checked=not layers)
    for place, (label, *_) in enumerate(layers):
        yield _radio(number, str(place), label, checked=place == 0)
    yield '<label>how much it covers<input type="range" min="0" max="100" value="65"></label></fieldset></div>\n'
    alt = f"Figure of {name}. {' '.join(summary)}"
    yield f'<h3>Figure</h3><img src="{_data(figure, "png")}" alt="{escape(alt)}">\n'
    yield f"<h3>Attention modules</h3>{_site_table(explanation.sites)}\n"
    yield f"<h3>What the network says</h3>{_answers(explanation)}</section>\n"


def in_words(explanation: Explanation) -> tuple[str, ...]:
    """Return what a reader learns first, in sentences."""
    sentences = []
    answer, without = explanation.answer, explanation.without
    if answer.detections is not None and without.detections is not None:
        lost = int((~panels.counterparts(answer.detections, without.detections)).sum())
        new = int((~panels.counterparts(without.detections, answer.detections)).sum())
        sentences.append(
            f"{plural(len(answer.detections), 'detection')} with attention, {len(without.detections):,} with its gates "
            f"disabled: {lost} only with, {new} only without."
        )
    elif answer.classes:
        now, then = (f"{each.name} ({each.probability:.2f})" for each in (answer.classes[0], without.classes[0]))
        sentences.append(f"{now} with attention, {then} with its gates disabled.")
    if explanation.activation is not None:
        shown = explanation.activation
        sentences.append(f"Class activation maps explain {shown.words}, from the features of {shown.layer}.")
    return (*sentences, *explanation.notes)


def _layers(explanation: Explanation) -> Iterator[tuple[str, str, Array, str, Normalize]]:
    """Yield label, text alternative, map, colors and scale of everything that can be laid over the image."""
    for site in explanation.sites:
        if site.spatial is not None:
            colors, scale = panels.weight_scale(site)
            low, high = float(site.spatial.min()), float(site.spatial.max())
            label = f"{site.path}: {site.spatial_is} over positions, {low:.2f} to {high:.2f}"
            yield label, f"Map of {label}; {_peak(site.spatial)}", site.spatial, colors, scale
    if explanation.activation is not None:
        for method, values in explanation.activation.maps.items():
            label = f"{method} of {explanation.activation.words}"
            yield label, f"Map of {label}; {_peak(values)}", values, panels.ACTIVATION, Normalize(0, 1)


def _peak(values: Array) -> str:
    """Return in words where a map is greatest.

    Example:
        >>> _peak(np.eye(3, dtype=np.float32)[:1])
        'greatest on the left'
    """
    if np.ptp(values) == 0:
        return "the same everywhere"
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    third_row, third_column = (3 * row // values.shape[0], 3 * column // values.shape[1])
    upright = "" if values.shape[0] == 1 else ("at the top", "", "at the bottom")[third_row]
    across = "" if values.shape[1] == 1 else ("on the left", "", "on the right")[third_column]
    return "greatest " + (" ".join(word for word in (upright, across) if word) or "in the middle")


def _site_table(sites: tuple[SiteView, ...]) -> str:
    heads = ("module", "part", "features", "weights", "range", "mean", "least", "greatest", "spread", "entropy")
    rows = []
    for site in sites:
        channels, height, width = site.shape
        for part in site.parts or (None,):
            cells = [f"{escape(site.path)}<br><span class=faint>{escape(site.kind)}: {JOINED[site.join]}</span>"]
            if part is None:
                cells += ["none", f"{channels}×{height}×{width}", *[""] * 8]
            else:
                span = "" if part.range is None else f"{part.range[0]:g} to {part.range[1]:g}"
                cells += [f"{escape(part.name)} ({part.role})", f"{channels}×{height}×{width}"]
                cells += ["×".join(map(str, part.shape)), span]
                cells += [f"{number:.3f}" for number in (part.mean, part.lowest, part.highest, part.spread)]
                cells += ["" if part.entropy is None else f"{part.entropy:.3f}"]
                cells += ["" if part.saturated is None else f"{part.saturated:.1%}"]
            rows.append(cells)
    return _table((*heads, "saturated"), rows, texts=2)


def _answers(explanation: Explanation) -> str:
    both = (explanation.answer, "with attention"), (explanation.without, "gates disabled")
    return "".join(f"<p><b>{words}</b></p>{_answer(answer)}" for answer, words in both)


def _answer(answer: Answer) -> str:
    if answer.classes:
        rows = [[escape(each.name), f"{each.probability:.3f}"] for each in answer.classes]
        return _table(("class", "probability"), rows)
    found = answer.detections
    if found is None or found.confidence is None:
        return "<p>Neither detections nor classes.</p>"
    if not len(found):
        return "<p>No detections.</p>"
    rows = [
        [f"{place}: {escape(str(name))}", f"{sure:.3f}", *(f"{edge:.1f}" for edge in box)]
        for place, (name, sure, box) in enumerate(
            zip(found.data["class_name"], found.confidence.tolist(), found.xyxy.tolist(), strict=True), start=1
        )
    ]
    return _table(("detection", "confidence", "x1", "y1", "x2", "y2"), rows)


def _table(heads: tuple[str, ...], rows: list[list[str]], texts: int = 1) -> str:
    """Return a table whose first columns hold texts, and all others numbers."""
    kinds = [" class=text" if column < texts else "" for column in range(len(heads))]
    head = "".join(f'<th scope="col"{kind}>{each}</th>' for kind, each in zip(kinds, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>\n"
        for row in rows
    )
    # To be scrolled by keyboard it has to take the focus.
    start = '<div class="wide" tabindex="0" role="region" aria-label="table">'
    return f"{start}<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table></div>"


def _radio(number: int, value: str, label: str, *, checked: bool) -> str:
    state = " checked" if checked else ""
    return f'<label><input type="radio" name="layer-{number}" value="{value}"{state}> {escape(label)}</label>\n'


def _photograph(pixels: NDArray[np.uint8]) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    image.save(written, "JPEG", quality=88)
    return _data(written.getvalue(), "jpeg")


def _overlay(explanation: Explanation, values: Array, colors: str, scale: Normalize) -> str:
    """Return a layer as an image of its own; transparent where the network saw nothing."""
    flat = on_image(values, explanation.picture, LAYER)
    layer = np.array(colormaps[colors](scale(flat), bytes=True))
    layer[np.isnan(flat), 3] = 0
    written = io.BytesIO()
    Image.fromarray(layer).save(written, "PNG")
    return _data(written.getvalue(), "png")


def _data(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
