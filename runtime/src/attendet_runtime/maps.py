"""Maps of attention modules in a file with `--gates`, and their pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attendet_runtime.description import GateSite
from attendet_runtime.errors import RuntimeFileError
from attendet_runtime.letterbox import Placement
from attendet_runtime.palette import heat_colors

# The maps of a site, and the number of their axes.
_MAPS = {"spatial": 2, "channels": 1, "before": 2, "after": 2}
# Opacity of a map over its image.
_OPACITY = 0.6
# Differences below this are rounding errors, and do not get different colors.
_SMALLEST_SPAN = 1e-6


@dataclass(frozen=True, eq=False)
class SiteMaps:
    """The maps of an attention module for one image.

    Attributes:
        path: Path of the module in the network.
        module: Name of its class.
        kind: Contents of `spatial`: `weight`, `softmax`, or `term`.
        spatial: (h, w) map over positions of the canvas; None if nothing varies over positions.
        channels: (C,) values of the channels; None if nothing varies over channels.
        before: (h, w) magnitude of the features in front of the module.
        after: (h, w) magnitude of the features behind it.
        placement: Position of the image on the canvas.
        canvas: Height and width of the canvas in pixels.
    """

    path: str
    module: str
    kind: str
    spatial: NDArray[np.float32] | None
    channels: NDArray[np.float32] | None
    before: NDArray[np.float32] | None
    after: NDArray[np.float32] | None
    placement: Placement
    canvas: tuple[int, int]


def sites_in_image(
    sites: Sequence[GateSite],
    outputs: Mapping[str, NDArray[np.float32]],
    placement: Placement,
    canvas: tuple[int, int],
) -> tuple[SiteMaps, ...]:
    """Return the maps of each site of a description.

    Args:
        sites: The sites.
        outputs: Outputs of the file for one image, by name.
        placement: Position of the image on the canvas.
        canvas: Height and width of the canvas in pixels.

    Raises:
        RuntimeFileError: If a map has the wrong number of axes.
    """
    found = []
    for site in sites:
        maps = {name: outputs[output] for name, output in site.maps.items() if name in _MAPS}
        for name, values in maps.items():
            if values.ndim != _MAPS[name] or 0 in values.shape:
                raise RuntimeFileError(
                    f"the map `{name}` of {site.path!r} must have {_MAPS[name]} axes, got {values.shape}"
                )
        spatial, channels, before, after = map(maps.get, _MAPS)
        found.append(
            SiteMaps(site.path, site.module, site.spatial_kind, spatial, channels, before, after, placement, canvas)
        )
    return tuple(found)


def map_on_image(values: NDArray[np.float32], site: SiteMaps) -> NDArray[np.float32]:
    """Transform a map (h, w) of the canvas to the pixels of the image (H, W), by bilinear interpolation.

    Args:
        values: A map of `site`, whose cells divide the canvas evenly.
        site: The maps that it belongs to.
    """
    placed = site.placement
    x = placed.left + (np.arange(placed.width) + 0.5) * placed.scale[0]
    y = placed.top + (np.arange(placed.height) + 0.5) * placed.scale[1]
    left, right, x_fraction = _neighbors(x / site.canvas[1] * values.shape[1] - 0.5, values.shape[1])
    upper, lower, y_fraction = _neighbors(y / site.canvas[0] * values.shape[0] - 0.5, values.shape[0])
    one = np.float32(1)
    wide = values[:, left] * (one - x_fraction) + values[:, right] * x_fraction
    tall = wide[upper] * (one - y_fraction)[:, None] + wide[lower] * y_fraction[:, None]
    return tall.astype(np.float32)


def overlay_picture(image: NDArray[np.uint8], site: SiteMaps) -> NDArray[np.uint8] | None:
    """Return an image in gray with the spatial map of a site in colors over it.

    The colors span the map of this image from its lowest (dark blue) to its highest value (yellow).

    Args:
        image: (H, W, 3) red, green, blue in 0-255.
        site: Maps of the image.

    Returns:
        (H, W, 3), or None if the site has no map over positions.
    """
    if site.spatial is None:
        return None
    # Values that are not numbers get the lowest color.
    values = np.nan_to_num(map_on_image(site.spatial, site), posinf=0, neginf=0)
    low, high = float(values.min()), float(values.max())
    span = max(high - low, _SMALLEST_SPAN)
    colors = heat_colors()[np.clip((values - low) / span * 255, 0, 255).astype(np.uint8)]
    gray = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2)
    return np.rint((1 - _OPACITY) * gray + _OPACITY * colors).astype(np.uint8)


def _neighbors(
    positions: NDArray[np.float64], count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the cells before and after each position, and the weight of the latter."""
    before = np.clip(np.floor(positions), 0, count - 1).astype(np.intp)
    fraction = np.clip(positions - before, 0, 1).astype(np.float32)
    return before, np.minimum(before + 1, count - 1), fraction
