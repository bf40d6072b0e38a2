"""Model files of YOLOv8 and YOLO11 as they are published, written from the tables of these families."""

from __future__ import annotations

from collections.abc import Mapping

# Depth multiple, width multiple, and largest width of each size.
SCALES: Mapping[str, Mapping[str, tuple[float, float, int]]] = {
    "yolov8": {
        "n": (0.33, 0.25, 1024),
        "s": (0.33, 0.50, 1024),
        "m": (0.67, 0.75, 768),
        "l": (1.00, 1.00, 512),
        "x": (1.00, 1.25, 512),
    },
    "yolo11": {
        "n": (0.50, 0.25, 1024),
        "s": (0.50, 0.50, 1024),
        "m": (0.50, 1.00, 512),
        "l": (1.00, 1.00, 512),
        "x": (1.00, 1.50, 512),
    },
}
PARAMETERS = {
    "yolov8": {"n": 3_157_200, "s": 11_166_560, "m": 25_902_640, "l": 43_691_520, "x": 68_229_648},
    "yolo11": {"n": 2_624_080, "s": 9_458_752, "m": 20_114_688, "l": 25_372_160, "x": 56_966_176},
}
_REPEATS = {2: 3, 3: 6, 4: 6, 5: 3, 6: 3}


def family_text(family: str, levels: tuple[int, int] = (3, 5), *, header: str | None = None) -> str:
    """Return a model file whose references are numbered here, from the published graph.

    Args:
        family: `yolov8` or `yolo11`.
        levels: First and last level of the head; level n has stride 2**n. A sixth level repeats the fifth one.
        header: Lines in place of `scales` with five sizes.
    """
    scales = "".join(f"  {size}: [{d:.2f}, {w:.2f}, {c}]\n" for size, (d, w, c) in SCALES[family].items())
    backbone, outputs = _backbone(family, levels[1])
    head: list[str] = []

    def add(row: str) -> int:
        head.append(row)
        return len(backbone) + len(head) - 1

    first, last = levels
    for level in range(last - 1, first - 1, -1):
        add("-1, 1, nn.Upsample, [None, 2, nearest]")
        add(f"[-1, {outputs[level]}], 1, Concat, [1]")
        outputs[level] = add(_neck_block(family, level, is_last=False))
    ends = {first: outputs[first]}
    for level in range(first + 1, last + 1):
        add(f"-1, 1, Conv, [{_width(level - 1)}, 3, 2]")
        add(f"[-1, {outputs[level]}], 1, Concat, [1]")
        ends[level] = add(_neck_block(family, level, is_last=level == last))
    add(f"{list(ends.values())}, 1, Detect, [nc]")
    return (
        f"nc: 80 # number of classes\n{f'scales:{chr(10)}{scales}' if header is None else header}\n"
        f"backbone:\n{_listed(backbone)}\nhead:\n{_listed(head)}"
    )


def _listed(rows: list[str]) -> str:
    return "".join(f"  - [{row}]\n" for row in rows)


def _width(level: int) -> int:
    return min(64 * 2 ** (level - 1), 1024)


def _backbone(family: str, last: int) -> tuple[list[str], dict[int, int]]:
    """Return the rows of the backbone, and the row that the neck reads on each level."""
    rows, outputs = ["-1, 1, Conv, [64, 3, 2]"], {}
    for level in range(2, last + 1):
        rows.append(f"-1, 1, Conv, [{_width(level)}, 3, 2]")
        if family == "yolov8":
            rows.append(f"-1, {_REPEATS[level]}, C2f, [{_width(level)}, True]")
        else:
            width, c3k = (_width(level + 1), "False, 0.25") if level < 4 else (_width(level), "True")
            rows.append(f"-1, 2, C3k2, [{width}, {c3k}]")
        outputs[level] = len(rows) - 1
    rows.append(f"-1, 1, SPPF, [{_width(last)}, 5]")
    if family == "yolo11":
        rows.append(f"-1, 2, C2PSA, [{_width(last)}]")
    outputs[last] = len(rows) - 1
    return rows, outputs


def _neck_block(family: str, level: int, *, is_last: bool) -> str:
    return f"-1, 3, C2f, [{_width(level)}]" if family == "yolov8" else f"-1, 2, C3k2, [{_width(level)}, {is_last}]"
