"""The figure of an explanation: the output of the network, and the maps of each attention module."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from supervision import Detections

from attendet.interpret.image import panels
from attendet.interpret.image.class_activation import ClassActivation
from attendet.interpret.image.input_image import InputImage
from attendet.interpret.image.network_output import NetworkOutput
from attendet.interpret.image.site_explanation import JOIN_TEXTS, SiteExplanation
from attendet.interpret.site_maps import MapKind
from attendet.utils.plotting import COLORS, INK, class_color, class_label, label_text, new_figure
from attendet.utils.sampling import evenly_spaced
from attendet.utils.text import plural

MAX_SITES = 8
"""Number of attention modules that are drawn; of more, a selection that is evenly spaced."""

# Lengths in inches: a panel, the gap between two, a color bar, the border, the header, a panel's title, a row's title.
_PANEL, _GAP, _BAR, _BORDER, _HEADER, _TITLE, _ROW_TITLE = 2.15, 0.14, 0.46, 0.1, 0.36, 0.2, 0.24
_LEFTS = (
    _BORDER,
    _BORDER + _PANEL + _BAR,
    _BORDER + 2 * _PANEL + _BAR + _GAP,
    _BORDER + 3 * _PANEL + _BAR + 2 * _GAP + 0.3,
)
_WIDTH = _LEFTS[3] + _PANEL + 2 * _BORDER
_DOTS_PER_INCH = 200
_STRIP_TITLES: dict[MapKind, str] = {
    "weight": "weight by channel",
    "softmax": "softmax of the last branch, by channel",
    "term": "added term, by channel",
}


def draw_explanation(
    image: InputImage,
    sites: Sequence[SiteExplanation],
    with_attention: NetworkOutput,
    without_attention: NetworkOutput,
    activation: ClassActivation | None,
) -> Figure:
    """Draw an explanation, 9.9 inches wide; `attendet.utils.plotting.save_figure` writes it.

    Args:
        image: The image.
        sites: What each attention module does.
        with_attention: Output of the network.
        without_attention: Output of the network with its attention disabled.
        activation: Class activation maps of one detection or class, if any.
    """
    height, width = image.pixels.shape[:2]
    panel_height = _PANEL * min(max(height / width, 0.4), 1.6)
    rows = [sites[index] for index in evenly_spaced(len(sites), MAX_SITES)]
    row_height = _TITLE + panel_height + 2 * _GAP
    total = _HEADER + row_height + len(rows) * (row_height + _ROW_TITLE) + _BORDER
    figure = new_figure(_WIDTH, total, _DOTS_PER_INCH)
    figure.set_layout_engine("none")

    def add_axes(column: int, top: float) -> Axes:
        bottom = total - top - _TITLE - panel_height
        return figure.add_axes((_LEFTS[column] / _WIDTH, bottom / total, _PANEL / _WIDTH, panel_height / total))

    header = label_text(Path(image.name).name, 60)
    if len(rows) < len(sites):
        header += f"   ({len(rows)} of {len(sites)} attention modules)"
    figure.text(_BORDER / _WIDTH, 1 - 0.2 / total, header, fontsize=10, color=INK)
    _draw_legend(figure, with_attention, without_attention)
    axes = [add_axes(column, _HEADER) for column in range(4)]
    _draw_outputs(axes[:2], image, with_attention, without_attention, activation)
    _draw_activation(axes[2:], image, with_attention, activation)
    for number, site in enumerate(rows):
        top = _HEADER + row_height + number * (row_height + _ROW_TITLE)
        channels, *size = site.shape
        name = f"{site.path}  {site.module}, {channels} channels of {size[1]}×{size[0]}: {JOIN_TEXTS[site.join]}"
        y = 1 - (top + 0.15) / total
        figure.text(_BORDER / _WIDTH, y, label_text(name, 110), fontsize=9, color=INK, weight="bold")
        _draw_site([add_axes(column, top + _ROW_TITLE) for column in range(4)], image, site)
    return figure


def _draw_legend(figure: Figure, with_attention: NetworkOutput, without_attention: NetworkOutput) -> None:
    """Explain the colors of classes if every class has its own, and dashed boxes."""
    outputs = [each.detections for each in (with_attention, without_attention) if each.detections is not None]
    if not outputs:
        return
    entries = []
    if with_attention.num_classes <= len(COLORS):
        names = {
            int(class_id): str(name)
            for detections in outputs
            if detections.class_id is not None
            for class_id, name in zip(detections.class_id, detections.data["class_name"], strict=True)
        }
        entries += [
            (Line2D([], [], color=class_color(class_id), linewidth=2.5), class_label(names[class_id], class_id))
            for class_id in sorted(names)
        ]
    if len(outputs) > 1:
        dashes = Line2D([], [], color=INK, linestyle=panels.DASHES, linewidth=1.4)
        entries.append((dashes, "only with, or only without"))
    if not entries:
        return
    handles, labels = zip(*entries, strict=True)
    options = {"ncols": len(entries), "fontsize": 8.5, "frameon": False, "borderaxespad": 0.4}
    figure.legend(handles, labels, loc="upper right", **options)


def _draw_outputs(
    axes: Sequence[Axes],
    image: InputImage,
    with_attention: NetworkOutput,
    without_attention: NetworkOutput,
    activation: ClassActivation | None,
) -> None:
    with_found, without_found = with_attention.detections, without_attention.detections
    if with_found is not None and without_found is not None:
        num_classes = with_attention.num_classes
        chosen = activation.detection if activation else None
        panels.draw_detections_panel(axes[0], image, with_found, without_found, num_classes, chosen)
        panels.draw_detections_panel(axes[1], image, without_found, with_found, num_classes, None)
        panels.set_title(axes[0], f"with attention: {_count(with_found)}")
        panels.set_title(axes[1], f"gates disabled: {_count(without_found)}")
        return
    if with_found is not None:
        panels.draw_detections_panel(axes[0], image, with_found, with_found, with_attention.num_classes, None)
        panels.set_title(axes[0], f"with attention: {_count(with_found)}")
        panels.draw_text(axes[1], "no output without attention")
        return
    panels.draw_image(axes[0], image)
    panels.set_title(axes[0], "image")
    if with_attention.classes:
        panels.draw_classes(axes[1], with_attention, without_attention)
        panels.set_title(axes[1], "probabilities")
    else:
        panels.draw_text(axes[1], "neither detections\nnor class scores")


def _count(detections: Detections) -> str:
    if len(detections) > panels.MAX_BOXES:
        return f"{panels.MAX_BOXES} of {len(detections):,} drawn"
    return plural(len(detections), "detection")


def _draw_activation(
    axes: Sequence[Axes], image: InputImage, output: NetworkOutput, activation: ClassActivation | None
) -> None:
    if activation is None:
        for each in axes:
            panels.draw_text(each, "no class activation map")
        return
    for each, (method, values) in zip(axes, activation.maps.items(), strict=True):
        panels.draw_map(each, image, values, panels.ACTIVATION, Normalize(0, 1))
        panels.set_title(each, label_text(f"{method} of {activation.label}", 33))
        if output.detections is not None and activation.detection is not None:
            panels.outline_box(each, image, output.detections.xyxy[activation.detection - 1])


def _draw_site(axes: Sequence[Axes], image: InputImage, site: SiteExplanation) -> None:
    if site.spatial is None:
        panels.draw_text(axes[0], "nothing varies\nover positions")
    else:
        colors, scale = panels.weight_scale(site)
        panels.draw_map(axes[0], image, site.spatial, colors, scale)
        is_weight = site.spatial_kind == "weight"
        panels.set_title(axes[0], "weight over positions" if is_weight else "softmax over positions, mean 1")
        _draw_color_bar(axes[0], colors, scale)
    # Both maps are relative to their own means and have one scale, so that they show the pattern; the titles show the
    # means.
    means = [float(values.mean()) for values in (site.before, site.after)]
    relative = [values / max(mean, 1e-12) for values, mean in zip((site.before, site.after), means, strict=True)]
    scale = Normalize(0, max(float(values.max()) for values in relative))
    for each, values, mean, name in zip(axes[1:3], relative, means, ("before", "after"), strict=True):
        panels.draw_map(each, image, values, panels.FEATURES, scale)
        panels.set_title(each, f"features {name}: mean {mean:.3g}")
    if site.channels is None:
        panels.draw_text(axes[3], "nothing varies\nover channels")
        return
    panels.draw_strip(axes[3], site)
    panels.set_title(axes[3], _STRIP_TITLES[site.channel_kind])


def _draw_color_bar(axes: Axes, colors: str, scale: Normalize) -> None:
    bar = axes.figure.colorbar(ScalarMappable(scale, colors), cax=axes.inset_axes((1.025, 0.0, 0.04, 1.0)))
    bar.ax.tick_params(labelsize=panels.FONT_SIZE - 2, length=0, colors=INK, pad=2)
    bar.ax.locator_params(nbins=4)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
