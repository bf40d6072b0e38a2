"""Packages that only some file formats need. Nothing installs them; a missing one is an error with the command."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from attendet.errors import OptionError


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
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name in (module, module.partition(".")[0]):
            raise OptionError(f"`{module}` must be installed to {purpose}", remedy=remedy) from error
        raise OptionError(f"`{module}` must have the package {error.name!r} to {purpose}", remedy=remedy) from error
    except (ImportError, OSError) as error:
        raise OptionError(f"`{module}` must load to {purpose}, got {error}", remedy=remedy) from error
