"""`attendet train`: a data set and a model → a trained, measured detector."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from typer.core import TyperCommand

from attendet.cli.exit_codes import INTERRUPTED
from attendet.cli.options import AsJson
from attendet.cli.ui.tables import console
from attendet.cli.ui.training_progress import TrainingProgress
from attendet.errors import OptionError
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.training.run_folder import RunFolder, RunRecord

WEIGHTS = "Weights to start from: a run's folder, .safetensors, or a .pt of YOLOv5."
SETTINGS: Mapping[str, str] = {
    "cfg": "model.cfg",
    "weights": "model.weights",
    "dialect": "model.dialect",
    "start": "model.start",
    "attention": "model.attention",
    "freeze": "model.freeze",
    "data": "data.path",
    "cache": "data.cache",
    "workers": "data.workers",
    "rect": "data.rect",
    "single_cls": "data.single_cls",
    "image_weights": "data.image_weights",
    "epochs": "schedule.epochs",
    "batch_size": "schedule.batch_size",
    "imgsz": "schedule.imgsz",
    "multi_scale": "schedule.multi_scale",
    "patience": "schedule.patience",
    "seed": "schedule.seed",
    "optimizer": "optimizer.name",
    "release": "optimizer.release_epochs",
    "cos_lr": "optimizer.cos_lr",
    "label_smoothing": "loss.label_smoothing",
    "device": "hardware.device",
    "devices": "hardware.devices",
    "num_nodes": "hardware.num_nodes",
    "sync_bn": "hardware.sync_bn",
    "project": "output.project",
    "name": "output.name",
    "exist_ok": "output.exist_ok",
    "save_period": "output.save_period",
    "tensorboard": "output.tensorboard",
    "watch_attention": "output.watch_attention",
}
NEGATIONS = {"noautoanchor": "anchors.fit", "nosave": "output.save", "noval": "validation.every_epoch"}

LATEST = "latest"
# What an option means that is given without a value, as YOLOv5's users write it.
BARE = {"--cache": "ram", "--resume": LATEST}


class TrainCommand(TyperCommand):
    """A command some of whose options may stand without their value, which Typer does not offer."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Complete the options that stand bare, then read all."""
        return super().parse_args(ctx, with_values(args))


def with_values(args: Sequence[str]) -> list[str]:
    """Return arguments in which options that may stand without a value have one, and those with several have one.

    Example:
        >>> with_values(["--cache", "--epochs", "3", "--resume", "runs/train/exp"])
        ['--cache', 'ram', '--epochs', '3', '--resume', 'runs/train/exp']
        >>> with_values(["--freeze", "0", "1", "4"])
        ['--freeze', '0,1,4']
    """
    completed: list[str] = []
    for argument, following in itertools.zip_longest(args, args[1:]):
        if argument.isdigit() and completed[-2:-1] == ["--freeze"]:
            completed[-1] += f",{argument}"
            continue
        completed.append(argument)
        if argument in BARE and (following is None or following.startswith("-")):
            completed.append(BARE[argument])
    return completed


