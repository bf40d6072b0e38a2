"""`attendet weights`: inspect weights files, convert them to safetensors, and find damage."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from attendet.cli.command import DEFECTS, Verb, VerbGroup, show_help_without_verb
from attendet.cli.inputs import require_weights
from attendet.cli.options import OUTPUT, AsJson
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import table
from attendet.errors import AttendetError, OptionError
from attendet.utils.io import refuse_existing
from attendet.utils.json_text import to_json
from attendet.utils.text import list_names

if TYPE_CHECKING:
    from attendet.weights import Checkpoint, ModelCard

app = typer.Typer(cls=VerbGroup, invoke_without_command=True, help="Inspect, convert, or verify a weights file.")
app.callback()(show_help_without_verb)

_MAX_NAMES = 20
# Files of exported networks.
_EXPORTED = (".onnx", ".xml", ".pt2", ".param", ".pte", ".torchscript", ".engine", ".tflite", ".pb", ".mlpackage")
_EXPORT_REMEDY = "attendet export writes files for other runtimes"

File: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="WEIGHTS", help="A .safetensors, .pt, .pth, or .ckpt file, or the folder of a run.", show_default=False
    ),
]


@app.command("inspect", cls=Verb)
def inspect_command(file: File, as_json: AsJson = False) -> None:
    """Show the content of a weights file: classes, parameters, attention, training, and whether its model can be built.

    No code in the file is executed.
    """
    require_weights(file)
    from attendet.weights import read_checkpoint
    from attendet.weights.io.opening import resolve_weights_path

    path = resolve_weights_path(file)
    content = _content(read_checkpoint(path), path)
    if as_json:
        typer.echo(to_json(content))
        return
    rows = table(str(path), [("", False), ("", False)])
    for name, value in content.items():
        if name in ("class", "reason") and value is None:
            continue
        rows.add_row(name.replace("_", " "), _text(value))
    console().print(rows)


@app.command("convert", cls=Verb)
def convert_command(
    file: File,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="New file. [default: name of the weights with the suffix .safetensors]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write weights as safetensors, with their model and class names if they are known.

    The optimizer and everything else that is not a weight is left out.
    """
    require_weights(file)
    from attendet.weights import read_checkpoint
    from attendet.weights.io.card_search import find_card
    from attendet.weights.io.model_card import stored_attention
    from attendet.weights.io.opening import resolve_weights_path
    from attendet.weights.io.saving import write_tensors

    path = resolve_weights_path(file)
    target = out or path.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        safe = f"name it {target.with_suffix('.safetensors').name}"
        remedy = _EXPORT_REMEDY if target.suffix.lower() in _EXPORTED else safe
        raise OptionError(f"`--out` must be a .safetensors file, got {target.name!r}", remedy=remedy)
    refuse_existing(target)
    checkpoint = read_checkpoint(path)
    card = find_card(checkpoint, path.name)
    write_tensors(checkpoint.tensors, target, card, stored_attention(checkpoint))
    tensors, model, num_classes = len(checkpoint.tensors), card and card.model, card and len(card.names)
    if as_json:
        typer.echo(to_json({"file": str(target), "tensors": tensors, "model": model, "num_classes": num_classes}))
    else:
        description = f"{model} with {num_classes} classes" if card else "unknown model"
        console().print(f"{target}: {tensors} tensors, {description}", soft_wrap=True)


@app.command("verify", cls=Verb)
def verify_command(file: File, as_json: AsJson = False) -> None:
    """Compare a weights file, or all files of a run, with the digests that were stored when they were written.

    Exits with code 1 if a file is damaged. Files of other programs and of earlier versions have no digest.
    """
    require_weights(file)
    from attendet.weights.io.file_digests import DigestState, compare_digest

    states = {str(path): compare_digest(path) for path in _files_with_digest(file)}
    if as_json:
        typer.echo(to_json(states))
    else:
        for path, state in states.items():
            console().print(f"{path}: {state}", soft_wrap=True)
    if DigestState.DAMAGED in states.values():
        raise typer.Exit(DEFECTS)


