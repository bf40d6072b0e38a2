"""Write docs/summaries.md: the summaries of the bundled models, as the command prints them."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from attendet.cli.summary import print_summary
from attendet.models.bundled import bundled_names
from attendet.models.summary import summarize

TARGET = Path(__file__).parents[1] / "docs" / "summaries.md"
IN_FULL = ("yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x", "yolov5s_CBAM", "yolov5s_CBAM-C3")
HEADER = """# The bundled models

Written by `make docs`. Parameters and GFLOPs (a multiply-add counted as two) with 80 classes at 640 pixels; *memory* is
what training saves for the backward pass, per image in float32. `attendet summary NAME` prints any of them in full.

| model | rows | parameters | GFLOPs | memory, MiB |
|---|---|---|---|---|
"""


def printed(name: str) -> str:
    """Return what `attendet summary` prints."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        print_summary(summarize(name))
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines())


def total(name: str) -> str:
    """Return a model's line of the first table."""
    result = summarize(name)
    memory = result.activation_bytes / 2**20
    return f"| `{name}` | {len(result.rows)} | {result.parameters:,} | {result.gflops:.2f} | {memory:,.0f} |"


def page() -> str:
    """Return the whole page."""
    totals = [total(name) for name in bundled_names()]
    full = [f"## {name}\n\n```text\n{printed(name)}\n```" for name in IN_FULL]
    return HEADER + "\n".join(totals) + "\n\n" + "\n\n".join(full) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
