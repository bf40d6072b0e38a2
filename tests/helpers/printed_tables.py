"""The table that YOLOv5 prints when it builds YOLOv5s, written down from its published architecture."""

from __future__ import annotations

from collections.abc import Mapping

# Parameters of the rows of YOLOv5s, except for Detect, which depends on the number of classes.
_ROWS = (
    ("Conv", 3_520),
    ("Conv", 18_560),
    ("C3", 18_816),
    ("Conv", 73_984),
    ("C3", 115_712),
    ("Conv", 295_424),
    ("C3", 625_152),
    ("Conv", 1_180_672),
    ("C3", 1_182_720),
    ("SPPF", 656_896),
    ("Conv", 131_584),
    ("Upsample", 0),
    ("Concat", 0),
    ("C3", 361_984),
    ("Conv", 33_024),
    ("Upsample", 0),
    ("Concat", 0),
    ("C3", 90_880),
    ("Conv", 147_712),
    ("Concat", 0),
    ("C3", 296_448),
    ("Conv", 590_336),
    ("Concat", 0),
    ("C3", 1_182_720),
)


def printed_table(model: str, insert: Mapping[int, tuple[str, int]], num_classes: int) -> str:
    """Return the table for YOLOv5s with additional rows, by their index in the file."""
    if model != "yolov5s":
        raise ValueError(f"no table of {model}")
    # Three convolutions 1x1 with biases, from 128, 256, and 512 channels to three anchors.
    outputs = 3 * (num_classes + 5)
    rows = [*_ROWS, ("Detect", (128 + 256 + 512 + 3) * outputs)]
    for index, row in sorted(insert.items()):
        rows.insert(index, row)
    lines = [f"{'from':>21}  n    params  module                                  arguments"]
    for index, (module, parameters) in enumerate(rows):
        arguments = f"[{num_classes}, [[10, 13, 16, 30, 33, 23]], [128, 256, 512]]" if module == "Detect" else "[]"
        name = {"Upsample": "torch.nn.modules.upsampling.Upsample", "Detect": "models.yolo.Detect"}.get(
            module, f"models.common.{module}"
        )
        lines.append(f"{index:>3}{-1:>18}  1{parameters:>10}  {name:<40}{arguments}")
    return "\n".join(lines) + "\n"