def _files_with_digest(file: str) -> list[Path]:
    """Return the weights file itself, or the record, the weights, and the checkpoint in the folder of a run."""
    from attendet.training.run_folder import RunFolder
    from attendet.weights.io.opening import resolve_weights_path

    weights, run = resolve_weights_path(file), RunFolder(Path(file))
    if not run.path.is_dir():
        return [weights]
    others = [path for path in (run.record, run.checkpoint) if path.is_file()]
    return [*others, *sorted(run.last.parent.glob("*.safetensors"))]


def _content(checkpoint: Checkpoint, path: Path) -> dict[str, Any]:
    from attendet.weights.io.card_search import find_card

    card = find_card(checkpoint, path.name)
    dtypes = sorted({str(tensor.dtype).removeprefix("torch.") for tensor in checkpoint.tensors.values()})
    opens, reason, attention = _opening(checkpoint, card, path)
    return {
        "kind": checkpoint.kind,
        "class": checkpoint.module_class,
        "model": card.model if card else None,
        "model_file": card and ("in the weights" if _has_model_file(checkpoint) else "bundled"),
        "opens": opens,
        "reason": reason,
        "imgsz": card.imgsz if card else None,
        "num_classes": len(card.names) if card else None,
        "names": list(card.names) if card else list(checkpoint.names or ()),
        "tensors": len(checkpoint.tensors),
        "values": sum(tensor.numel() for tensor in checkpoint.tensors.values()),
        "dtypes": dtypes,
        "attention": attention,
        "training": checkpoint.training,
    }


def _has_model_file(checkpoint: Checkpoint) -> bool:
    return "card" in checkpoint.metadata or checkpoint.model_file is not None


def _opening(checkpoint: Checkpoint, card: ModelCard | None, path: Path) -> tuple[bool, str | None, list[str]]:
    """Return whether the detector of a file can be opened, the reason if not, and its attention modules."""
    from attendet.attention.catalog import attentions
    from attendet.weights.io.opening import open_checkpoint
    from attendet.weights.io.weight_loading import attentions_of

    try:
        detector = open_checkpoint(checkpoint, path).detector
    except AttendetError as error:
        reason = f"{error.message}; {error.remedy}" if error.remedy else error.message
        return False, reason, _described_attention(checkpoint, card)
    names = {attentions.get(name): name for name in attentions.names()}
    modules = attentions_of(detector).items()
    return True, None, [f"{names.get(type(module), type(module).__name__)} at {place}" for place, module in modules]


def _described_attention(checkpoint: Checkpoint, card: ModelCard | None) -> list[str]:
    """Return the attention that a file without a detector describes: attached attention, and rows of its model file."""
    from attendet.attention.catalog import attentions
    from attendet.models.yaml.model_file import read_model_file
    from attendet.weights.io.model_card import stored_attention

    found: list[str] = []
    with suppress(AttendetError):
        found += [f"{plan.attention} at {site.path}" for plan in stored_attention(checkpoint) for site in plan.sites]
    with suppress(AttendetError):
        rows = read_model_file(card.text, card.model).rows if card else ()
        found += [f"{row.module} in row {row.index}" for row in rows if row.module in attentions]
    return found


def _text(value: Any) -> str:
    """Return a value of the table as text."""
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case list():
            return list_names([str(item) for item in value], _MAX_NAMES) or "none"
        case dict():
            return ", ".join(f"{key} {_without_nesting(part)}" for key, part in value.items()) or "unknown"
        case int():
            return f"{value:,}"
        case _:
            return str(value)


def _without_nesting(value: Any) -> str:
    """Return a value as text; of a mapping, only entries that are not nested further."""
    if not isinstance(value, dict):
        return str(value)
    return "{" + ", ".join(f"{key} {part}" for key, part in value.items() if not isinstance(part, dict | list)) + "}"
