"""The panels of an explanation's figure, each drawn into axes that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from PIL import Image
from supervision import Detections, box_iou_batch

from attendet.interpret.image.answer import MOST_CLASSES, Answer
from attendet.interpret.image.input_image import Picture, on_image
from attendet.interpret.image.site_view import Array, SiteView
from attendet.interpret.maps import NEAR_AN_END
from attendet.utils.plotting import COLORS, FAINT, GRID, INK, class_color, contrasting_color, label_text

LONGEST = 640
"""Longer side in pixels at which images are drawn."""

SEQUENTIAL, DIVERGING, ACTIVATION, FEATURES = "viridis", "PuOr_r", "inferno", "cividis"
COVER = 0.7
"""How much of the image a map covers."""

LEAST_SPAN = 0.05
"""The least share of a gate's range that a color scale spans, so that a constant gate looks constant."""

SAME = 0.5
"""Least IoU of two detections of a class that are taken for the same."""

MOST_BOXES = 100
"""Of more detections, the most confident are drawn, and the chosen one."""

DASHES = (0, (2.5, 1.5))
FONT = 8.5


def draw_detections(
    axes: Axes, picture: Picture, found: Detections, other: Detections, names: int, chosen: int | None
) -> None:
    """Draw an image with detections; dashed are those that have no like among the others.

    Args:
        axes: Where.
        picture: The image.
        found: What is drawn.
        other: What it is compared with.
        names: How many classes there are: while each has a color, boxes need no names.
        chosen: Which detection, from 1 on, is drawn strong.
    """
    scale = draw_image(axes, picture)
    alike = counterparts(found, other)
    # The most confident come last, and so on top.
    drawn = {*range(min(len(found), MOST_BOXES)), *([] if chosen is None else [chosen - 1])}
    for place in sorted(drawn, reverse=True):
        number = int(found.class_id[place]) if found.class_id is not None else 0
        sure = float(found.confidence[place]) if found.confidence is not None else 1.0
        is_chosen = place + 1 == chosen
        label = f"{found.data['class_name'][place]} {sure:.2f}" if is_chosen or names > len(COLORS) else ""
        _outline(axes, found.xyxy[place] * scale, number, label, dashed=not alike[place], strong=is_chosen)


def counterparts(found: Detections, other: Detections) -> NDArray[np.bool_]:
    """Return for each detection whether another of its class overlaps it at IoU 0.5 or more.

    Example:
        >>> one = Detections(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]]), class_id=np.array([0, 0]))
        >>> two = Detections(np.array([[1.0, 0, 10, 10]]), class_id=np.array([0]))
        >>> counterparts(one, two).tolist()
        [True, False]
    """
    if not len(found) or not len(other) or found.class_id is None or other.class_id is None:
        return np.zeros(len(found), bool)
    same_class = found.class_id[:, None] == other.class_id[None]
    return ((box_iou_batch(found.xyxy, other.xyxy) >= SAME) & same_class).any(axis=1)


def draw_classes(axes: Axes, answer: Answer, without: Answer) -> None:
    """Draw the probabilities of five classes, of the best with attention and of the best without."""
    now, then = ({each.number: each.probability for each in one.classes} for one in (answer, without))
    names = {each.number: each.name for each in (*answer.classes, *without.classes)}
    # In turns, so that the best of both are among them.
    numbers = list(dict.fromkeys(chain.from_iterable(zip(now, then, strict=True))))[:MOST_CLASSES]
    places = np.arange(len(numbers))
    bars = [(now, 0.05, COLORS[0], "with attention"), (then, 0.31, COLORS[1], "gates disabled")]
    for shares, shift, color, label in bars:
        # A class that is not among the five best of an answer has at most what the fifth has, and no bar.
        values = [shares.get(number, 0.0) for number in numbers]
        axes.barh(places + shift, values, height=0.24, color=color, label=label)
        for place, value in zip(places, values, strict=True):
            if value:
                axes.text(value + 0.02, place + shift, f"{value:.2f}", fontsize=FONT - 2, color=INK, va="center")
    axes.set(xlim=(0, 1.18), ylim=(len(numbers) - 0.5, -0.55))
    axes.set_yticks(places, [""] * len(numbers))
    for place, number in enumerate(numbers):
        axes.text(0.01, place - 0.11, label_text(names[number]), fontsize=FONT - 1.5, color=INK, va="bottom")
    axes.set_xticks([0, 0.5, 1])
    _bare(axes)
    axes.legend(loc="lower right", fontsize=FONT - 2, frameon=False, borderaxespad=0)


