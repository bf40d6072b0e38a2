"""How fast a run would be: a few of its steps, really taken, and nothing written."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer, seed_everything

from attendet.training.config import TrainConfig
from attendet.training.preparation import make_data, make_trainer, prepare
from attendet.training.reporter import Reporter
from attendet.training.resource_errors import explain_resource_errors, quiet
from attendet.training.run_folder import RunFolder
from attendet.training.runner import fit
from attendet.training.task import DetectionTask


@dataclass(frozen=True)
class Pace:
    """How long the parts of a run take.

    Attributes:
        start_seconds: Until the first step.
        step_seconds: A batch of training; the median.
        validation_seconds: A batch of validation.
        training_images: How many there are.
        validation_images: How many there are.
    """

    start_seconds: float
    step_seconds: float
    validation_seconds: float
    training_images: int
    validation_images: int


def measure_pace(config: TrainConfig, reporter: Reporter, steps: int = 4) -> Pace:
    """Return how fast a run would be, from a few steps on real batches and one batch of validation.

    Args:
        config: The run.
        reporter: Who watches.
        steps: Batches that are timed, after a first one that is not.

    Raises:
        AttendetError: If the run could not begin.
    """
    start = time.perf_counter()
    seed_everything(config.schedule.seed, verbose=False)
    prepared = prepare(config, reporter)
    trainer, clock = make_trainer(prepared), Clock()
    trainer.callbacks.append(clock)  # pyright: ignore[reportAttributeAccessIssue]
    trainer.limit_train_batches, trainer.limit_val_batches = steps + 1, 1
    trainer.check_val_every_n_epoch = trainer.fit_loop.max_epochs = 1
    schedule, splits = prepared.config.schedule, prepared.splits
    with tempfile.TemporaryDirectory() as folder, explain_resource_errors(schedule.batch_size, schedule.imgsz), quiet():
        data = make_data(prepared, RunFolder(Path(folder, "run")), reporter)
        data.prepare()
        ready = time.perf_counter() - start
        task = DetectionTask(prepared.network.detector, splits["train"].names, prepared.recipe, prepared.config)
        fit(trainer, task, data, None)
    # The first step warms caches up; where there is no other, it has to do.
    timed = clock.steps[1:] or clock.steps
    return Pace(ready, median(timed), clock.validation, len(splits["train"].records), len(splits["val"].records))


class Clock(Callback):
    """Times batches: from one's end to the next one's, so that loading counts."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.validation = 0.0
        self._before = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._before = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: Trainer,  # noqa: ARG002
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,  # noqa: ARG002
    ) -> None:
        """Take the time."""
        now = time.perf_counter()
        self.steps.append(now - self._before)
        self._before = now

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._before = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Take the time."""
        self.validation = time.perf_counter() - self._before
