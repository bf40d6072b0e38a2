"""Run a training from its configuration to its folder, or resume it."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import ValidationError

from attendet.data.loading.data_module import DetectionData
from attendet.errors import DataError, Location, OptionError
from attendet.evaluation.validation import validate
from attendet.training.attention_monitor import FILMSTRIP, AttentionMonitor
from attendet.training.config import TrainConfig
from attendet.training.data_changes import describe_images, require_same_data
from attendet.training.hardware import is_first_process
from attendet.training.pairing import image_order_digest, weight_digests
from attendet.training.plots.run_plots import PICTURES, draw_data, draw_results
from attendet.training.preparation import PreparedRun, create_data_module, create_trainer, prepare_run
from attendet.training.recorder import RunRecorder, require_valid_checkpoint
from attendet.training.reporter import NullReporter, Reporter
from attendet.training.resource_errors import explain_resource_errors, quiet_lightning
from attendet.training.run_folder import (
    RunFolder,
    RunRecord,
    check_digests,
    device_name,
    read_run,
    write_run,
)
from attendet.training.task import DetectionTask
from attendet.utils.git_commit import read_commit
from attendet.utils.io import new_run_folder
from attendet.utils.processes.folder_lock import exclusive_lock
from attendet.utils.processes.temporary_files import remove_leftovers
from attendet.utils.provenance import PACKAGES, versions
from attendet.weights.io import opening

_TENSORBOARD = "tensorboard"
_WORK = "run"


def train(
    config: TrainConfig, reporter: Reporter, *, command: tuple[str, ...] = (), resume: RunFolder | None = None
) -> tuple[RunFolder, RunRecord]:
    """Train a detector, validate it, and draw the plots of the run.

    Args:
        config: The configuration of the run.
        reporter: Receives log lines and progress.
        command: The command line, for the record.
        resume: The folder of an interrupted run to continue. On a CPU, it ends with the same weights as without the
            interruption.

    Returns:
        The folder and the record of the run.

    Raises:
        AttendetError: If the configuration, the data, or the weights cannot be used, before any file is written; if
            another process works in the folder; or if the training cannot continue.
    """
    start = time.perf_counter()
    if not is_first_process():
        reporter = NullReporter()
    with ExitStack() as stack:
        if resume and is_first_process():
            stack.enter_context(exclusive_lock(resume.path, _WORK))
            # Another process may have finished the run since its configuration was read.
            config_to_resume(resume, config.data.path)
            remove_leftovers(resume.path)
        for line in check_digests(resume) if resume else ():
            reporter.log(line)
        seed_everything(config.schedule.seed, verbose=False)
        prepared = prepare_run(config, reporter)
        trainer = create_trainer(prepared)
        folder = resume or RunFolder(_create_folder(prepared.config, trainer))
        if not resume and trainer.is_global_zero:
            stack.enter_context(exclusive_lock(folder.path, _WORK))
        return folder, _train_in(
            folder, prepared, trainer, reporter, command, start=start, is_resumed=resume is not None
        )


def _train_in(
    folder: RunFolder,
    prepared: PreparedRun,
    trainer: Trainer,
    reporter: Reporter,
    command: tuple[str, ...],
    *,
    start: float,
    is_resumed: bool,
) -> RunRecord:
    """Train in a folder that no other process uses, and return the record of the run."""
    config = prepared.config
    images = prepared.splits["train"]
    # Without images with 16 bits per channel, the weights do not depend on it.
    bit_depth = images.records.bit_depth if images.largest is not None else None
    card = prepared.model.card(images.names, config.schedule.imgsz, bit_depth)
    monitor = _attention_monitor(prepared, folder)
    recorder = RunRecorder(folder, card, reporter, monitor, start, describe_images(prepared.splits))
    trainer.callbacks += [*filter(None, [monitor]), recorder]  # pyright: ignore[reportAttributeAccessIssue]
    if config.output.tensorboard:
        trainer.loggers = [TensorBoardLogger(folder.path, name="", version=_TENSORBOARD)]
    data = create_data_module(prepared, folder, reporter)
    record = _initial_record(prepared, trainer, command, data)
    if is_resumed:
        record = _resumed_record(folder, record, prepared)
    task = DetectionTask(prepared.model.detector, prepared.splits["train"].names, prepared.recipe, config)
    with explain_resource_errors(config.schedule.batch_size, config.schedule.imgsz), quiet_lightning():
        if trainer.is_global_zero:
            if not is_resumed:
                _remove_old_files(folder)
            write_run(folder, record)
            draw_data(folder, data, prepared.splits["train"])
        run_trainer(trainer, task, data, folder.checkpoint if is_resumed else None)
        record = record.model_copy(update={"epochs": trainer.current_epoch, "best_epoch": recorder.best_epoch})
        if trainer.is_global_zero:
            record = _finish(folder, record, recorder, prepared, reporter)
    return record


def run_trainer(trainer: Trainer, task: DetectionTask, data: DetectionData, checkpoint: Path | None) -> None:
    """Run the training loop, from a checkpoint if there is one.

    Raises:
        KeyboardInterrupt: On Ctrl-C, or a signal that is handled like it (Lightning would raise SystemExit).
        WeightsError: If the checkpoint is damaged.
    """
    if checkpoint is not None:
        require_valid_checkpoint(checkpoint)
    interrupt = signal.getsignal(signal.SIGINT)
    trainer.callbacks.append(SignalHandlerKeeper())  # pyright: ignore[reportAttributeAccessIssue]
    try:
        trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except SystemExit as error:
        # On Ctrl-C, Lightning raises SystemExit and leaves Ctrl-C disabled.
        if isinstance(error.__context__, KeyboardInterrupt):
            signal.signal(signal.SIGINT, interrupt)
            raise error.__context__ from None
        raise


class SignalHandlerKeeper(Callback):
    """Keeps the handler of SIGTERM that was set before training.

    Lightning's handler lets all processes of a run exchange a message first, which never arrives if they are busy.
    """

    def __init__(self) -> None:
        self._handler = signal.getsignal(signal.SIGTERM)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Set the handler again, unless it is the default."""
        if callable(self._handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)


