"""A training run from its configuration to its folder."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pickle
import signal
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import ValidationError

from attendet.data.module import DetectionData, Loading
from attendet.data.records import Split
from attendet.data.sampler import image_weights
from attendet.data.source import open_source, read_split
from attendet.data.usable import usable
from attendet.engine.config import HardwareConfig, TrainConfig
from attendet.engine.draw import draw_data, draw_results
from attendet.engine.network import Network, fit_to_data, open_network
from attendet.engine.recipe import Recipe, choose_recipe
from attendet.engine.recorder import Recorder, Reporter
from attendet.engine.run import (
    RunFolder,
    RunRecord,
    device_name,
    git_state,
    read_record,
    versions,
    write_record,
)
from attendet.engine.task import DetectionTask
from attendet.engine.validate import validate
from attendet.errors import DataError, Location, OptionError, OutputError, TrainingError, WeightsError
from attendet.files import new_run_folder
from attendet.graph.weights import load_weights
from attendet.wording import plural

SHOWN_PROBLEMS = 3


class Silence:
    """Watches a run without a word: in all processes but the first."""

    def say(self, text: str) -> None:
        """Take one line."""

    def scanned(self, what: str, done: int, total: int) -> None:
        """Take the progress of reading data."""

    def began(self, epoch: int, epochs: int, batches: int) -> None:
        """Take the start of an epoch, from 1."""

    def stepped(self, batch: int, losses: Mapping[str, float], images_per_second: float) -> None:
        """Take a batch, from 1."""

    def ended(self, row: Mapping[str, float], *, is_best: bool) -> None:
        """Take the row of an epoch."""


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step.

    Attributes:
        config: With the image size that the network takes.
        splits: `train` and `val`, as training takes them.
        network: The network and what is known of it.
        recipe: How its weights are moved.
        notes: What a reader should know.
    """

    config: TrainConfig
    splits: dict[str, Split]
    network: Network
    recipe: Recipe
    notes: tuple[str, ...]


def train(
    config: TrainConfig, reporter: Reporter, *, command: tuple[str, ...] = (), resume: RunFolder | None = None
) -> tuple[RunFolder, RunRecord]:
    """Train a detector, measure it and draw what there is to see.

    Args:
        config: The run.
        reporter: Who watches.
        command: The command line, for the record.
        resume: The folder of an interrupted run, which goes on to the same weights as if it had not been.

    Returns:
        The run's folder and record.

    Raises:
        AttendetError: If something does not fit, before anything is written; or if the run cannot go on.
    """
    start = time.perf_counter()
    if not is_first_process():
        reporter = Silence()
    seed_everything(config.schedule.seed, verbose=False)
    prepared = prepare(config, reporter)
    config = prepared.config
    trainer = _trainer(prepared)
    folder = resume or RunFolder(_folder(config, trainer))
    recorder = Recorder(folder, prepared.network.card(prepared.splits["train"].names, config.schedule.imgsz), reporter)
    trainer.callbacks.append(recorder)  # pyright: ignore[reportAttributeAccessIssue]
    if config.output.tensorboard:
        trainer.loggers = [TensorBoardLogger(folder.path, name="", version="tensorboard")]
    record = _record(prepared, trainer, command)
    data = _data(prepared, folder, reporter)
    task = DetectionTask(prepared.network.detector, prepared.splits["train"].names, prepared.recipe, config)
    with _remedies(config), _quiet():
        if trainer.is_global_zero:
            write_record(folder, record)
            draw_data(folder, data, prepared.splits["train"])
        _fit(trainer, task, data, folder.checkpoint if resume else None)
        record = replace(record, epochs=trainer.current_epoch, best_epoch=recorder.best_epoch)
        if trainer.is_global_zero:
            record = _finish(folder, record, recorder, prepared, reporter, time.perf_counter() - start)
    return folder, record


def _fit(trainer: Trainer, task: DetectionTask, data: DetectionData, checkpoint: Path | None) -> None:
    if checkpoint is not None:
        _require_sound(checkpoint)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except SystemExit as error:
        # What Lightning makes of Ctrl-C; that it has also switched Ctrl-C off is not for us to keep.
        if trainer.interrupted:
            signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from error
        raise


