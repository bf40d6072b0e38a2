"""The settings of a training run that a command line stands for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from attendet.cli.inputs import require_data, require_model, require_weights, run_location
from attendet.cli.yolov5.flags import DEFAULT_VALUES
from attendet.errors import DataError, Location, OptionError

LATEST = DEFAULT_VALUES["--resume"]
DEFAULT_PROJECT = Path("runs/train")

# The setting of each parameter of `attendet train`.
SETTINGS: Mapping[str, str] = {
    "cfg": "model.cfg",
    "weights": "model.weights",
    "dialect": "model.dialect",
    "like": "model.like",
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
# Parameters that switch a setting off.
NEGATIONS: Mapping[str, str] = {
    "noautoanchor": "anchors.fit",
    "nosave": "output.save",
    "noval": "validation.every_epoch",
}


def require_inputs(parameters: Mapping[str, object]) -> None:
    """Raise an error if a file that the command line names does not exist; torch is not imported for this.

    Args:
        parameters: The parameters of `attendet train` by name.

    Raises:
        AttendetError: If a file does not exist.
    """
    if parameters["data"]:
        require_data(str(parameters["data"]))
    if parameters["weights"]:
        require_weights(str(parameters["weights"]))
    if parameters["cfg"]:
        require_model(str(parameters["cfg"]))
    hyp = parameters["hyp"]
    if isinstance(hyp, Path) and not hyp.exists():
        raise DataError("hyperparameter file not found", where=Location(str(hyp)))


def collect_settings(
    parameters: Mapping[str, object], hyp: Mapping[str, object], assignments: Sequence[str]
) -> dict[str, object]:
    """Return the settings of a run by dotted key; a later source overrides an earlier one.

    Args:
        parameters: The parameters of `attendet train` by name; one that was not given is None or False.
        hyp: Settings from a hyperparameter file.
        assignments: Values of `--set`, such as `optimizer.lr0=0.01`.

    Raises:
        OptionError: If an assignment has no value, or no data set is given.
    """
    values = dict(hyp)
    values |= {key: parameters[name] for name, key in SETTINGS.items() if is_given(parameters[name])}
    if isinstance(parameters["freeze"], list):
        values["model.freeze"] = ",".join(parameters["freeze"])
    values |= {key: False for name, key in NEGATIONS.items() if parameters[name]}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise OptionError(f"`--set` must be KEY=VALUE, got {assignment!r}", remedy=f"write --set {key}=VALUE")
        values[key] = None if value == "none" and key != "data.cache" else value
    if "data.path" not in values:
        raise OptionError("no data set is given", remedy="give --data data.yaml")
    return values


def locate_run(
    settings: dict[str, object], out: Path | None, *, exist_ok: bool, is_first_process: bool
) -> dict[str, object]:
    """Return settings whose `output.project` and `output.name` are the folder `--out`, if it is given.

    Args:
        settings: By dotted key.
        out: The folder.
        exist_ok: Accept an existing folder.
        is_first_process: Check the folder: only the first process creates it, and the others find it.

    Raises:
        OptionError: If the settings name a project or a run, too.
        OutputError: If the folder exists.
    """
    if out is None:
        return settings
    named = [settings.get(key) for key in ("output.project", "output.name")]
    project, name = (None if value is None else str(value) for value in named)
    location = run_location(
        out, Path(project) if project else None, name, DEFAULT_PROJECT, exist_ok=exist_ok or not is_first_process
    )
    return {**settings, "output.project": str(location[0]), "output.name": location[1]}


def refuse_with_resume(parameters: Mapping[str, object]) -> None:
    """Raise an error if `--resume` is combined with a setting.

    Only `--data` is allowed, for a data set that was moved, and without the name of a run `--project`: the latest run
    is searched there.

    Raises:
        OptionError: If another parameter is given.
    """
    allowed = ("data", "project") if parameters["resume"] == LATEST else ("data",)
    for name in (*SETTINGS, *NEGATIONS, "hyp", "settings", "out"):
        if name not in allowed and is_given(parameters[name]):
            flag = "set" if name == "settings" else name.replace("_", "-")
            raise OptionError(
                f"--{flag} cannot be combined with --resume", remedy="a resumed run keeps its own settings"
            )


def is_given(value: object) -> bool:
    """Return whether the value of a parameter was typed; 0 is a value, although it equals False."""
    return value is not None and value is not False and value not in ("", [])
