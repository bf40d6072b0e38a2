"""Model files from templates: one template for all sizes of an architecture."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from string import Template

from attendet.errors import misspelled_name, unknown_name

_ARCHITECTURES = ("yolov5", "yolov5_CBAM", "yolov5_CBAM-C3")
# Output channels of the first row of every architecture, before the width multiple is applied.
_FIRST_WIDTH = 64


@dataclass(frozen=True)
class ModelSize:
    """The numbers that differ between the sizes of YOLOv5.

    Attributes:
        depth: Depth multiple: scales the repeats of blocks.
        width: Width multiple: scales the output channels of blocks.
        ratio: Reduction ratio that leaves CBAM at least four hidden channels in the narrowest row.
    """

    depth: float
    width: float
    ratio: int = 16


SIZES = {
    "n": ModelSize(0.33, 0.25, ratio=8),
    "s": ModelSize(0.33, 0.50),
    "m": ModelSize(0.67, 0.75),
    "l": ModelSize(1.00, 1.00),
    "x": ModelSize(1.33, 1.25),
}


def bundled_names() -> tuple[str, ...]:
    """Return the names of all bundled models.

    Example:
        >>> bundled_names()[:6]
        ('yolov5n', 'yolov5s', 'yolov5m', 'yolov5l', 'yolov5x', 'yolov5n_CBAM')
    """
    return tuple(_name(architecture, size) for architecture in _ARCHITECTURES for size in SIZES)


def bundled_names_of_width(channels: int) -> tuple[str, ...]:
    """Return the names of the bundled models whose first row has a number of output channels.

    Args:
        channels: The number of output channels of the first row.

    Example:
        >>> bundled_names_of_width(32)
        ('yolov5s', 'yolov5s_CBAM', 'yolov5s_CBAM-C3')
    """
    return tuple(
        _name(architecture, letter)
        for architecture in _ARCHITECTURES
        for letter, size in SIZES.items()
        if size.width * _FIRST_WIDTH == channels
    )


def bundled_text(name: str) -> str:
    """Return the text of a bundled model file, which is valid on its own.

    Args:
        name: One of `bundled_names()`.

    Raises:
        UnknownNameError: If no bundled model has this name.

    Example:
        >>> print(bundled_text("yolov5s_CBAM").splitlines()[0])
        # YOLOv5, size s, with CBAM before SPPF.
    """
    for architecture in _ARCHITECTURES:
        for letter, size in SIZES.items():
            if name == _name(architecture, letter):
                template = Template(
                    (files("attendet.models.bundled") / f"{architecture}.yaml").read_text(encoding="utf-8")
                )
                return template.substitute(
                    size=letter, depth=f"{size.depth:.2f}", width=f"{size.width:.2f}", ratio=size.ratio
                )
    raise unknown_name("bundled model", name, bundled_names(), misspelled_name)


def _name(architecture: str, size: str) -> str:
    return architecture.replace("yolov5", f"yolov5{size}", 1)
