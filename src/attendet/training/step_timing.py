"""Measure the speed of a run by training for a few steps, without writing any files."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from attendet.training.config import TrainConfig
from attendet.training.preparation import create_data_module, create_trainer, prepare_run
from attendet.training.reporter import Reporter
from attendet.training.resource_errors import explain_resource_errors, quiet_lightning
from attendet.training.run_folder import RunFolder
from attendet.training.runner import run_trainer
from attendet.training.task import DetectionTask


@dataclass(frozen=True)
class StepTiming:
    """The durations of the parts of a run.

    Attributes:
        start_seconds: Seconds until the first step.
        step_seconds: Median seconds of a training batch.
        validation_seconds: Seconds of a validation batch.
        training_images: Number of training images.
        validation_images: Number of validation images.
    """

    start_seconds: float
    step_seconds: float
    validation_seconds: float
    training_images: int
    validation_images: int


def measure_step_times(config: TrainConfig, reporter: Reporter, steps: int = 4) -> StepTiming:
    """Measure the speed of a run with a few training batches and one validation batch.

    Args:
        config: The configuration of the run.
        reporter: Receives log lines and the progress of reading the data.
        steps: Number of batches that are timed, after a first one that is not.

    Raises:
        AttendetError: If the run could not start.
    """
    start = time.perf_counter()
    seed_everything(config.schedule.seed, verbose=False)
    prepared = prepare_run(config, reporter)
    schedule, splits = prepared.config.schedule, prepared.splits
    trainer, timer = create_trainer(prepared), StepTimer()
    trainer.callbacks.append(timer)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.limit_train_batches, trainer.limit_val_batches = steps + 1, 1
    trainer.check_val_every_n_epoch = trainer.fit_loop.max_epochs = 1
    with (
        tempfile.TemporaryDirectory() as folder,
        explain_resource_errors(schedule.batch_size, schedule.imgsz),
        quiet_lightning(),
    ):
        data = create_data_module(prepared, RunFolder(Path(folder, "run")), reporter)
        data.decode_images()
        ready = time.perf_counter() - start
        task = DetectionTask(prepared.model.detector, splits["train"].names, prepared.recipe, prepared.config)
        run_trainer(trainer, task, data, None)
    # The first step is slower because caches are empty, but it is used if there is no other.
    timed = timer.steps[1:] or timer.steps
    return StepTiming(ready, median(timed), timer.validation, len(splits["train"].records), len(splits["val"].records))


class StepTimer(Callback):
    """Measures the seconds from the end of a batch to the end of the next one, which includes loading.

    Attributes:
        steps: Seconds of each training batch.
        validation: Seconds of the validation.
    """

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation = 0.0
        self._before = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start timing the first batch."""
        self._before = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Store the seconds of the batch, and start timing the next one."""
        now = time.perf_counter()
        self.steps.append(now - self._before)
        self._before = now

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start timing the validation."""
        self._before = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Store the seconds of the validation."""
        self.validation = time.perf_counter() - self._before
