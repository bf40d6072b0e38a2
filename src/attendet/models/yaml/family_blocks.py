"""Blocks whose meaning depends on the family or the size of a model file."""

from __future__ import annotations

from attendet.registry import normalize_name
from attendet.utils.yaml_nodes import Plain

_SIZES_WITH_C3K = ("m", "l", "x")


def is_c3k2(module: str) -> bool:
    """Return whether the block of a row is `C3k2` of YOLO11, also with attention inside or after it.

    Example:
        >>> is_c3k2("C3k2"), is_c3k2("C3k2_CBAM"), is_c3k2("C3")
        (True, True, False)
    """
    return "c3k2" in normalize_name(module)


def args_of_size(module: str, args: tuple[Plain, ...], size: str | None) -> tuple[Plain, ...]:
    """Return the arguments of a row in one of several sizes: in m, l, and x, every `C3k2` of YOLO11 has blocks `C3k`.

    Args:
        module: Name of the block.
        args: The arguments as written.
        size: Name of the size; None if the file has one size only.

    Example:
        >>> args_of_size("C3k2", (512, False, 0.25), "m"), args_of_size("C3k2", (512, False, 0.25), "s")
        ((512, True, 0.25), (512, False, 0.25))
    """
    if size not in _SIZES_WITH_C3K or not is_c3k2(module):
        return args
    # A mapping with options by name may follow the width.
    rest = args[1:] if len(args) > 1 and isinstance(args[1], dict) else args[2:]
    return (*args[:1], True, *rest)
