"""`attendet train`: train a detector on a data set and validate it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from attendet.cli import train_options as options
from attendet.cli.options import AsJson
from attendet.cli.train_settings import (
    DEFAULT_PROJECT,
    LATEST,
    collect_settings,
    locate_run,
    refuse_with_resume,
    require_inputs,
)
from attendet.cli.ui.confirmation import confirm_many_sites
from attendet.cli.ui.console import console
from attendet.cli.ui.training_progress import TrainingProgress
from attendet.errors import OptionError
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.training.config import TrainConfig
    from attendet.training.run_folder import RunFolder, RunRecord


def train_command(
    data: options.Data = None,
    cfg: options.Cfg = None,
    weights: options.Weights = None,
    cache: options.Cache = None,
    rect: options.Rect = False,
    single_cls: options.SingleCls = False,
    image_weights: options.ImageWeights = False,
    workers: options.Workers = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    imgsz: options.Imgsz = None,
    multi_scale: options.MultiScale = False,
    patience: options.Patience = None,
    noval: options.Noval = False,
    seed: options.Seed = None,
    resume: options.Resume = None,
    optimizer: options.Optimizer = None,
    cos_lr: options.CosLr = False,
    label_smoothing: options.LabelSmoothing = None,
    freeze: options.Freeze = None,
    noautoanchor: options.Noautoanchor = False,
    hyp: options.Hyp = None,
    settings: options.Settings = None,
    attention: options.Attention = None,
    yes: options.Yes = False,
    start: options.Start = None,
    release: options.Release = None,
    dialect: options.Dialect = None,
    like: options.Like = None,
    watch_attention: options.WatchAttention = None,
    device: options.Device = None,
    devices: options.Devices = None,
    num_nodes: options.NumNodes = None,
    sync_bn: options.SyncBn = False,
    out: options.Out = None,
    project: options.Project = None,
    name: options.Name = None,
    exist_ok: options.ExistOk = False,
    save_period: options.SavePeriod = None,
    nosave: options.Nosave = False,
    tensorboard: options.Tensorboard = False,
    as_json: AsJson = False,
) -> None:
    """Train a detector on a data set, validate it, and draw its results.

    The flags of YOLOv5's train.py have the same meaning. The optimizer, the learning rate, and the other settings that
    are not given are chosen by the number of training steps, and printed.
    """
    parameters = dict(locals())
    if resume is not None:
        refuse_with_resume(parameters)
        config, folder = _resumed_run(resume, Path(project) if project else DEFAULT_PROJECT, data)
    else:
        require_inputs(parameters)
        if attention and not yes:
            confirm_many_sites(attention, cfg, weights, dialect, like)
        config, folder = _new_run(parameters), None
    from attendet.training.hardware import is_first_process
    from attendet.training.runner import train as run
    from attendet.utils.processes.child_processes import end_with_parent

    if not is_first_process():
        end_with_parent(os.getppid())
    try:
        with TrainingProgress() as reporter:
            written, record = run(config, reporter, command=tuple(sys.argv[1:]), resume=folder)
    except KeyboardInterrupt as interrupt:
        interrupt.add_note("continue from the last completed epoch with --resume")
        raise
    if record.metrics is None:
        # Of several processes, only the first validates and prints.
        return
    if as_json:
        typer.echo(written.record.read_text(encoding="utf-8"))
    else:
        _print(written, record)


def _new_run(parameters: dict[str, object]) -> TrainConfig:
    from attendet.training.config import build_config
    from attendet.training.hardware import is_first_process
    from attendet.training.hyperparameters import Hyperparameters, read_hyperparameters

    hyp, assignments, out = parameters["hyp"], parameters["settings"], parameters["out"]
    read = read_hyperparameters(hyp) if isinstance(hyp, Path) else Hyperparameters({})
    for note in read.notes:
        console(stderr=True).print(note, soft_wrap=True)
    settings = collect_settings(parameters, read.settings, assignments if isinstance(assignments, list) else [])
    exist_ok = bool(parameters["exist_ok"])
    folder = out if isinstance(out, Path) else None
    return build_config(locate_run(settings, folder, exist_ok=exist_ok, is_first_process=is_first_process()))


def _resumed_run(resume: str, project: Path, data: str | None) -> tuple[TrainConfig, RunFolder]:
    from attendet.training.run_folder import RunFolder
    from attendet.training.runner import config_to_resume

    folder = RunFolder(_latest_run(project) if resume == LATEST else _run_of(Path(resume)))
    return config_to_resume(folder, data), folder


def _run_of(path: Path) -> Path:
    """Return the folder of a run, which may be named by a file in its folder `weights` or `checkpoint`."""
    return path.parent.parent if path.is_file() and path.parent.name in ("weights", "checkpoint") else path


def _latest_run(project: Path) -> Path:
    """Return the folder of the interrupted run whose checkpoint is the newest.

    Raises:
        OptionError: If there is no interrupted run.
    """
    from attendet.training.run_folder import RunFolder, read_run

    checkpoints = sorted(project.glob("*/checkpoint/last.ckpt"), key=lambda path: path.stat().st_mtime)
    runs = [path.parent.parent for path in checkpoints if not read_run(RunFolder(path.parent.parent)).finished]
    if not runs:
        raise OptionError(f"no interrupted run found in {project}", remedy="name its folder: --resume RUN")
    return runs[-1]


def _print(folder: RunFolder, record: RunRecord) -> None:
    out = console()
    metrics = record.metrics or {}
    out.print(
        f"mAP50 {metrics['map50']:.3f}, mAP50-95 {metrics['map50_95']:.3f} on {plural(metrics['images'], 'image')}, "
        f"with the weights of epoch {record.best_epoch}: {folder.best}",
        soft_wrap=True,
    )
    out.print(f"plots: {folder.path / 'pictures'}; record: {folder.record}", soft_wrap=True)
