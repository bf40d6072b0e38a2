"""A training run from its configuration to its folder."""

from __future__ import annotations

import shutil
import signal
import time
from dataclasses import asdict
from pathlib import Path

from lightning.pytorch import Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from pydantic import ValidationError

from attendet.data.loading.data_module import DetectionData
from attendet.errors import DataError, Location, OptionError
from attendet.evaluation.validation import validate
from attendet.training.attention_monitor import FILMSTRIP, GateWatch
from attendet.training.config import TrainConfig
from attendet.training.hardware import is_first_process
from attendet.training.pairing import first_order, first_weights
from attendet.training.plots.run_plots import PICTURES, draw_data, draw_results
from attendet.training.preparation import Prepared, make_data, make_trainer, prepare
from attendet.training.recorder import Recorder, require_sound
from attendet.training.reporter import NullReporter, Reporter
from attendet.training.resource_errors import explain_resource_errors, quiet
from attendet.training.run_folder import (
    RunFolder,
    RunRecord,
    device_name,
    git_state,
    read_run,
)
from attendet.training.task import DetectionTask
from attendet.utils.io import new_run_folder
from attendet.utils.provenance import PACKAGES, versions
from attendet.utils.records import write_record
from attendet.weights.io.opening import open_detector

TENSORBOARD = "tensorboard"


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
        reporter = NullReporter()
    seed_everything(config.schedule.seed, verbose=False)
    prepared = prepare(config, reporter)
    config = prepared.config
    trainer = make_trainer(prepared)
    folder = resume or RunFolder(_folder(config, trainer))
    card = prepared.network.card(prepared.splits["train"].names, config.schedule.imgsz)
    gates = _gates(prepared, folder)
    recorder = Recorder(folder, card, reporter, gates, start)
    trainer.callbacks += [*filter(None, [gates]), recorder]  # pyright: ignore[reportAttributeAccessIssue]
    if config.output.tensorboard:
        trainer.loggers = [TensorBoardLogger(folder.path, name="", version=TENSORBOARD)]
    data = make_data(prepared, folder, reporter)
    record = _record(prepared, trainer, command, data)
    if resume:
        record = _continued(read_run(folder), record)
    task = DetectionTask(prepared.network.detector, prepared.splits["train"].names, prepared.recipe, config)
    with explain_resource_errors(config.schedule.batch_size, config.schedule.imgsz), quiet():
        if trainer.is_global_zero:
            if not resume:
                _clear(folder)
            write_record(folder.record, record)
            draw_data(folder, data, prepared.splits["train"])
        fit(trainer, task, data, folder.checkpoint if resume else None)
        record = record.model_copy(update={"epochs": trainer.current_epoch, "best_epoch": recorder.best_epoch})
        if trainer.is_global_zero:
            record = _finish(folder, record, recorder, prepared, reporter)
    return folder, record


def fit(trainer: Trainer, task: DetectionTask, data: DetectionData, checkpoint: Path | None) -> None:
    """Train, from a checkpoint where there is one.

    Raises:
        KeyboardInterrupt: On Ctrl-C, of which Lightning makes something else.
        WeightsError: If the checkpoint is damaged.
    """
    if checkpoint is not None:
        require_sound(checkpoint)
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        trainer.fit(task, data, ckpt_path=checkpoint, weights_only=True if checkpoint else None)
    except SystemExit as error:
        # What Lightning makes of Ctrl-C; that it has also switched Ctrl-C off is not for us to keep.
        if trainer.interrupted:
            signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from error
        raise


def resumed(folder: RunFolder) -> TrainConfig:
    """Return the configuration of an interrupted run.

    Raises:
        DataError: If there is no run.
        OptionError: If it has come to its end, or has not done an epoch.
    """
    record = read_run(folder)
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


def _folder(config: TrainConfig, trainer: Trainer) -> Path:
    output = config.output
    if trainer.is_global_zero:
        return new_run_folder(Path(output.project), output.name, exist_ok=output.exist_ok)
    # The other processes cannot ask yet which folder the first has made, and write nothing.
    return Path(output.project, output.name)


def _gates(prepared: Prepared, folder: RunFolder) -> GateWatch | None:
    config, stride = prepared.config, int(max(prepared.network.detector.strides))
    every = config.output.watch_attention
    return GateWatch(folder, prepared.splits["val"], config.schedule.imgsz, stride, every) if every else None


def _record(prepared: Prepared, trainer: Trainer, command: tuple[str, ...], data: DetectionData) -> RunRecord:
    recipe = asdict(prepared.recipe)
    batches = data.batch_sampler()
    batches.weights = data.image_weights
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
        versions=versions(PACKAGES),
        git=git_state(Path.cwd()),
        device=device_name(trainer.strategy.root_device),
        computed_on=str(trainer.strategy.root_device),
        notes=prepared.notes,
        initialization=first_weights(prepared.network.detector),
        order=first_order(batches, prepared.splits["train"].digests),
    )


def _continued(before: RunRecord, record: RunRecord) -> RunRecord:
    """Return the record of a run that goes on.

    Raises:
        DataError: If the data has changed since it began.
    """
    for name, facts in record.data.items():
        if before.data.get(name, {}).get("fingerprint") != facts["fingerprint"]:
            path = Location(str(record.configuration["data"]["path"]))
            raise DataError(f"{name} has changed since the run began", where=path, remedy="start a new run")
    first = {"command": before.command, "initialization": before.initialization, "order": before.order}
    return record.model_copy(update=first)


def _clear(folder: RunFolder) -> None:
    """Remove what an older run left (`--exist-ok`), by its names: nobody may take it for this one's."""
    kept = folder.last.parent.glob("epoch[0-9]*.safetensors")
    pictures = (folder.picture(name) for name in (*PICTURES, FILMSTRIP))
    for path in (folder.checkpoint, folder.best, folder.last, folder.results, *kept, *pictures):
        path.unlink(missing_ok=True)
    shutil.rmtree(folder.path / TENSORBOARD, ignore_errors=True)


def _finish(
    folder: RunFolder, record: RunRecord, recorder: Recorder, prepared: Prepared, reporter: Reporter
) -> RunRecord:
    """Measure the best weights, draw the pictures and close the record."""
    config = prepared.config
    detector, _ = open_detector(folder.weights)
    measured = validate(
        detector,
        prepared.splits["val"],
        config.schedule.imgsz,
        config.validation,
        batch_size=config.schedule.batch_size,
        device=record.computed_on,
        progress=lambda done, total: reporter.scanned("measuring", done, total),
    )
    draw_results(folder, recorder.rows, measured, prepared.splits["val"].names)
    seconds = {"total": recorder.elapsed, **recorder.seconds}
    result = {
        "seconds": {name: round(value, 1) for name, value in seconds.items()},
        "metrics": measured.metrics.to_dict(),
        "finished": True,
    }
    record = record.model_copy(update=result)
    write_record(folder.record, record)
    reporter.say(f"everything about this run is in {folder.path}")
    return record