def _require_sound(checkpoint: Path) -> None:
    """Refuse a checkpoint that is damaged, or would run code when it is opened."""
    try:
        torch.load(checkpoint, map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(
            "it is no checkpoint of a run, or a damaged one", where=Location(str(checkpoint)), remedy="train again"
        ) from error


def is_first_process() -> bool:
    """Return whether this is the process that tells and writes, by what torchrun, Lightning and Slurm tell it."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID"))


def resumed(folder: RunFolder) -> TrainConfig:
    """Return the configuration of an interrupted run.

    Raises:
        DataError: If there is no run.
        OptionError: If it has come to its end, or has not done an epoch.
    """
    record = read_record(folder)
    if record.finished:
        raise OptionError(f"the run in {folder.path} has come to its end", remedy="start another from its weights")
    if not folder.checkpoint.is_file():
        raise OptionError(f"the run in {folder.path} has no whole epoch to go on from", remedy="start it again")
    try:
        return TrainConfig.model_validate(record.configuration)
    except ValidationError as error:
        first = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(
            f"its configuration is not of this version: {first}: {error.errors()[0]['msg']}",
            where=Location(str(folder.record)),
            remedy="start a new run from its weights",
        ) from error


def prepare(config: TrainConfig, reporter: Reporter) -> Prepared:
    """Read the data, build the network and choose the recipe; nothing is written.

    Raises:
        AttendetError: If something is missing or does not fit.
    """
    splits = {name: _read(config, name, reporter) for name in ("train", "val")}
    notes = [note for split in splits.values() for note in _problems(split)]
    if not len(splits["train"].records.classes):
        raise DataError("no training image has an object", where=Location(config.data.path), remedy="check the labels")
    network = open_network(config, splits["train"].names)
    stride = int(max(network.detector.strides))
    size = -(-config.schedule.imgsz // stride) * stride
    if size != config.schedule.imgsz:
        notes.append(f"images of {size} pixels: {config.schedule.imgsz} is no multiple of the largest stride, {stride}")
    schedule = config.schedule.model_copy(update={"imgsz": size})
    config = config.model_copy(update={"schedule": schedule})
    notes += [*network.notes, *fit_to_data(network.detector, splits["train"].records, config)]
    steps = -(-len(splits["train"].records) // schedule.batch_size)
    recipe = choose_recipe(config.optimizer, schedule, steps)
    for line in (*notes, *recipe.reasons):
        reporter.say(line)
    return Prepared(config, splits, network, recipe, tuple(notes))


def _read(config: TrainConfig, name: str, reporter: Reporter) -> Split:
    source = open_source(config.data.path, config.data.format)
    split = read_split(source, name, progress=lambda done, total: reporter.scanned(f"reading {name}", done, total))
    return usable(split, single_class=config.data.single_cls)


def _problems(split: Split) -> list[str]:
    """Tell once what was left out, and where to look for more."""
    errors = [problem for problem in split.problems if problem.kind.is_error]
    told = [f"{split.name}: {plural(len(split.records), 'image')}, {plural(len(split.records.classes), 'object')}"]
    if split.skipped:
        told.append(f"{split.name}: {plural(split.skipped, 'image')} left out that cannot be read")
    if errors:
        first = "; ".join(str(problem) for problem in errors[:SHOWN_PROBLEMS])
        told.append(f"{split.name}: {plural(len(errors), 'error')}, see `attendet data check`: {first}")
    return told


def _trainer(prepared: Prepared) -> Trainer:
    config = prepared.config
    accelerator, devices = accelerator_of(config.hardware)
    schedule = config.schedule
    with _quiet():
        return Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=config.hardware.num_nodes,
            strategy="ddp" if _processes(devices) * config.hardware.num_nodes > 1 else "auto",
            precision=precision_of(config.hardware, accelerator),
            sync_batchnorm=config.hardware.sync_bn,
            max_epochs=schedule.epochs,
            accumulate_grad_batches=prepared.recipe.accumulate,
            gradient_clip_val=config.optimizer.clip_norm,
            check_val_every_n_epoch=1 if config.validation.every_epoch else schedule.epochs,
            deterministic="warn" if schedule.deterministic else False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )


def accelerator_of(hardware: HardwareConfig) -> tuple[str, int | list[int]]:
    """Return Lightning's accelerator and devices for a device as users write it.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> accelerator_of(HardwareConfig(device="cpu", devices=2))
        ('cpu', 2)
    """
    device = hardware.device.strip().lower()
    numbers = device.removeprefix("cuda:").split(",")
    if all(number.strip().isdigit() for number in numbers):
        chosen = [int(number) for number in numbers]
        if max(chosen) >= torch.cuda.device_count():
            remedy = f"there are {torch.cuda.device_count()}; --device cpu computes without"
            raise OptionError(f"there is no CUDA device {max(chosen)}", remedy=remedy)
        return "cuda", chosen
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device not in available:
        raise OptionError(f"there is no device {hardware.device!r}", remedy="write cpu, cuda, 0, 0,1, mps or auto")
    if not available[device]:
        raise OptionError(f"{device} is not available here", remedy="--device cpu computes without")
    return device, hardware.devices or 1


def precision_of(hardware: HardwareConfig, accelerator: str) -> Any:
    """Return Lightning's precision: `auto` is bf16 on CUDA devices that have it."""
    if hardware.precision != "auto":
        return hardware.precision
    if accelerator != "cuda":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


def _processes(devices: int | list[int]) -> int:
    return devices if isinstance(devices, int) else len(devices)


def _folder(config: TrainConfig, trainer: Trainer) -> Path:
    output = config.output
    if trainer.is_global_zero:
        return new_run_folder(Path(output.project), output.name, exist_ok=output.exist_ok)
    # The other processes cannot ask yet which folder the first has made, and write nothing.
    return Path(output.project, output.name)


def _data(prepared: Prepared, folder: RunFolder, reporter: Reporter) -> DetectionData:
    config = prepared.config
    loading = Loading(
        size=config.schedule.imgsz,
        stride=int(max(prepared.network.detector.strides)),
        batch_size=config.schedule.batch_size,
        seed=config.schedule.seed,
        cache=config.data.cache,
        workers=config.data.workers,
        rect=config.data.rect,
        mosaic_epochs=config.schedule.epochs - config.schedule.close_mosaic,
        folder=folder.path.parent,
    )
    splits = prepared.splits
    data = DetectionData(
        splits["train"],
        splits["val"],
        loading,
        config.augment,
        progress=lambda done, total: reporter.scanned("decoding images", done, total),
    )
    if config.data.image_weights:
        classes = len(splits["train"].names)
        data.weigh_images(image_weights(splits["train"].records, classes, np.zeros(classes)))
    return data


def _record(prepared: Prepared, trainer: Trainer, command: tuple[str, ...]) -> RunRecord:
    recipe = asdict(prepared.recipe)
    return RunRecord(
        command=command,
        configuration=prepared.config.model_dump(mode="json"),
        recipe=recipe,
        model=prepared.network.facts(prepared.config.schedule.imgsz),
        names=prepared.splits["train"].names,
        data={
            name: {
                "images": len(split.records),
                "objects": len(split.records.classes),
                "skipped": split.skipped,
                "fingerprint": split.fingerprint(),
            }
            for name, split in prepared.splits.items()
        },
        versions=versions(),
        git=git_state(Path.cwd()),
        device=device_name(trainer.strategy.root_device),
        notes=prepared.notes,
    )


def _finish(
    folder: RunFolder,
    record: RunRecord,
    recorder: Recorder,
    prepared: Prepared,
    reporter: Reporter,
    seconds: float,
) -> RunRecord:
    """Measure the best weights, draw the pictures and close the record."""
    config = prepared.config
    chosen = folder.best if folder.best.is_file() else folder.last
    detector, _ = load_weights(chosen)
    measured = validate(detector, prepared.splits["val"], config.schedule.imgsz, config.validation)
    draw_results(folder, recorder.rows, measured, prepared.splits["val"].names)
    record = replace(
        record,
        seconds={"total": round(seconds, 1), **{name: round(value, 1) for name, value in recorder.seconds.items()}},
        metrics=measured.metrics.to_dict(),
        finished=True,
    )
    write_record(folder, record)
    reporter.say(f"everything about this run is in {folder.path}")
    return record


@contextlib.contextmanager
def _remedies(config: TrainConfig) -> Iterator[None]:
    """Turn what machines lack into what a user can do about it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # Torch's error for a processor's memory has no class of its own.
        if isinstance(error, RuntimeError) and not (
            isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)
        ):
            raise
        batch_size, size = config.schedule.batch_size, config.schedule.imgsz
        smaller = f"try --batch-size {batch_size // 2}, or a smaller --imgsz"
        raise TrainingError(
            f"there is too little memory for {batch_size} images of {size} pixels",
            remedy=smaller if batch_size > 1 else "try a smaller --imgsz, or a smaller model",
        ) from error
    except DataError as error:
        raise _from_worker(error) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        remedy = "make room, then go on with --resume; what was written before is whole"
        raise OutputError("there is no space left on the disk", remedy=remedy) from error


def _from_worker(error: DataError) -> DataError:
    """Return an error as it was raised: torch wraps what a worker process raises into a text of many lines."""
    last = error.what.splitlines()[-1]
    return error if last == error.what else DataError(last.removeprefix(f"{DataError.__module__}.DataError: "))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's advertisements and advice, which are about choices that were made on purpose."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning_utilities")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
