"""Colors of classes, equal to the colors in attendet's pictures, and colors of maps."""

from __future__ import annotations

import numpy as np

Color = tuple[int, int, int]
"""Red, green, blue in 0-255."""

_COLORS = ("a351fb", "ff4040", "ffa1a0", "ff7633", "ffb633", "d1d435", "4cfb12", "94cf1a", "40de8a", "1b9640",
           "00d6c1", "2e9caa", "00c4ff", "364797", "6675ff", "0019ef", "863aff", "530087", "cd3aff", "ff97ca",
           "ff39c9")  # fmt: skip
# The corners of the curves of red, green, and blue around the circle of hues: place 0-1, and value 0-1.
_RED = ((0, 1), (0.15873, 1), (0.174603, 0.96875), (0.333333, 0.03125), (0.349206, 0), (0.666667, 0),
        (0.68254, 0.03125), (0.84127, 0.96875), (0.857143, 1), (1, 1))  # fmt: skip
_GREEN = ((0, 0), (0.15873, 0.9375), (0.174603, 1), (0.507937, 1), (0.666667, 0.0625), (0.68254, 0), (1, 0))
_BLUE = ((0, 0), (0.333333, 0), (0.349206, 0.0625), (0.507937, 1), (0.84127, 1), (0.857143, 0.9375), (1, 0.09375))
# The colors of maps from low to high, evenly spaced.
_HEAT = ("440154", "472d7b", "3b528b", "2c728e", "21918c", "28ae80", "5ec962", "addc30", "fde725")


def class_colors(num_classes: int) -> list[Color]:
    """Return one color per class; they repeat only if a network has more classes than there are hues.

    Example:
        >>> class_colors(2)[:2], len(class_colors(100)) >= 100
        ([(163, 81, 251), (255, 64, 64)], True)
    """
    if num_classes <= len(_COLORS):
        return [_from_hex(text) for text in _COLORS]
    count = num_classes + 1
    curves = [_curve(corners, count) for corners in (_RED, _GREEN, _BLUE)]
    # Truncated, as in supervision.
    return [(int(red * 255), int(green * 255), int(blue * 255)) for red, green, blue in zip(*curves, strict=True)]


def heat_colors() -> np.ndarray:
    """Return the colors of maps: (256, 3) uint8, from low to high, of increasing brightness."""
    stops = np.array([_from_hex(text) for text in _HEAT], float)
    places = np.linspace(0, len(stops) - 1, 256)
    channels = [np.interp(places, np.arange(len(stops)), stops[:, channel]) for channel in range(3)]
    return np.rint(np.stack(channels, axis=1)).astype(np.uint8)


def _curve(corners: tuple[tuple[float, float], ...], count: int) -> list[float]:
    """Return `count` values of a curve of straight lines, with the rounding of matplotlib's color maps."""
    corner_places, values = np.array(corners, float).T
    corner_places = corner_places * (count - 1)
    places = (count - 1) * np.linspace(0, 1, count)
    after = np.searchsorted(corner_places, places)[1:-1]
    fraction = (places[1:-1] - corner_places[after - 1]) / (corner_places[after] - corner_places[after - 1])
    inner = fraction * (values[after] - values[after - 1]) + values[after - 1]
    lookup = np.clip(np.concatenate([[values[0]], inner, [values[-1]]]), 0, 1)
    # supervision asks for the colors at evenly spaced places from 0 to 1.
    return [float(lookup[min(int(number / (count - 1) * count), count - 1)]) for number in range(count)]


def _from_hex(text: str) -> Color:
    red, green, blue = bytes.fromhex(text)
    return red, green, blue