def config_to_resume(folder: RunFolder, data: str | None = None) -> TrainConfig:
    """Return the configuration of an interrupted run.

    Args:
        folder: The folder of the run.
        data: The data set, if it was moved; `train` refuses another one.

    Raises:
        DataError: If the folder contains no run, its record is from another version of attendet, or its data set was
            moved.
        OptionError: If the run is finished, or has not completed an epoch.
    """
    record = read_run(folder)
    if record.finished:
        raise OptionError(f"the run in {folder.path} is finished", remedy="start a new run from its weights")
    if not folder.checkpoint.is_file():
        raise OptionError(f"the run in {folder.path} has not completed an epoch", remedy="start it again")
    try:
        config = TrainConfig.model_validate(record.configuration)
    except ValidationError as error:
        first = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(
            f"the configuration is from another version of attendet: {first}: {error.errors()[0]['msg']}",
            where=Location(str(folder.record)),
            remedy="start a new run from its weights",
        ) from error
    path = config.data.path if data is None else data
    if not os.path.lexists(path):
        remedy = "if it was moved, name it: --resume RUN --data DATA"
        raise DataError("the data set of the run was not found", where=Location(path), remedy=remedy)
    return config.model_copy(update={"data": config.data.model_copy(update={"path": path})})


def _create_folder(config: TrainConfig, trainer: Trainer) -> Path:
    output = config.output
    if trainer.is_global_zero:
        return new_run_folder(Path(output.project), output.name, exist_ok=output.exist_ok)
    # The other processes do not know the number of the folder that the first process created, and write no files.
    return Path(output.project, output.name)


def _attention_monitor(prepared: PreparedRun, folder: RunFolder) -> AttentionMonitor | None:
    config, stride = prepared.config, int(max(prepared.model.detector.strides))
    every = config.output.watch_attention
    if not every:
        return None
    val, canvas = prepared.splits["val"], config.validation.canvas
    return AttentionMonitor(folder, val, config.schedule.imgsz, stride, every, canvas)


def _initial_record(
    prepared: PreparedRun, trainer: Trainer, command: tuple[str, ...], data: DetectionData
) -> RunRecord:
    """Return the record of a run before its first step."""
    recipe = asdict(prepared.recipe)
    batches = data.batch_sampler()
    batches.weights = data.image_weights
    return RunRecord(
        command=command,
        configuration=prepared.config.model_dump(mode="json"),
        recipe=recipe,
        model=prepared.model.to_record(prepared.config.schedule.imgsz),
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
        versions=versions(PACKAGES),
        git=_git_state(Path.cwd()),
        device=device_name(trainer.strategy.root_device),
        computed_on=str(trainer.strategy.root_device),
        notes=prepared.notes,
        initialization=weight_digests(prepared.model.detector),
        order=image_order_digest(batches, prepared.splits["train"].digests),
    )


def _git_state(folder: Path) -> dict[str, str] | None:
    commit = read_commit(folder)
    return None if commit is None else {"commit": commit}


def _resumed_record(folder: RunFolder, record: RunRecord, prepared: PreparedRun) -> RunRecord:
    """Return the record of a resumed run, with the entries that describe its start.

    Raises:
        DataError: If the data has changed since the run started.
    """
    before = read_run(folder)
    require_same_data(folder, before, record, prepared.splits)
    first = {"command": before.command, "initialization": before.initialization, "order": before.order}
    return record.model_copy(update=first)


def _remove_old_files(folder: RunFolder) -> None:
    """Remove the files of an older run in the same folder (`--exist-ok`), so that only files of this run remain."""
    saved = folder.last.parent.glob("epoch[0-9]*.safetensors")
    pictures = (folder.picture(name) for name in (*PICTURES, FILMSTRIP))
    for path in (folder.checkpoint, folder.best, folder.last, folder.results, *saved, *pictures):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder.path / _TENSORBOARD, ignore_errors=True)


def _finish(
    folder: RunFolder, record: RunRecord, recorder: RunRecorder, prepared: PreparedRun, reporter: Reporter
) -> RunRecord:
    """Validate the best weights, draw the plots, and complete the record."""
    config = prepared.config
    detector = opening.open(folder.weights).detector
    validation = validate(
        detector,
        prepared.splits["val"],
        config.schedule.imgsz,
        config.validation,
        batch_size=config.schedule.batch_size,
        device=record.computed_on,
        progress=lambda done, total: reporter.on_data_progress("validating", done, total),
    )
    draw_results(folder, recorder.rows, validation, prepared.splits["val"].names)
    seconds = {"total": recorder.elapsed, **recorder.seconds}
    result = {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "metrics": validation.metrics.to_dict(),
        "finished": True,
    }
    record = record.model_copy(update=result)
    write_run(folder, record)
    reporter.log(f"all files of this run are in {folder.path}")
    return record
