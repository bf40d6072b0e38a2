"""The panels of the figure of an explanation, each drawn into given axes."""

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
from supervision import Detections

from attendet.interpret.image.input_image import InputImage, map_on_image
from attendet.interpret.image.network_output import MAX_CLASSES, NetworkOutput, has_counterpart
from attendet.interpret.image.site_explanation import Array, SiteExplanation
from attendet.interpret.maps import SATURATION_MARGIN
from attendet.utils.plotting import COLORS, FAINT, GRID, INK, class_color, class_label, contrasting_color

SEQUENTIAL, DIVERGING, ACTIVATION, FEATURES = "viridis", "PuOr_r", "inferno", "cividis"
"""Color maps of weights, of weights around 1, of class activation maps, and of features."""

MAX_BOXES = 100
"""Number of detections that are drawn: the most confident ones, and the explained one."""

DASHES = (0, (2.5, 1.5))
FONT_SIZE = 8.5

# Longest side in pixels at which images are drawn.
_MAX_SIDE = 640
# Opacity of a map over its image.
_OPACITY = 0.7
# A color scale spans at least this fraction of the range of a gate, so that a constant gate looks constant.
_MIN_SPAN = 0.05


def draw_detections_panel(
    axes: Axes, image: InputImage, detections: Detections, others: Detections, num_classes: int, chosen: int | None
) -> None:
    """Draw an image with detections; detections without a counterpart are dashed.

    Args:
        axes: The axes.
        image: The image.
        detections: The detections that are drawn.
        others: The detections that they are compared with.
        num_classes: Number of classes; boxes get labels only if the classes outnumber the colors.
        chosen: Number of the detection, from 1, that is emphasized and labeled.
    """
    scale = draw_image(axes, image)
    is_common = has_counterpart(detections, others)
    drawn = {*range(min(len(detections), MAX_BOXES)), *([] if chosen is None else [chosen - 1])}
    # The most confident detections are drawn last, so that they are on top.
    for position in sorted(drawn, reverse=True):
        class_id = int(detections.class_id[position]) if detections.class_id is not None else 0
        confidence = float(detections.confidence[position]) if detections.confidence is not None else 1.0
        is_chosen = position + 1 == chosen
        has_label = is_chosen or num_classes > len(COLORS)
        name = class_label(str(detections.data["class_name"][position]), class_id)
        label = f"{name} {confidence:.2f}" if has_label else ""
        box = detections.xyxy[position] * scale
        _draw_box(axes, box, class_id, label, is_dashed=not is_common[position], is_bold=is_chosen)


def draw_classes(axes: Axes, with_attention: NetworkOutput, without_attention: NetworkOutput) -> None:
    """Draw the probabilities of five classes: the best with attention, and the best without."""
    outputs = (with_attention, without_attention)
    now, then = ({each.class_id: each.probability for each in output.classes} for output in outputs)
    names = {each.class_id: each.name for output in outputs for each in output.classes}
    # Taken in turns, so that the best classes of both outputs are among the five.
    class_ids = list(dict.fromkeys(chain.from_iterable(zip(now, then, strict=True))))[:MAX_CLASSES]
    rows = np.arange(len(class_ids))
    bars = [(now, 0.05, COLORS[0], "with attention"), (then, 0.31, COLORS[1], "gates disabled")]
    for probabilities, offset, color, label in bars:
        # A class that is not among the best five of an output gets no bar: it has at most the probability of the fifth.
        values = [probabilities.get(class_id, 0.0) for class_id in class_ids]
        axes.barh(rows + offset, values, height=0.24, color=color, label=label)
        for row, value in zip(rows, values, strict=True):
            if value:
                axes.text(value + 0.02, row + offset, f"{value:.2f}", fontsize=FONT_SIZE - 2, color=INK, va="center")
    axes.set(xlim=(0, 1.18), ylim=(len(class_ids) - 0.5, -0.55))
    axes.set_yticks(rows, [""] * len(class_ids))
    for row, class_id in enumerate(class_ids):
        text = class_label(names[class_id], class_id)
        axes.text(0.01, row - 0.11, text, fontsize=FONT_SIZE - 1.5, color=INK, va="bottom")
    axes.set_xticks([0, 0.5, 1])
    _style_small_axes(axes)
    axes.legend(loc="lower right", fontsize=FONT_SIZE - 2, frameon=False, borderaxespad=0)


