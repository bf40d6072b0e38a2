"""Versions of the software that produced a result."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from attendet._version import __version__

PACKAGES = ("torch", "torchvision", "lightning", "numpy", "opencv-python-headless", "faster-coco-eval")
"""Packages whose versions affect the numbers of a training run."""


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python, attendet, and other packages; `unknown` for a package that is not installed.

    Args:
        packages: Names of distributions, as pip knows them.

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
