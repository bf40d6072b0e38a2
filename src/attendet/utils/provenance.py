"""What files of results have in common: the versions that made them, and numbers as JSON has them."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

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


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"
