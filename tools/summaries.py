"""Write docs/summaries.md with the summaries of the bundled models."""

from __future__ import annotations

from pathlib import Path

from attendet.models.bundled import bundled_names
from attendet.models.summary import ModelSummary, summarize

TARGET = Path(__file__).parents[1] / "docs" / "summaries.md"
COMPLETE = ("yolov5n", "yolov5s", "yolov5m", "yolov5l", "yolov5x", "yolov5s_CBAM", "yolov5s_CBAM-C3")
HEADER = """# The bundled models

Written by `make docs`. Parameters and GFLOPs (a multiply-add counts as two) are for 80 classes at 640 pixels. *Memory*
is the memory per image that training saves for the backward pass, in float32. `attendet summary NAME` prints the table
of any model.

| model | rows | parameters | GFLOPs | memory, MiB |
|---|---|---|---|---|
"""


def overview_line(summary: ModelSummary) -> str:
    """Return the line of a model in the table of all models."""
    memory = summary.activation_bytes / 2**20
    return (
        f"| `{summary.model}` | {len(summary.rows)} | {summary.parameters:,} | {summary.gflops:.2f} | {memory:,.0f} |"
    )


def page() -> str:
    """Return the whole page."""
    summaries = {name: summarize(name) for name in bundled_names()}
    lines = [overview_line(summary) for summary in summaries.values()]
    tables = [f"## {name}\n\n```text\n{summaries[name]}\n```" for name in COMPLETE]
    return HEADER + "\n".join(lines) + "\n\n" + "\n\n".join(tables) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
