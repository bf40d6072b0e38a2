"""The model files that come with the package, one text for all sizes."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from string import Template

from attendet.errors import unknown_name

ARCHITECTURES = ("yolov5", "yolov5_CBAM", "yolov5_CBAM-C3")


@dataclass(frozen=True)
class Size:
    """What the sizes of YOLOv5 differ in, and the ratio that suits attention in their narrowest rows."""

    depth: float
    width: float
    ratio: int = 16


SIZES = {
    "n": Size(0.33, 0.25, ratio=8),
    "s": Size(0.33, 0.50),
    "m": Size(0.67, 0.75),
    "l": Size(1.00, 1.00),
    "x": Size(1.33, 1.25),
}


def bundled_names() -> tuple[str, ...]:
    """Return the names of the bundled models.

    Example:
        >>> bundled_names()[:6]
        ('yolov5n', 'yolov5s', 'yolov5m', 'yolov5l', 'yolov5x', 'yolov5n_CBAM')
    """
    return tuple(_name(architecture, size) for architecture in ARCHITECTURES for size in SIZES)


def bundled_text(name: str) -> str:
    """Return the model file of a bundled name, complete, as anybody could have written it.

    Raises:
        UnknownNameError: If there is none of this name.

    Example:
        >>> print(bundled_text("yolov5s_CBAM").splitlines()[0])
        # YOLOv5, size s, with CBAM before SPPF.
    """
    for architecture in ARCHITECTURES:
        for letter, size in SIZES.items():
            if name == _name(architecture, letter):
                template = Template((files(__name__) / f"{architecture}.yaml").read_text(encoding="utf-8"))
                return template.substitute(
                    size=letter, depth=f"{size.depth:.2f}", width=f"{size.width:.2f}", ratio=size.ratio
                )
    raise unknown_name("bundled model", name, bundled_names())


def _name(architecture: str, size: str) -> str:
    return architecture.replace("yolov5", f"yolov5{size}", 1)
