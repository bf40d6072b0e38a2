"""Blocks whose meaning depends on the family or the size of a model file."""

from __future__ import annotations

from collections.abc import Sequence

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


def is_c2f(module: str) -> bool:
    """Return whether the block of a row is `C2f` of YOLOv8, also with attention inside or after it.

    Example:
        >>> is_c2f("C2f"), is_c2f("C2f_CBAM"), is_c2f("C3")
        (True, True, False)
    """
    return "c2f" in normalize_name(module)


def head_has_anchors(
    modules: Sequence[str], args: Sequence[Plain], *, are_in_file: bool, lists_sizes: bool = False
) -> bool:
    """Return whether the head of a file, its last row, is one with anchors.

    The row decides if it has a second argument: `Detect [nc, anchors]`. `Detect [nc]` is the head of YOLOv5 in a file
    with anchors, unless the file lists its sizes or has blocks of YOLOv8 or YOLO11.

    Args:
        modules: Names of the blocks of all rows.
        args: The arguments of the last row.
        are_in_file: Whether the file has the key `anchors`.
        lists_sizes: Whether the file has the key `scales`.

    Example:
        >>> head_has_anchors(["C3", "Detect"], [80], are_in_file=True)
        True
        >>> head_has_anchors(["C2f", "Detect"], [80], are_in_file=True)
        False
    """
    if not are_in_file:
        return "anchors" in args
    is_named = sum(not isinstance(argument, dict) for argument in args) > 1
    if is_named or normalize_name(modules[-1]) != "detect":
        return True
    return not lists_sizes and not any(is_c2f(module) or is_c3k2(module) for module in modules)


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