def train(
    data: Annotated[str | None, typer.Option(help="A data.yaml, a folder, or a COCO json.")] = None,
    cfg: Annotated[str | None, typer.Option(help="A model file, or a bundled name such as yolov5s_CBAM.")] = None,
    weights: Annotated[str | None, typer.Option(help=WEIGHTS)] = None,
    hyp: Annotated[Path | None, typer.Option(help="A YOLOv5 hyperparameter file.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Passes over the images; unless given, 300.")] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", "--batch", help="Images per step, over all processes; unless given, 16."),
    ] = None,
    imgsz: Annotated[
        int | None,
        typer.Option(
            "--imgsz", "--img", "--img-size", help="Side of the training images in pixels; unless given, 640."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, 0, 0,1 or auto.")] = None,
    optimizer: Annotated[str | None, typer.Option(help="SGD, Adam, AdamW, or auto.")] = None,
    cos_lr: Annotated[bool, typer.Option("--cos-lr", help="Let the learning rate fall along a cosine.")] = False,
    patience: Annotated[
        int | None, typer.Option(help="Stop after so many epochs without a better one; 0 never.")
    ] = None,
    attention: Annotated[
        list[str] | None, typer.Option(metavar="NAME@PLACE", help="Attach attention: cbam@neck. May be repeated.")
    ] = None,
    freeze: Annotated[
        str | None,
        typer.Option(help="Rows not to train: 10 is the first ten, 0,3,5 these; base is everything but attention."),
    ] = None,
    cache: Annotated[
        str | None, typer.Option(help="Where decoded images are kept: ram (also without a value), disk, none or auto.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of everything random.")] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with an interrupted run: its folder, or without a value the latest.")
    ] = None,
    project: Annotated[str | None, typer.Option(help="Folder of runs; unless given, runs/train.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; unless given, exp.")] = None,
    exist_ok: Annotated[bool, typer.Option("--exist-ok", help="Write into a folder that exists.")] = False,
    rect: Annotated[bool, typer.Option("--rect", help="Batches of images of like shapes, without mosaic.")] = False,
    single_cls: Annotated[bool, typer.Option("--single-cls", help="Treat all classes as one.")] = False,
    multi_scale: Annotated[bool, typer.Option("--multi-scale", help="Vary each batch's side by up to half.")] = False,
    label_smoothing: Annotated[float | None, typer.Option(help="ε of the class targets, 0-1.")] = None,
    image_weights: Annotated[
        bool, typer.Option("--image-weights", help="Draw rare and badly found classes more often.")
    ] = False,
    save_period: Annotated[int | None, typer.Option(help="Keep the weights of every so many epochs.")] = None,
    noautoanchor: Annotated[bool, typer.Option("--noautoanchor", help="Leave the anchors as they are.")] = False,
    nosave: Annotated[bool, typer.Option("--nosave", help="Write the last weights at the end only.")] = False,
    noval: Annotated[bool, typer.Option("--noval", help="Validate after the last epoch only.")] = False,
    sync_bn: Annotated[bool, typer.Option("--sync-bn", help="Share batch statistics between processes.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that augment images.")] = None,
    devices: Annotated[int | None, typer.Option(help="Processes on this machine.")] = None,
    num_nodes: Annotated[int | None, typer.Option(help="Machines.")] = None,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard too.")] = False,
    watch_attention: Annotated[
        int | None,
        typer.Option(metavar="EPOCHS", help="Write what attention does every so many epochs: columns and a filmstrip."),
    ] = None,
    dialect: Annotated[
        str | None, typer.Option(help="How attention rows are read: auto, or a family of forks.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="How attention starts: paper, or identity; unless given, identity with weights.")
    ] = None,
    release: Annotated[
        int | None,
        typer.Option(metavar="EPOCHS", help="Train attention first; release the rest row by row in so many epochs."),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="Any other setting.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a detector on real images, measure it, and draw what there is to see.

    Flags that YOLOv5's users know mean the same. What is not set is chosen from the number of steps, and said.
    """
    given = dict(locals())
    from attendet.training.config import build_config
    from attendet.training.run_folder import RunFolder
    from attendet.training.runner import resumed
    from attendet.training.runner import train as run

    if resume is not None:
        _refuse_beside_resume(given)
        folder = RunFolder(_latest(Path(project or "runs/train")) if resume == LATEST else Path(resume))
        config = resumed(folder)
    else:
        folder = None
        config = build_config(_values(given, hyp, settings or []))
    try:
        with TrainingProgress() as watch:
            done, record = run(config, watch, command=tuple(sys.argv[1:]), resume=folder)
    except KeyboardInterrupt:
        typer.echo("interrupted: --resume goes on from the last whole epoch", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if record.metrics is None:
        # One of several processes, of which the first tells.
        return
    if as_json:
        typer.echo(done.record.read_text(encoding="utf-8"))
    else:
        _print(done, record)


def _values(given: Mapping[str, object], hyp: Path | None, settings: list[str]) -> dict[str, object]:
    """Return the settings of a command line by dotted key: a later source wins over an earlier one."""
    from attendet.training.hyperparameters import read_hyperparameters

    values: dict[str, object] = read_hyperparameters(hyp) if hyp else {}
    # A flag that is not given is None or False, and leaves what a file says.
    values |= {key: given[flag] for flag, key in SETTINGS.items() if _is_given(given[flag])}
    values |= {key: False for flag, key in NEGATIONS.items() if given[flag]}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise OptionError(f"--set {setting} has no value", remedy=f"write --set {key}=VALUE")
        values[key] = None if value == "none" and key != "data.cache" else value
    if "data.path" not in values:
        raise OptionError("there is no data set", remedy="give --data data.yaml")
    return values


def _refuse_beside_resume(given: Mapping[str, object]) -> None:
    # The latest run is looked for in a folder of runs; a run that is named lies where it lies.
    allowed = "project" if given["resume"] == LATEST else None
    flags = (*SETTINGS, *NEGATIONS, "hyp", "settings")
    beside = [flag for flag in flags if flag != allowed and _is_given(given[flag])]
    if beside:
        flag = "set" if beside[0] == "settings" else beside[0].replace("_", "-")
        raise OptionError(f"--{flag} beside --resume", remedy="a resumed run goes on with its own settings")


def _is_given(value: object) -> bool:
    """Return whether a flag was typed; 0 is a value, though it equals False."""
    return value is not None and value is not False and value not in ("", [])


def _latest(project: Path) -> Path:
    from attendet.training.run_folder import RunFolder, read_record

    checkpoints = sorted(project.glob("*/checkpoint/last.ckpt"), key=lambda path: path.stat().st_mtime)
    runs = [path for path in checkpoints if not read_record(RunFolder(path.parent.parent)).finished]
    if not runs:
        raise OptionError(f"there is no interrupted run in {project}", remedy="name its folder: --resume RUN")
    return runs[-1].parent.parent


def _print(folder: RunFolder, record: RunRecord) -> None:
    out = console()
    metrics = record.metrics or {}
    out.print(
        f"mAP50 {metrics['map50']:.3f}, mAP50-95 {metrics['map50_95']:.3f} on {plural(metrics['images'], 'image')}, "
        f"with the weights of epoch {record.best_epoch}: {escape(str(folder.best))}",
        soft_wrap=True,
    )
    out.print(escape(f"pictures: {folder.path / 'pictures'}; the record: {folder.record}"), soft_wrap=True)