def draw_map(axes: Axes, image: InputImage, values: Array, colors: str, scale: Normalize) -> None:
    """Draw a map over its image in gray; positions that the network did not see stay gray."""
    _draw_array(axes, _overlay(image, values, colors, scale))


def weight_scale(site: SiteExplanation) -> tuple[str, Normalize]:
    """Return color map and scale of the spatial weights of a site.

    The scale is centered at 1 if the gates can both damp and amplify; otherwise it spans the weights. It spans at least
    a twentieth of the range of the gates, so that constant weights look constant.
    """
    values = site.spatial if site.spatial is not None else np.zeros((1, 1), np.float32)
    low, high = site.weight_range("positions") or (0.0, 1.0)
    min_span = _MIN_SPAN * (high - low)
    if low < 1 < high:
        half = max(float(np.abs(values - 1).max()), min_span / 2)
        return DIVERGING, Normalize(1 - half, 1 + half)
    middle, half = float(values.max() + values.min()) / 2, max(float(np.ptp(values)), min_span) / 2
    return SEQUENTIAL, Normalize(middle - half, middle + half)


def draw_strip(axes: Axes, site: SiteExplanation) -> None:
    """Draw the weights of a site's channels in descending order; the background marks saturated weights."""
    values = np.sort(site.channels if site.channels is not None else np.zeros(1, np.float32))[::-1]
    limits = site.weight_range("channels") if site.channel_kind == "weight" else None
    edges = np.arange(len(values) + 1)
    if limits is not None:
        low, high = limits
        margin = SATURATION_MARGIN * (high - low)
        for start in (low, high - margin):
            axes.axhspan(start, start + margin, color=COLORS[4], alpha=0.3, linewidth=0)
        axes.set_ylim(low, high)
        if low < 1 < high:
            axes.axhline(1, color=INK, linewidth=0.7, linestyle=":")
    else:
        low = min(0.0, float(values.min()))
        high = max(float(values.max()), low + 1e-6)
        axes.set_ylim(low, high + 0.05 * (high - low))
    base, heights = max(low, 0.0), np.append(values, values[-1])
    axes.fill_between(edges, heights, base, step="post", color=COLORS[0], alpha=0.3, linewidth=0)
    axes.step(edges, heights, where="post", color=COLORS[0], linewidth=1.3)
    axes.set_xlim(0, len(values))
    axes.set_xticks([0, len(values)], ["1", str(len(values))])
    axes.set_xlabel("channels, sorted", fontsize=FONT_SIZE - 1, color=INK, labelpad=-6)
    _style_small_axes(axes)
    axes.grid(axis="y", color=GRID, linewidth=0.6)
    # In descending order, the upper right corner is empty, or else the lower right one is evenly filled.
    bottom, top = axes.get_ylim()
    is_corner_empty = values[len(values) * 2 // 3] < bottom + 0.55 * (top - bottom)
    y, alignment = (0.9, "top") if is_corner_empty else (0.1, "bottom")
    note = axes.text(0.98, y, _strip_note(site), fontsize=FONT_SIZE - 1, color=INK, ha="right", va=alignment)
    note.set_transform(axes.transAxes)
    note.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 1.5})


