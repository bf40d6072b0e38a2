"""Layouts that most model files start from: the rows of YOLOv5, YOLOv8, and YOLO11, by role and source.

All of them have a backbone that halves the resolution per level, a path from the deepest level up to the shallowest
one, a path back down, and a head that reads one row per level. They differ in the levels and in a few rows per level.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

Role = Literal["down", "up", "join", "head", "conv", "block", "pool"]
LAYERS: frozenset[Role] = frozenset(("conv", "block", "pool"))
_STRIDE_FACTORS = {"down": 2.0, "up": 0.5}


@dataclass(frozen=True)
class LayoutRow:
    """A row of a layout.

    Attributes:
        role: What the row does.
        sources: The rows that it reads as model files write them: -1 is the previous row, others are row numbers.
    """

    role: Role
    sources: tuple[int, ...] = (-1,)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the row numbers among the sources."""
        return tuple(source for source in self.sources if source >= 0)


@dataclass(frozen=True)
class Layout:
    """The rows of a family of model files.

    Attributes:
        name: Name of the family.
        rows: The rows.

    Example:
        >>> yolov5 = LAYOUTS[0]
        >>> yolov5.name, len(yolov5.rows), yolov5.rows[-1].sources
        ('YOLOv5', 25, (17, 20, 23))
        >>> yolov5.strides[17], yolov5.strides[23]
        (8.0, 32.0)
    """

    name: str
    rows: tuple[LayoutRow, ...]

    @cached_property
    def strides(self) -> tuple[float, ...]:
        """Return the stride of every row in pixels; that of the head is the stride of its first level."""
        strides: list[float] = []
        for index, row in enumerate(self.rows):
            first = index - 1 if row.sources[0] < 0 else row.sources[0]
            strides.append((strides[first] if strides else 1.0) * _STRIDE_FACTORS.get(row.role, 1.0))
        return tuple(strides)


@dataclass
class _Rows:
    """Rows of a layout under construction."""

    rows: list[LayoutRow] = field(default_factory=list)

    def add(self, *roles: Role) -> int:
        """Append rows that read the previous row, and return the index of the last one."""
        self.rows += [LayoutRow(role) for role in roles]
        return len(self.rows) - 1

    def join(self, number: int) -> int:
        """Append a row that joins the previous row with another one, and a block; return the index of the block."""
        self.rows.append(LayoutRow("join", (-1, number)))
        return self.add("block")


def _layout(
    name: str, levels: tuple[int, int], *, deepest: int | None = None, lateral_convs: bool = True, end: tuple[Role, ...]
) -> Layout:
    """Return the layout of a path aggregation network.

    Args:
        name: Name of the family.
        levels: First and last level of the head; level n has stride 2**n.
        deepest: Deepest level of the backbone (default: the last level of the head).
        lateral_convs: Whether a Conv precedes each Upsample, as in YOLOv5. The path down then joins these Convs.
        end: The rows of the backbone after the block of the deepest level.
    """
    first, last = levels
    deepest = deepest or last
    rows = _Rows()
    rows.add("down")
    backbone = {level: rows.add("down", "block") for level in range(2, deepest + 1)}
    laterals = {deepest: rows.add(*end)}
    outputs = {}
    for level in range(deepest - 1, first - 1, -1):
        if lateral_convs:
            laterals[level + 1] = rows.add("conv")
        rows.add("up")
        outputs[level] = laterals[level] = rows.join(backbone[level])
    for level in range(first + 1, last + 1):
        rows.add("down")
        outputs[level] = rows.join(laterals[level])
    head = LayoutRow("head", tuple(outputs[level] for level in range(first, last + 1)))
    return Layout(name, (*rows.rows, head))


def _yolov8(name: str, levels: tuple[int, int], *end: Role) -> Layout:
    return _layout(name, levels, lateral_convs=False, end=("pool", *end))


LAYOUTS = (
    _layout("YOLOv5", (3, 5), end=("pool",)),
    _layout("YOLOv5-P2", (2, 5), end=("pool",)),
    _layout("YOLOv5-P6", (3, 6), end=("pool",)),
    _layout("YOLOv5-P7", (3, 7), end=("pool",)),
    _layout("YOLOv5-P2-P6", (2, 6), end=("pool",)),
    _layout("YOLOv5-P34", (3, 4), deepest=5, end=("pool",)),
    _layout("YOLOv5-P234", (2, 4), deepest=5, end=("pool",)),
    _layout("YOLOv5-P45", (4, 5), end=("pool",)),
    _yolov8("YOLOv8", (3, 5)),
    _yolov8("YOLOv8-P2", (2, 5)),
    _yolov8("YOLOv8-P6", (3, 6)),
    _yolov8("YOLO11", (3, 5), "block"),
    _yolov8("YOLO11-P2", (2, 5), "block"),
    _yolov8("YOLO11-P6", (3, 6), "block"),
)
