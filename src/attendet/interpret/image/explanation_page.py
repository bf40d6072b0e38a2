"""An HTML page of explanations: each image with its figure, maps to lay over it, and the numbers."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
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
from attendet.interpret.image.explanation import Explanation, output_table, site_table
from attendet.interpret.image.input_image import map_on_image
from attendet.interpret.image.site_explanation import Array
from attendet.utils.html import Markup, escape, inline_image, page_end, page_start

# Longest side of images, and of the maps over them, which have no fine detail; in pixels.
_IMAGE_SIDE, _LAYER_SIDE = 960, 320


class ExplanationPage:
    """A page that is written image by image, so that only one explanation is in memory.

    The page needs no other files: it fetches nothing, and the browser runs no script but the page's own.

    Args:
        file: The file that the page is written to.
        title: Title of the page.
        about: A sentence about the options of the explanations.
        versions: Versions of the software, by name.
    """

    def __init__(self, file: TextIO, title: str, about: str, versions: Mapping[str, str]) -> None:
        self._script = _resource("page.js")
        made_with = "Made with " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."
        body = Template(_resource("page.html"))
        texts = {"title": escape(title), "about": escape(about), "versions": escape(made_with)}
        before, self._after = body.substitute(texts, sections="\0").split("\0")
        self._file = file
        self._count = 0
        file.write(page_start(title, style=_resource("page.css"), script=self._script) + before)

    def add(self, explanation: Explanation, figure: bytes) -> None:
        """Add an image.

        Args:
            explanation: Its explanation.
            figure: Its figure as a PNG file.
        """
        self._count += 1
        self._file.writelines(_section(explanation, figure, self._count))

    def close(self) -> None:
        """Write the end of the page; the file stays open."""
        self._file.write(self._after + page_end(self._script))


def _resource(name: str) -> str:
    return (files("attendet.interpret.image") / name).read_text(encoding="utf-8")


def _section(explanation: Explanation, figure: bytes, number: int) -> Iterator[str]:
    name, summary = Path(explanation.image.name).name, explanation.summary
    yield f'<section tabindex="-1" aria-labelledby="image-{number}"><h2 id="image-{number}">{escape(name)}</h2>\n'
    yield "".join(f"<p>{escape(sentence)}</p>\n" for sentence in summary)
    yield '<div class="viewer"><div class="stage">\n'
    yield f"{_photograph(explanation.image.pixels, f'{name}, the image itself')}\n"
    layers = list(_layers(explanation))
    for index, (_, alt, values, colors, scale) in enumerate(layers):
        yield f"{_layer(explanation, index, alt, values, colors, scale)}\n"
    yield f"</div><fieldset><legend>Map over image {number}</legend>\n"
    yield _radio(number, "none", "the image alone", is_checked=not layers)
    for index, (label, *_) in enumerate(layers):
        yield _radio(number, str(index), label, is_checked=index == 0)
    yield '<label>opacity<input type="range" min="0" max="100" value="65"></label></fieldset></div>\n'
    alt = f"Figure of {name}. {' '.join(summary)}"
    yield f"<h3>Figure</h3>{inline_image(figure, alt)}\n"
    yield f"<h3>Attention modules</h3>{site_table(explanation.sites)}\n<h3>Output of the network</h3>"
    for output, title in (
        (explanation.with_attention, "with attention"),
        (explanation.without_attention, "gates disabled"),
    ):
        yield f"<p><b>{title}</b></p>{output_table(output, f'output, {title}')}"
    yield "</section>\n"


def _layers(explanation: Explanation) -> Iterator[tuple[str, str, Array, str, Normalize]]:
    """Yield label, text alternative, map, color map, and scale of each map that can be laid over the image."""
    for site in explanation.sites:
        if site.spatial is not None:
            colors, scale = panels.weight_scale(site)
            low, high = float(site.spatial.min()), float(site.spatial.max())
            label = f"{site.path}: {site.spatial_kind} over positions, {low:.2f} to {high:.2f}"
            yield label, f"Map of {label}; {_peak(site.spatial)}", site.spatial, colors, scale
    if explanation.activation is not None:
        for method, values in explanation.activation.maps.items():
            label = f"{method} of {explanation.activation.label}"
            yield label, f"Map of {label}; {_peak(values)}", values, panels.ACTIVATION, Normalize(0, 1)


def _peak(values: Array) -> str:
    """Return the position of the largest value of a map, as text.

    Example:
        >>> _peak(np.eye(3, dtype=np.float32)[:1])
        'largest on the left'
    """
    if np.ptp(values) == 0:
        return "the same everywhere"
    row, column = np.unravel_index(int(values.argmax()), values.shape)
    third_row, third_column = 3 * row // values.shape[0], 3 * column // values.shape[1]
    vertical = "" if values.shape[0] == 1 else ("at the top", "", "at the bottom")[third_row]
    horizontal = "" if values.shape[1] == 1 else ("on the left", "", "on the right")[third_column]
    return "largest " + (" ".join(filter(None, (vertical, horizontal))) or "in the middle")


def _radio(number: int, value: str, label: str, *, is_checked: bool) -> str:
    state = " checked" if is_checked else ""
    return f'<label><input type="radio" name="layer-{number}" value="{value}"{state}> {escape(label)}</label>\n'


def _photograph(pixels: NDArray[np.uint8], alt: str) -> Markup:
    picture = Image.fromarray(pixels)
    picture.thumbnail((_IMAGE_SIDE, _IMAGE_SIDE), Image.Resampling.LANCZOS)
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=88)
    return inline_image(content.getvalue(), alt, "jpeg")


def _layer(explanation: Explanation, index: int, alt: str, values: Array, colors: str, scale: Normalize) -> Markup:
    """Return a map as an image that is transparent where the network did not see the image."""
    on_image = map_on_image(values, explanation.image, _LAYER_SIDE)
    layer = np.array(colormaps[colors](scale(on_image), bytes=True))
    layer[np.isnan(on_image), 3] = 0
    content = io.BytesIO()
    Image.fromarray(layer).save(content, "PNG")
    return inline_image(content.getvalue(), alt, attributes=f'data-layer="{index}"')
