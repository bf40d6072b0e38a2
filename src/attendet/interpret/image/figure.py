"""One figure of one image: what the network says, and what each attention module does."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from supervision import Detections

from attendet.interpret.image import panels
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.input_image import Picture
from attendet.interpret.image.site_view import JOINED, SiteView
from attendet.utils.plotting import COLORS, INK, class_color, label_text, new_figure
from attendet.utils.sampling import evenly_spaced
from attendet.utils.text import plural

MOST_ROWS = 8
"""Of more attention modules, these many are drawn, evenly chosen."""

# In inches.
TILE, GAP, BAR, EDGE, HEAD, TITLE, NAME = 2.15, 0.14, 0.46, 0.1, 0.36, 0.2, 0.24
LEFTS = (EDGE, EDGE + TILE + BAR, EDGE + 2 * TILE + BAR + GAP, EDGE + 3 * TILE + BAR + 2 * GAP + 0.3)
WIDTH = LEFTS[3] + TILE + 2 * EDGE
DOTS_PER_INCH = 200
STRIPS = {"weight": "weight by channel", "share": "share of the last branch, by channel", "term": "added, by channel"}


def figure_of(explanation: Explanation, max_classes: int) -> Figure:
    """Return the figure of an explanation, 9.9 inches wide; `attendet.utils.plotting.save_figure` writes it.

    Args:
        explanation: What is drawn.
        max_classes: How many classes there are: while each has a color, boxes need no names.
    """
    height, width = explanation.picture.pixels.shape[:2]
    tile = TILE * min(max(height / width, 0.4), 1.6)
    rows = drawn(explanation.sites)
    row = TITLE + tile + 2 * GAP
    total = HEAD + row + len(rows) * (row + NAME) + EDGE
    figure = new_figure(WIDTH, total, DOTS_PER_INCH)
    figure.set_layout_engine("none")

    def place(column: int, top: float) -> Axes:
        bottom = total - top - TITLE - tile
        return figure.add_axes((LEFTS[column] / WIDTH, bottom / total, TILE / WIDTH, tile / total))

    _head(figure, explanation, max_classes, total)
    _draw_answers([place(column, HEAD) for column in range(4)], explanation, max_classes)
    for number, site in enumerate(rows):
        top = HEAD + row + number * (row + NAME)
        channels, *size = site.shape
        name = f"{site.path}  {site.kind}, {channels} channels of {size[1]}×{size[0]}: {JOINED[site.join]}"
        figure.text(EDGE / WIDTH, 1 - (top + 0.15) / total, label_text(name, 110), fontsize=9, color=INK, weight="bold")
        _draw_site([place(column, top + NAME) for column in range(4)], explanation.picture, site)
    return figure


def drawn(sites: tuple[SiteView, ...]) -> tuple[SiteView, ...]:
    """Return the sites that a figure has room for: all, or eight from the first to the last."""
    return tuple(sites[number] for number in evenly_spaced(len(sites), MOST_ROWS))


def _head(figure: Figure, explanation: Explanation, classes: int, total: float) -> None:
    words = label_text(Path(explanation.picture.name).name, 60)
    left_out = len(explanation.sites) - len(drawn(explanation.sites))
    if left_out:
        words += f"   ({MOST_ROWS} of {len(explanation.sites)} attention modules)"
    figure.text(EDGE / WIDTH, 1 - 0.2 / total, words, fontsize=10, color=INK)
    entries = []
    both = [answer.detections for answer in (explanation.answer, explanation.without) if answer.detections is not None]
    if both and classes <= len(COLORS):
        names = {
            int(number): str(name)
            for found in both
            if found.class_id is not None
            for number, name in zip(found.class_id, found.data["class_name"], strict=True)
        }
        entries += [(Line2D([], [], color=class_color(key), linewidth=2.5), label_text(names[key])) for key in sorted(names)]
    if both:
        entries.append(
            (Line2D([], [], color=INK, linestyle=panels.DASHES, linewidth=1.4), "only with, or only without")
        )
        handles, labels = zip(*entries, strict=True)
        figure.legend(
            handles, labels, loc="upper right", ncols=len(entries), fontsize=8.5, frameon=False, borderaxespad=0.4
        )


def _draw_answers(axes: list[Axes], explanation: Explanation, classes: int) -> None:
    picture, answer, without = explanation.picture, explanation.answer, explanation.without
    shown_map = explanation.activation
    chosen = None
    if answer.detections is not None and without.detections is not None:
        number = shown_map.number if shown_map else None
        panels.draw_detections(axes[0], picture, answer.detections, without.detections, classes, number)
        panels.draw_detections(axes[1], picture, without.detections, answer.detections, classes, None)
        panels.title(axes[0], f"with attention: {_counted(answer.detections)}")
        panels.title(axes[1], f"gates disabled: {_counted(without.detections)}")
        chosen = answer.detections.xyxy[number - 1] if number else None
    else:
        panels.draw_image(axes[0], picture)
        panels.title(axes[0], "image")
        if answer.classes:
            panels.draw_classes(axes[1], answer, without)
            panels.title(axes[1], "probabilities")
        else:
            panels.draw_words(axes[1], "neither detections\nnor classes")
    if shown_map is None:
        for each in axes[2:]:
            panels.draw_words(each, "no class activation map:\nnothing to explain")
        return
    for each, (method, values) in zip(axes[2:], shown_map.maps.items(), strict=True):
        panels.draw_map(each, picture, values, panels.ACTIVATION, Normalize(0, 1))
        panels.title(each, label_text(f"{method} of {shown_map.words}", 33))
        if chosen is not None:
            panels.outline_chosen(each, picture, chosen)


def _counted(found: Detections) -> str:
    drawn_only = f", the best {panels.MOST_BOXES}" if len(found) > panels.MOST_BOXES else ""
    return plural(len(found), "detection") + drawn_only


def _draw_site(axes: list[Axes], picture: Picture, site: SiteView) -> None:
    if site.spatial is None:
        panels.draw_words(axes[0], "nothing by position")
    else:
        colors, scale = panels.weight_scale(site)
        panels.draw_map(axes[0], picture, site.spatial, colors, scale)
        panels.title(
            axes[0], "weight over positions" if site.spatial_is == "weight" else "share of positions · their number"
        )
        _bar(axes[0], colors, scale)
    before, after = site.before, site.after
    means = float(before.mean()), float(after.mean())
    relative = [values / max(mean, 1e-12) for values, mean in zip((before, after), means, strict=True)]
    # Both relative to their mean and in one scale: what differs is the pattern, and titles tell the strength.
    scale = Normalize(0, max(float(values.max()) for values in relative))
    for each, values, mean, words in zip(axes[1:3], relative, means, ("before", "after"), strict=True):
        panels.draw_map(each, picture, values, panels.FEATURES, scale)
        panels.title(each, f"features {words}: mean {mean:.3g}")
    if site.channels is None:
        panels.draw_words(axes[3], "nothing by channel")
        return
    panels.draw_strip(axes[3], site)
    panels.title(axes[3], STRIPS[site.channels_are])


def _bar(axes: Axes, colors: str, scale: Normalize) -> None:
    beside = axes.inset_axes((1.025, 0.0, 0.04, 1.0))
    bar = axes.figure.colorbar(ScalarMappable(scale, colors), cax=beside)
    bar.ax.tick_params(labelsize=panels.FONT - 2, length=0, colors=INK, pad=2)
    bar.ax.locator_params(nbins=4)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
