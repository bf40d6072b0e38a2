"""Model files from templates: one template for all sizes of an architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from string import Template

from attendet.errors import misspelled_name, unknown_name

# Output channels of the first row of every architecture, before the width multiple is applied.
_FIRST_WIDTH = 64


@dataclass(frozen=True)
class ModelSize:
    """The values that differ between the sizes of an architecture.

    Attributes:
        depth: Depth multiple: scales the repeats of blocks.
        width: Width multiple: scales the output channels of blocks.
        ratio: Reduction ratio that leaves CBAM at least four hidden channels in the narrowest row of YOLOv5.
        largest: Largest number of output channels, before the width multiple is applied.
        c3k: Whether every `C3k2` of YOLO11 has blocks `C3k`.
    """

    depth: float
    width: float
    ratio: int = 16
    largest: int = 1024
    c3k: bool = False


@dataclass(frozen=True)
class Family:
    """Architectures with the same sizes.

    Attributes:
        name: Beginning of the names of its architectures.
        endings: Rest of the names, one for each architecture.
        sizes: Its sizes, by their letters.
    """

    name: str
    endings: tuple[str, ...]
    sizes: Mapping[str, ModelSize]


FAMILIES = (
    Family(
        "yolov5",
        ("", "_CBAM", "_CBAM-C3"),
        {
            "n": ModelSize(0.33, 0.25, ratio=8),
            "s": ModelSize(0.33, 0.50),
            "m": ModelSize(0.67, 0.75),
            "l": ModelSize(1.00, 1.00),
            "x": ModelSize(1.33, 1.25),
        },
    ),
    Family(
        "yolov8",
        ("", "_CBAM", "_CBAM-neck"),
        {
            "n": ModelSize(0.33, 0.25),
            "s": ModelSize(0.33, 0.50),
            "m": ModelSize(0.67, 0.75, largest=768),
            "l": ModelSize(1.00, 1.00, largest=512),
            "x": ModelSize(1.00, 1.25, largest=512),
        },
    ),
    Family(
        "yolo11",
        ("", "_CBAM", "_CBAM-neck"),
        {
            "n": ModelSize(0.50, 0.25),
            "s": ModelSize(0.50, 0.50),
            "m": ModelSize(0.50, 1.00, largest=512, c3k=True),
            "l": ModelSize(1.00, 1.00, largest=512, c3k=True),
            "x": ModelSize(1.00, 1.50, largest=512, c3k=True),
        },
    ),
)


@dataclass(frozen=True)
class _BundledModel:
    """A bundled model: a template and a size."""

    template: str
    letter: str
    size: ModelSize


def bundled_names() -> tuple[str, ...]:
    """Return the names of all bundled models.

    Example:
        >>> bundled_names()[:6]
        ('yolov5n', 'yolov5s', 'yolov5m', 'yolov5l', 'yolov5x', 'yolov5n_CBAM')
    """
    return tuple(_bundled())


def bundled_names_of_width(channels: int) -> tuple[str, ...]:
    """Return the names of the bundled models whose first row has a number of output channels.

    Args:
        channels: The number of output channels of the first row.

    Example:
        >>> bundled_names_of_width(32)  # doctest: +ELLIPSIS
        ('yolov5s', 'yolov5s_CBAM', 'yolov5s_CBAM-C3', 'yolov8s', 'yolov8s_CBAM', 'yolov8s_CBAM-neck', ...)
    """
    return tuple(name for name, model in _bundled().items() if model.size.width * _FIRST_WIDTH == channels)


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
    model = _bundled().get(name)
    if model is None:
        raise unknown_name("bundled model", name, bundled_names(), misspelled_name)
    template = Template((files("attendet.models.bundled") / model.template).read_text(encoding="utf-8"))
    size = model.size
    return template.substitute(
        size=model.letter,
        depth=f"{size.depth:.2f}",
        width=f"{size.width:.2f}",
        ratio=size.ratio,
        largest=size.largest,
        c3k=size.c3k,
    )


def _bundled() -> dict[str, _BundledModel]:
    return {
        f"{family.name}{letter}{ending}": _BundledModel(f"{family.name}{ending}.yaml", letter, size)
        for family in FAMILIES
        for ending in family.endings
        for letter, size in family.sizes.items()
    }
