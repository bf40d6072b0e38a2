"""Packages that only some file formats need. Nothing installs them; a missing one is an error with the command."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

from attendet.errors import OptionError

_TELEMETRY = "openvino_telemetry"


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import and return a module that comes with an optional extra of attendet.

    Args:
        module: Name of the module, such as `onnxruntime`.
        extra: Extra of attendet that installs it, such as `export`.
        purpose: What needs the module, as the end of the sentence "`module` must be installed to …".

    Raises:
        OptionError: If the module or a package that it needs is not installed or cannot be loaded.

    Example:
        >>> require("json", "export", "read a.onnx").__name__
        'json'
        >>> require("missing_runtime", "ncnn", "read a.param")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `missing_runtime` must be installed to read a.param; pip install 'attendet[ncnn]'
    """
    remedy = f"pip install 'attendet[{extra}]'"
    try:
        with _without_telemetry():
            return import_module(module)
    except ModuleNotFoundError as error:
        if error.name in (module, module.partition(".")[0]):
            raise OptionError(f"`{module}` must be installed to {purpose}", remedy=remedy) from error
        raise OptionError(f"`{module}` must have the package {error.name!r} to {purpose}", remedy=remedy) from error
    except (ImportError, OSError) as error:
        raise OptionError(f"`{module}` must load to {purpose}, got {error}", remedy=remedy) from error


@contextmanager
def _without_telemetry() -> Iterator[None]:
    """Hide the package with which OpenVINO and NNCF report every import and call to their maker.

    Both do without it if it is not installed. Otherwise they connect to the network and write files to the home folder.
    """
    hidden = sys.modules.get(_TELEMETRY)
    # None makes the import fail as if the package was missing.
    sys.modules[_TELEMETRY] = None  # pyright: ignore[reportArgumentType]
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if hidden is not None:
            sys.modules[_TELEMETRY] = hidden
