"""Write results, weights, and a checkpoint after every epoch, and stop a run that no longer improves."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from attendet.errors import DivergenceError, Location, WeightsError
from attendet.evaluation.metrics import Metrics
from attendet.training.attention_monitor import AttentionMonitor
from attendet.training.reporter import Reporter
from attendet.training.run_folder import RunFolder, write_results
from attendet.training.task import DetectionTask
from attendet.utils.io import write_atomically
from attendet.weights.formats.reader import DESCRIPTION_KEY
from attendet.weights.formats.zip_archive import check_zip_archive
from attendet.weights.io.file_digests import append_digest
from attendet.weights.io.model_card import ModelCard
from attendet.weights.io.saving import describe_weights, save_weights

# Weight of mAP50-95 in the fitness; the remaining weight belongs to mAP50.
_STRICT_WEIGHT = 0.9
# Prefixes of the columns that are passed to loggers. Lightning logs losses and learning rates itself.
_LOGGED = ("metrics/", "attention/")
# The optimizer's groups outside of attention: weights, norms, and biases.
_BASE_GROUPS = 3


class RunRecorder(Callback):
    """Writes the files of a run after every epoch, and stops the run when it no longer improves.

    Args:
        folder: The folder of the run.
        card: The model card of the weights.
        reporter: Receives progress and log lines.
        monitor: Measures attention; its numbers become columns of the results.
        start: Start of the run, by `time.perf_counter`; None is now.
        description: Text that the checkpoint contains besides the description of the network, by key.

    Attributes:
        rows: The rows of `results.csv`, one per epoch.
        best_fitness: Fitness of the best epoch; -1 before the first validation.
        best_epoch: The best epoch, counted from 1; None before the first validation.
        seconds: Seconds of training and of validation, including those before an interruption.
    """

    def __init__(
        self,
        folder: RunFolder,
        card: ModelCard,
        reporter: Reporter,
        monitor: AttentionMonitor | None = None,
        start: float | None = None,
        description: Mapping[str, str] | None = None,
    ) -> None:
        self.folder, self.card, self.reporter, self.monitor = folder, card, reporter, monitor
        self.description = dict(description or {})
        self.rows: list[dict[str, float]] = []
        self.best_fitness = -1.0
        self.best_epoch: int | None = None
        self.seconds = {"training": 0.0, "validation": 0.0}
        self._start = time.perf_counter() if start is None else start
        self._before = 0.0
        self._epoch_start = self._validation_start = 0.0
        self._images = 0
        self._parts = torch.zeros(0)

    @property
    def elapsed(self) -> float:
        """Seconds of the whole run so far, including those before an interruption."""
        return self._before + time.perf_counter() - self._start

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {
            "rows": self.rows,
            "best_fitness": self.best_fitness,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "elapsed": self.elapsed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint.

        Raises:
            WeightsError: If the checkpoint is from another version of attendet.
        """
        try:
            self.rows, self.seconds, self._before = (state_dict[name] for name in ("rows", "seconds", "elapsed"))
            self.best_fitness, self.best_epoch = state_dict["best_fitness"], state_dict["best_epoch"]
        except KeyError as error:
            where = Location(str(self.folder.checkpoint))
            raise WeightsError(
                f"the checkpoint is from another version of attendet: {error} is missing",
                where=where,
                remedy="start a new run from its weights",
            ) from error

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:  # noqa: ARG002
        """Describe the network in the checkpoint, so that the checkpoint can be opened like a weights file."""
        if isinstance(pl_module, DetectionTask):
            network = describe_weights(pl_module.averaged_detector, self.card)
            checkpoint[DESCRIPTION_KEY] = network | self.description

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start timing the epoch, and report its start."""
        self._epoch_start, self._images = time.perf_counter(), 0
        self._parts = torch.zeros(len(_loss_parts(pl_module)))
        batches = int(trainer.num_training_batches)
        self.reporter.on_epoch_start(trainer.current_epoch + 1, trainer.max_epochs or 0, batches)

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Report the mean losses of the epoch so far."""
        self._images += len(batch.images) * trainer.world_size
        rate = self._images / (time.perf_counter() - self._epoch_start)
        self._parts += outputs["parts"].cpu()
        means = (self._parts / (batch_idx + 1)).tolist()
        self.reporter.on_batch_end(batch_idx + 1, dict(zip(_loss_parts(pl_module), means, strict=True)), rate)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start timing the validation."""
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop timing the validation, which includes computing the metrics."""
        spent = time.perf_counter() - self._validation_start
        self.seconds["validation"] += spent
        self.seconds["training"] -= spent

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the results, the weights, and the checkpoint of the epoch."""
        if not isinstance(pl_module, DetectionTask):
            raise TypeError(type(pl_module))
        task, epoch = pl_module, trainer.current_epoch + 1
        self.seconds["training"] += time.perf_counter() - self._epoch_start
        metrics, task.metrics = task.metrics, None
        is_best = metrics is not None and fitness(metrics) > self.best_fitness
        if metrics is not None and is_best:
            self.best_fitness, self.best_epoch = fitness(metrics), epoch
        self._stop_without_improvement(trainer, task, epoch)
        is_last = trainer.should_stop or epoch == trainer.max_epochs
        _require_finite(task, epoch)
        row = self._row(trainer, metrics, epoch)
        if self.monitor:
            row |= self.monitor.row(task.averaged_detector, epoch, is_last=is_last)
        self.rows.append(row)
        curves = {key: value for key, value in row.items() if key.startswith(_LOGGED) and not math.isnan(value)}
        for logger in trainer.loggers:
            logger.log_metrics(curves, step=trainer.global_step)
        if trainer.is_global_zero:
            self._write_weights(task, epoch, is_best=is_best, is_last=is_last)
            write_results(self.folder, self.rows)
        save_checkpoint(trainer, self.folder.checkpoint)
        self.reporter.on_epoch_end(row, is_best=is_best)

    def _row(self, trainer: Trainer, metrics: Metrics | None, epoch: int) -> dict[str, float]:
        known = {key: float(value) for key, value in trainer.callback_metrics.items()}
        groups = trainer.optimizers[0].param_groups
        rates = {f"x/lr{number}": group["lr"] for number, group in enumerate(groups[:_BASE_GROUPS])}
        attention = [group["lr"] for group in groups if group["is_attention"]]
        parts = _loss_parts(trainer.lightning_module)
        return {
            "epoch": epoch,
            **{f"train/{name}_loss": known[f"train/{name}_loss"] for name in parts},
            "metrics/precision": metrics.precision if metrics else torch.nan,
            "metrics/recall": metrics.recall if metrics else torch.nan,
            "metrics/mAP_0.5": metrics.map50 if metrics else torch.nan,
            "metrics/mAP_0.5:0.95": metrics.map50_95 if metrics else torch.nan,
            **{f"val/{name}_loss": known.get(f"val/{name}_loss", torch.nan) for name in parts},
            **rates,
            **{f"x/attention_lr{number}": rate for number, rate in enumerate(attention)},
            "seconds": round(sum(self.seconds.values()), 1),
        }

    def _write_weights(self, task: DetectionTask, epoch: int, *, is_best: bool, is_last: bool) -> None:
        output = task.config.output
        self.folder.best.parent.mkdir(parents=True, exist_ok=True)
        if output.save or is_last:
            save_weights(task.averaged_detector, self.folder.last, self.card)
        if is_best:
            save_weights(task.averaged_detector, self.folder.best, self.card)
        if output.save_period > 0 and epoch % output.save_period == 0:
            save_weights(task.averaged_detector, self.folder.last.with_name(f"epoch{epoch}.safetensors"), self.card)

    def _stop_without_improvement(self, trainer: Trainer, task: DetectionTask, epoch: int) -> None:
        patience = task.config.schedule.patience
        if patience and self.best_epoch is not None and epoch - self.best_epoch >= patience:
            trainer.should_stop = True
            self.reporter.log(
                f"stopping: no improvement over epoch {self.best_epoch} in {patience} epochs (--patience)"
            )


def fitness(metrics: Metrics) -> float:
    """Return the score (0-1) that selects the best epoch: 0.9 · mAP50-95 + 0.1 · mAP50.

    mAP50 decides while mAP50-95 is still near 0.
    """
    return _STRICT_WEIGHT * metrics.map50_95 + (1 - _STRICT_WEIGHT) * metrics.map50


def _require_finite(task: DetectionTask, epoch: int) -> None:
    """Raise an error if weights are not finite, before they replace the weights of the epoch before."""
    if not all(bool(torch.isfinite(value).all()) for value in task.state_dict().values()):
        remedy = "the weights of the epoch before are kept; try a smaller optimizer.lr0, or hardware.precision 32-true"
        raise DivergenceError(f"the weights are not finite at the end of epoch {epoch}", remedy=remedy)


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write the checkpoint atomically; all processes must call this function, and the first one writes."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(path)
        return
    with write_atomically(path) as temporary:
        trainer.save_checkpoint(temporary)
        append_digest(temporary)


def require_valid_checkpoint(checkpoint: Path) -> None:
    """Raise an error if a checkpoint is damaged, or would run code or fill the memory when it is loaded.

    Raises:
        WeightsError: If the checkpoint cannot be loaded safely.
    """
    try:
        with checkpoint.open("rb") as file:
            check_zip_archive(file)
        torch.load(checkpoint, map_location="meta", weights_only=True)
    except (WeightsError, pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(
            "the checkpoint is damaged, or was not written by attendet",
            where=Location(str(checkpoint)),
            remedy="train again",
        ) from error


def _loss_parts(task: LightningModule) -> tuple[str, ...]:
    """Return the names of the parts of the loss."""
    if not isinstance(task, DetectionTask):
        raise TypeError(type(task))
    return task.detector.head.loss_parts
