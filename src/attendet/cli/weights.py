"""`attendet weights`: what a file of weights holds, and the same as safetensors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from attendet.cli.options import AsJson
from attendet.cli.ui.tables import console, table

if TYPE_CHECKING:
    from attendet.weights import Checkpoint

app = typer.Typer(name="weights", no_args_is_help=True, help="Look into files of weights, and convert them.")

SHOWN_NAMES = 20
File = Annotated[str, typer.Argument(help="A .safetensors, .pt, .pth or .ckpt, or a run's folder.")]


@app.command()
def inspect(file: File, as_json: AsJson = False) -> None:
    """Show what a file of weights holds: classes, parameters, training, and the model it fits. Nothing in it is run."""
    from attendet.weights import read_checkpoint
    from attendet.weights.io.opening import weights_file

    path = weights_file(file)
    facts = _facts(read_checkpoint(path), path)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    rows = table(escape(str(path)), [("", False), ("", False)])
    for name, value in facts.items():
        rows.add_row(name.replace("_", " "), escape(_told(value)))
    console().print(rows)


@app.command()
def convert(
    file: File,
    out: Annotated[
        Path | None, typer.Option(help="The new file; unless given, beside it, ending in .safetensors.")
    ] = None,
) -> None:
    """Write the weights of a file as safetensors, with the model and classes they belong to where that is known."""
    from attendet.utils.io import refuse_existing
    from attendet.weights import read_checkpoint
    from attendet.weights.io.card import plans_of_file
    from attendet.weights.io.opening import find_card, weights_file
    from attendet.weights.io.saving import write_tensors

    path = weights_file(file)
    target = out or path.with_suffix(".safetensors")
    refuse_existing(target)
    checkpoint = read_checkpoint(path)
    card = find_card(checkpoint, path.name)
    write_tensors(checkpoint.tensors, target, card, plans_of_file(checkpoint))
    known = f"a {card.model} of {len(card.names)} classes" if card else "no model that is known here"
    typer.echo(f"{target}: {len(checkpoint.tensors)} tensors, {known}")


def _facts(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    from attendet.weights.io.card import plans_of_file
    from attendet.weights.io.opening import find_card

    card = find_card(checkpoint, path.name)
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()})
    return {
        "kind": checkpoint.kind,
        "fits": card.model if card else None,
        "imgsz": card.imgsz if card else None,
        "classes": len(card.names) if card else None,
        "names": list(card.names) if card else list(checkpoint.names or ()),
        "tensors": len(checkpoint.tensors),
        "values": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "dtypes": dtypes,
        "attention": [f"{plan.attention} at {site.path}" for plan in plans_of_file(checkpoint) for site in plan.sites],
        "training": checkpoint.training,
    }


def _told(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case list():
            more = f" and {len(value) - SHOWN_NAMES} more" if len(value) > SHOWN_NAMES else ""
            return ", ".join(map(str, value[:SHOWN_NAMES])) + more if value else "none"
        case dict():
            return ", ".join(f"{key} {_short(part)}" for key, part in value.items()) or "unknown"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return (
            "{" + ", ".join(f"{key} {part}" for key, part in value.items() if not isinstance(part, dict | list)) + "}"
        )
    return str(value)
