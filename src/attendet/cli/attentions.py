"""`attendet attentions`: the attention modules and their costs."""

from __future__ import annotations

from typing import Annotated

import typer

from attendet.cli.options import AsJson
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table
from attendet.utils.json_text import to_json
from attendet.utils.text import memory, quantity


def attentions_command(
    channels: Annotated[int, typer.Option(metavar="N", help="Channels of the feature map.", min=1, max=65_536)] = 256,
    size: Annotated[int, typer.Option(metavar="N", help="Height and width of the feature map.", min=1, max=4096)] = 40,
    as_json: AsJson = False,
) -> None:
    """List the attention modules, their papers, and their costs on a feature map."""
    from attendet.models.costs import attention_costs

    costs = attention_costs(channels, size)
    if as_json:
        typer.echo(to_json(costs))
        return
    title = f"per image with {channels}×{size}×{size} features, float32"
    rows = table(title, [("name", False), ("parameters", True), ("FLOPs", True), ("memory", True), ("paper", False)])
    for cost in costs:
        if "error" in cost:
            rows.add_row(cost["name"], "", "", "", cost["error"])
            continue
        cells = (f"{cost['parameters']:,}", quantity(cost["flops"]), memory(cost["activation_bytes"]))
        rows.add_row(cost["name"], *cells, cost["paper"])
    out = console()
    out.print(rows)
    out.print("\nA multiply-add counts as two FLOPs; memory is saved in training for the backward pass.")
