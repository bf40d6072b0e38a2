"""`attendet attentions`: which attention modules there are."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.markup import escape

from attendet.cli.options import AsJson
from attendet.cli.ui.tables import console, memory, quantity, table


def attentions(
    channels: Annotated[int, typer.Option(help="Channels of the features.", min=1, max=65_536)] = 256,
    size: Annotated[int, typer.Option(help="Side of the feature map.", min=1, max=4096)] = 40,
    as_json: AsJson = False,
) -> None:
    """Show the attention modules, their papers, and what they cost on a feature map."""
    from attendet.models.costs import attention_costs

    listed = attention_costs(channels, size)
    if as_json:
        typer.echo(json.dumps(listed, indent=2))
        return
    title = f"per image of {channels}×{size}×{size} features, float32"
    rows = table(title, [("name", False), ("parameters", True), ("FLOPs", True), ("kept", True), ("paper", False)])
    for entry in listed:
        if "error" in entry:
            rows.add_row(entry["name"], "", "", "", escape(entry["error"]))
            continue
        cells = (f"{entry['parameters']:,}", quantity(entry["flops"]), memory(entry["activation_bytes"]))
        rows.add_row(entry["name"], *cells, escape(entry["paper"]))
    out = console()
    out.print(rows)
    out.print("\nFLOPs count multiply-adds as two; kept is what training holds for the backward pass.")
