"""How the weights of positions change while a network is trained: one image, epoch by epoch."""

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

# In inches.
TILE, HEAD, BAR = 1.35, 0.3, 0.9
MOST_SITES = 12
# Weights that differ by less look alike: a scale of its own would make a picture of rounding errors.
LEAST_SPAN = 0.02


@dataclass(frozen=True)
class Shot:
    """The weights of one image at one time.

    Attributes:
        epoch: After which it was taken; 0 is before training.
        maps: By path of the site: (H, W) weights on the image, without padding.
    """

    epoch: int
    maps: Mapping[str, Tensor]


def attention_filmstrip(image: NDArray[np.uint8], shots: Sequence[Shot], path: Path) -> None:
    """Draw a row for each site with its weights after some epochs, from blue, the least of the row, to yellow.

    Of more than twelve sites twelve are drawn, spread evenly.

    Args:
        image: (H, W, 3) the image, as the network saw it but without padding.
        shots: In the order of time.
        path: Where the picture goes.

    Raises:
        OptionError: If no shot has a map.
        OutputError: If the picture cannot be written.
    """
    sites = list(dict.fromkeys(site for shot in shots for site in shot.maps))
    if not sites:
        raise OptionError("no site weighs positions", remedy="give shots with maps")
    sites = [sites[number] for number in evenly_spaced(len(sites), MOST_SITES)]
    tall = TILE * image.shape[0] / image.shape[1]
    columns = len(shots) + 1
    figure = new_figure(TILE * columns + BAR, (tall + HEAD) * len(sites) + HEAD)
    grid = figure.subplots(len(sites), columns, squeeze=False)
    for number, (row, site) in enumerate(zip(grid, sites, strict=True)):
        low, high = _span([shot.maps[site].numpy() for shot in shots if site in shot.maps])
        scale = Normalize(low, high)
        _tile(row[0], label_text(site, 22))
        row[0].imshow(image)
        for axes, shot in zip(row[1:], shots, strict=True):
            _tile(axes, "" if number else f"epoch {shot.epoch}" if shot.epoch else "start")
            if site in shot.maps:
                extent = (0, image.shape[1], image.shape[0], 0)
                axes.imshow(shot.maps[site].numpy(), cmap="cividis", norm=scale, extent=extent)
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


def _span(maps: Sequence[NDArray[np.float32]]) -> tuple[float, float]:
    low, high = float(min(each.min() for each in maps)), float(max(each.max() for each in maps))
    short = max(0.0, LEAST_SPAN - (high - low)) / 2
    return low - short, high + short


def _tile(axes: Axes, title: str) -> None:
    axes.set_axis_off()
    axes.set_title(title, fontsize=8, color=INK, pad=3)
