"""What files of results have in common: the versions that made them, and numbers as JSON has them."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from attendet._version import __version__

PACKAGES = ("torch", "torchvision", "lightning", "numpy", "opencv-python-headless", "faster-coco-eval")
"""What the numbers of a run depend on."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, attendet and some packages, `unknown` for one that is not installed.

    Args:
        packages: By the names that they are installed under.

    Example:
        >>> versions(["numpy", "no-such-package"]).keys()
        dict_keys(['python', 'attendet', 'numpy', 'no-such-package'])
    """
    return {
        "python": platform.python_version(),
        "attendet": __version__,
        **{package: _version(package) for package in packages},
    }


def finite(value: Any) -> Any:
    """Return plain values with None for numbers that are not finite, which JSON does not have.

    Args:
        value: Mappings, lists and tuples of plain values, in each other.

    Example:
        >>> finite({"a": [1.0, math.nan]})
        {'a': [1.0, None]}
    """
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