def draw_map(axes: Axes, picture: Picture, values: Array, colors: str, scale: Normalize) -> None:
    """Draw a map over its image in gray; what the network saw nothing of stays gray."""
    draw_array(axes, covered(picture, values, colors, scale))


def covered(picture: Picture, values: Array, colors: str, scale: Normalize, cover: float = COVER) -> NDArray[np.uint8]:
    """Return the image in gray under a colored map, (H, W, 3), the longer side 640 pixels at most."""
    flat = on_image(values, picture, LONGEST)
    heat = colormaps[colors](scale(flat))[..., :3]
    gray = np.asarray(_small(picture.pixels, flat.shape).convert("L"), np.float32)[..., None] / 255
    # Of class activation maps, nothing is to cover nothing: where the image shows, nothing spoke for it.
    shares = cover * np.sqrt(np.clip(flat, 0, 1)) if colors == ACTIVATION else np.full(flat.shape, cover)
    share = np.where(np.isnan(flat), 0, shares)[..., None]
    return (np.clip(share * heat + (1 - share) * gray, 0, 1) * 255).astype(np.uint8)


def weight_scale(site: SiteView) -> tuple[str, Normalize]:
    """Return the colors for a site's spatial map: about 1 where weights can damp and amplify, else from least to most.

    However alike the weights are, the scale spans a twentieth of their range: a constant gate looks constant.
    """
    values = site.spatial if site.spatial is not None else np.zeros((1, 1), np.float32)
    low, high = weight_range(site, over="positions") or (0.0, 1.0)
    least = LEAST_SPAN * (high - low)
    if low < 1 < high:
        half = max(float(np.abs(values - 1).max()), least / 2)
        return DIVERGING, Normalize(1 - half, 1 + half)
    middle, half = float(values.max() + values.min()) / 2, max(float(np.ptp(values)), least) / 2
    return SEQUENTIAL, Normalize(middle - half, middle + half)


def weight_range(site: SiteView, over: str) -> tuple[float, float] | None:
    """Return the least and greatest weight that the gates of a site can give, multiplied; None where one has no range.

    Args:
        site: The site.
        over: `positions` or `channels`: of the gates that vary over these.
    """
    varying = [
        part
        for part in site.parts
        if part.joins and (max(part.shape[1:], default=1) if over == "positions" else part.shape[0]) > 1
    ]
    ranges = [part.range for part in varying]
    if not ranges or None in ranges:
        return None
    known = [each for each in ranges if each is not None]
    return float(np.prod([low for low, _ in known])), float(np.prod([high for _, high in known]))


def draw_strip(axes: Axes, site: SiteView) -> None:
    """Draw a site's channels, sorted by weight; shaded is where weights are saturated."""
    values = np.sort(site.channels if site.channels is not None else np.zeros(1, np.float32))[::-1]
    span = weight_range(site, over="channels") if site.channels_are == "weight" else None
    places = np.arange(len(values) + 1)
    color = COLORS[0]
    if span is not None:
        low, high = span
        near = NEAR_AN_END * (high - low)
        for edge in (low, high - near):
            axes.axhspan(edge, edge + near, color=COLORS[4], alpha=0.3, linewidth=0)
        axes.set_ylim(low, high)
        if low < 1 < high:
            axes.axhline(1, color=INK, linewidth=0.7, linestyle=":")
    else:
        low = min(0.0, float(values.min()))
        high = max(float(values.max()), low + 1e-6)
        axes.set_ylim(low, high + 0.05 * (high - low))
    base = max(low, 0.0)
    axes.fill_between(places, np.append(values, values[-1]), base, step="post", color=color, alpha=0.3, linewidth=0)
    axes.step(places, np.append(values, values[-1]), where="post", color=color, linewidth=1.3)
    axes.set_xlim(0, len(values))
    axes.set_xticks([0, len(values)], ["1", str(len(values))])
    axes.set_xlabel("channels, sorted", fontsize=FONT - 1, color=INK, labelpad=-6)
    _bare(axes)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    # Sorted from the greatest down, a strip leaves its upper right corner free, or else fills the lower one evenly.
    bottom, top = axes.get_ylim()
    is_free = values[len(values) * 2 // 3] < bottom + 0.55 * (top - bottom)
    y, edge = (0.9, "top") if is_free else (0.1, "bottom")
    note = axes.text(0.98, y, strip_words(site), fontsize=FONT - 1, color=INK, ha="right", va=edge)
    note.set_transform(axes.transAxes)
    note.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5})


