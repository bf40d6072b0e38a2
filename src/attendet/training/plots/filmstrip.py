"""Draw how the spatial attention on one image changes over the epochs of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray
from torch import Tensor

from attendet.errors import OptionError
from attendet.utils.plotting import INK, label_text, new_figure, save_figure
from attendet.utils.sampling import evenly_spaced

# In inches: width of an image, height of its title, and width of a color bar.
_TILE, _TITLE, _BAR = 1.35, 0.3, 0.9
_MAX_SITES = 12
# Smallest range of a color scale; a smaller one would show rounding errors.
_MIN_RANGE = 0.02


@dataclass(frozen=True)
class AttentionSnapshot:
    """The spatial attention weights on one image after an epoch.

    Attributes:
        epoch: The epoch, counted from 1; 0 is before training.
        maps: Weights (H, W) on the image without its padding, by path of the attention site.
    """

    epoch: int
    maps: Mapping[str, Tensor]


def attention_filmstrip(image: NDArray[np.uint8], snapshots: Sequence[AttentionSnapshot], path: Path) -> None:
    """Draw one row per attention site with its weights over the epochs, from the lowest (blue) to the highest (yellow).

    If there are more than twelve sites, twelve evenly spaced ones are drawn.

    Args:
        image: The RGB image (H, W, 3) as the network saw it, without padding.
        snapshots: The attention weights, by increasing epoch.
        path: The file to write.

    Raises:
        OptionError: If no snapshot has a map.
        OutputError: If the file cannot be written.
    """
    sites = list(dict.fromkeys(site for snapshot in snapshots for site in snapshot.maps))
    if not sites:
        raise OptionError("`snapshots` must contain at least one map, got none")
    sites = [sites[number] for number in evenly_spaced(len(sites), _MAX_SITES)]
    height = _TILE * image.shape[0] / image.shape[1]
    columns = len(snapshots) + 1
    figure = new_figure(_TILE * columns + _BAR, (height + _TITLE) * len(sites) + _TITLE)
    grid = figure.subplots(len(sites), columns, squeeze=False)
    for number, (row, site) in enumerate(zip(grid, sites, strict=True)):
        low, high = _color_range([snapshot.maps[site].numpy() for snapshot in snapshots if site in snapshot.maps])
        scale = Normalize(low, high)
        _tile(row[0], label_text(site, 22))
        row[0].imshow(image)
        for axes, snapshot in zip(row[1:], snapshots, strict=True):
            _tile(axes, "" if number else f"epoch {snapshot.epoch}" if snapshot.epoch else "start")
            if site in snapshot.maps:
                extent = (0, image.shape[1], image.shape[0], 0)
                axes.imshow(snapshot.maps[site].numpy(), cmap="cividis", norm=scale, extent=extent)
        bar = figure.colorbar(
            ScalarMappable(scale, "cividis"),
            ax=row.tolist(),
            shrink=0.9,
            pad=0.01,
            aspect=12,
            ticks=[low, high],
            format="%.2f",
        )
        bar.ax.tick_params(labelsize=7, length=0, colors=INK)
        bar.outline.set_visible(False)
    save_figure(figure, path)


def _color_range(maps: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    low, high = float(min(each.min() for each in maps)), float(max(each.max() for each in maps))
    missing = max(0.0, _MIN_RANGE - (high - low)) / 2
    return low - missing, high + missing


def _tile(axes: Axes, title: str) -> None:
    axes.set_axis_off()
    axes.set_title(title, fontsize=8, color=INK, pad=3)