def draw_text(axes: Axes, text: str) -> None:
    """Write a text instead of a panel."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, fontsize=FONT_SIZE, color=INK, ha="center", va="center", transform=axes.transAxes)


def draw_image(axes: Axes, image: InputImage) -> float:
    """Draw an image, and return the scale: drawn pixels per pixel of the image."""
    height, width = image.pixels.shape[:2]
    scale = min(1.0, _MAX_SIDE / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    _draw_array(axes, np.asarray(_resized(image.pixels, size)))
    return scale


def set_title(axes: Axes, text: str) -> None:
    """Set the title of a panel."""
    axes.set_title(text, fontsize=FONT_SIZE, color=INK, loc="left", pad=3)


def outline_box(axes: Axes, image: InputImage, box: Sequence[float] | NDArray[np.float32]) -> None:
    """Draw the box that class activation maps explain, in white with a black border."""
    scale = min(1.0, _MAX_SIDE / max(image.pixels.shape[:2]))
    x1, y1, x2, y2 = np.asarray(box) * scale
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor="white", linewidth=1.4)
    patch.set_path_effects([withStroke(linewidth=2.8, foreground="black")])
    axes.add_patch(patch)


def _draw_box(
    axes: Axes, box: NDArray[np.float32], class_id: int, label: str, *, is_dashed: bool, is_bold: bool
) -> None:
    x1, y1, x2, y2 = box
    color = class_color(class_id)
    patch = Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=color, linewidth=2.4 if is_bold else 1.2)
    patch.set_linestyle(DASHES if is_dashed else "-")
    patch.set_path_effects([withStroke(linewidth=4 if is_bold else 2.4, foreground="white", alpha=0.8)])
    axes.add_patch(patch)
    if label:
        # Above the box, or inside of it at the upper border of the image.
        alignment = "bottom" if y1 > 0.07 * axes.get_ylim()[0] else "top"
        text = axes.text(max(x1, 0), max(y1, 0), label, fontsize=FONT_SIZE - 2, va=alignment)
        text.set_color(contrasting_color(color))
        text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 0.8})
        text.set_clip_on(True)


def _overlay(image: InputImage, values: Array, colors: str, scale: Normalize) -> NDArray[np.uint8]:
    """Return the image in gray under a colored map, (H, W, 3), at most 640 pixels per side."""
    on_image = map_on_image(values, image, _MAX_SIDE)
    heat = colormaps[colors](scale(on_image))[..., :3]
    gray = np.asarray(_resized(image.pixels, on_image.shape).convert("L"), np.float32)[..., None] / 255
    # Class activation maps are transparent where they are 0.
    is_activation = colors == ACTIVATION
    opacity = _OPACITY * (np.sqrt(np.clip(on_image, 0, 1)) if is_activation else np.ones(on_image.shape))
    opacity = np.where(np.isnan(on_image), 0, opacity)[..., None]
    return (np.clip(opacity * heat + (1 - opacity) * gray, 0, 1) * 255).astype(np.uint8)


def _strip_note(site: SiteExplanation) -> str:
    """Return entropy, spread, and fraction of saturated channels, one per line, without missing values.

    Example:
        >>> strip, plane = np.array([0.1, 0.3], np.float32), np.ones((1, 1), np.float32)
        >>> site = SiteExplanation("a", "SE", (2, 1, 1), "product", None, "weight", strip, "weight", plane, plane, ())
        >>> _strip_note(site).splitlines()
        ['entropy 0.81', 'spread 0.10']
    """
    numbers = [("entropy", site.entropy, ".2f"), ("spread", site.spread, ".2f"), ("saturated", site.saturated, ".0%")]
    return "\n".join(f"{name} {value:{form}}" for name, value, form in numbers if value is not None)


def _draw_array(axes: Axes, pixels: NDArray[np.uint8]) -> None:
    axes.imshow(pixels, interpolation="antialiased")
    axes.set_axis_off()
    axes.set(xlim=(-0.5, pixels.shape[1] - 0.5), ylim=(pixels.shape[0] - 0.5, -0.5))


def _resized(pixels: NDArray[np.uint8], size: Sequence[int]) -> Image.Image:
    return Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3)


def _style_small_axes(axes: Axes) -> None:
    axes.tick_params(which="both", labelsize=FONT_SIZE - 1.5, colors=INK, length=0, pad=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.set_axisbelow(True)