def strip_words(site: SiteView) -> str:
    """Return entropy, spread and share of saturated channels in lines, as far as there are any.

    Example:
        >>> strip, plane = np.array([0.1, 0.3], np.float32), np.ones((1, 1), np.float32)
        >>> site = SiteView("a", "SE", (2, 1, 1), "product", None, "weight", strip, "weight", plane, plane, ())
        >>> strip_words(site).splitlines()
        ['entropy 0.81', 'spread 0.10']
    """
    numbers = [("entropy", site.entropy, ".2f"), ("spread", site.spread, ".2f"), ("saturated", site.saturated, ".0%")]
    return "\n".join(f"{name} {value:{form}}" for name, value, form in numbers if value is not None)


def draw_words(axes: Axes, words: str) -> None:
    """Write why there is nothing to see."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, fontsize=FONT, color=INK, ha="center", va="center", transform=axes.transAxes)


def draw_image(axes: Axes, picture: Picture) -> float:
    """Draw an image, and return how many of its pixels there are drawn for each one of the file."""
    height, width = picture.pixels.shape[:2]
    scale = min(1.0, LONGEST / max(height, width))
    draw_array(axes, np.asarray(_small(picture.pixels, (max(1, round(height * scale)), max(1, round(width * scale))))))
    return scale


def draw_array(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    """Draw pixels (H, W, 3) as they are."""
    axes.imshow(pixels, interpolation="antialiased")
    axes.set_axis_off()
    axes.set(xlim=(-0.5, pixels.shape[1] - 0.5), ylim=(pixels.shape[0] - 0.5, -0.5))


def title(axes: Axes, words: str) -> None:
    """Write a panel's title."""
    axes.set_title(words, fontsize=FONT, color=INK, loc="left", pad=3)


def outline_chosen(axes: Axes, picture: Picture, box: Sequence[float] | NDArray[np.float32]) -> None:
    """Draw the box that class activation maps explain."""
    scale = min(1.0, LONGEST / max(picture.pixels.shape[:2]))
    x1, y1, x2, y2 = np.asarray(box) * scale
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="white", linewidth=1.4)
    patch.set_path_effects([withStroke(linewidth=2.8, foreground="black")])
    axes.add_patch(patch)


def _outline(axes: Axes, box: NDArray[np.float32], number: int, label: str, *, dashed: bool, strong: bool) -> None:
    x1, y1, x2, y2 = box
    color = class_color(number)
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=2.4 if strong else 1.2)
    patch.set_linestyle(DASHES if dashed else "-")
    patch.set_path_effects([withStroke(linewidth=4 if strong else 2.4, foreground="white", alpha=0.8)])
    axes.add_patch(patch)
    if label:
        # Above the box, or in it where there is no room.
        edge = "bottom" if y1 > 0.07 * axes.get_ylim()[0] else "top"
        text = axes.text(max(x1, 0), max(y1, 0), label_text(label), fontsize=FONT - 2, color=contrasting_color(color), va=edge)
        text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.8})
        text.set_clip_on(True)


def _small(pixels: NDArray[np.uint8], size: Sequence[int]) -> Image.Image:
    return Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3)


def _bare(axes: Axes) -> None:
    axes.tick_params(which="both", labelsize=FONT - 1.5, colors=INK, length=0, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.set_axisbelow(True)
