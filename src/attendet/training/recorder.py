"""After every epoch: one row of results, weights, a checkpoint; and whether to go on."""

from __future__ import annotations

import math
import pickle
import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from attendet.errors import Location, TrainingError, WeightsError
from attendet.evaluation.metrics import Metrics
from attendet.training.attention_monitor import GateWatch
from attendet.training.reporter import Reporter
from attendet.training.run_folder import RunFolder, write_results
from attendet.training.task import PARTS, DetectionTask
from attendet.utils.io import write_atomically
from attendet.weights.io.model_card import ModelCard
from attendet.weights.io.saving import save_weights

STRICT_SHARE = 0.9
# What loggers are given; losses and rates they are given by Lightning.
CURVES = ("metrics/", "attention/")


class Recorder(Callback):
    """Writes what a run gives, and stops it when it no longer gets better.

    Args:
        folder: Where.
        card: What the weights say about themselves.
        reporter: Who watches.
        gates: Who watches attention; its numbers become columns.
        start: When the run began, by `time.perf_counter`; None is now.

    Attributes:
        rows: What each epoch gave.
        seconds: How long the parts took; a resumed run goes on counting, here as in `elapsed`.
    """

    def __init__(
        self,
        folder: RunFolder,
        card: ModelCard,
        reporter: Reporter,
        gates: GateWatch | None = None,
        start: float | None = None,
    ) -> None:
        self.folder, self.card, self.reporter, self.gates = folder, card, reporter, gates
        self.rows: list[dict[str, float]] = []
        self.best_fitness = -1.0
        self.best_epoch: int | None = None
        self.seconds = {"training": 0.0, "validation": 0.0}
        self._start = time.perf_counter() if start is None else start
        self._before = 0.0
        self._epoch_start = self._validation_start = 0.0
        self._images = 0
        self._parts = torch.zeros(len(PARTS))

    @property
    def elapsed(self) -> float:
        """Seconds of the whole run so far."""
        return self._before + time.perf_counter() - self._start

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {
            "rows": self.rows,
            "best_fitness": self.best_fitness,
            "best_epoch": self.best_epoch,
            "seconds": self.seconds,
            "elapsed": self.elapsed,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        try:
            self.rows, self.seconds, self._before = (state_dict[name] for name in ("rows", "seconds", "elapsed"))
            self.best_fitness, self.best_epoch = state_dict["best_fitness"], state_dict["best_epoch"]
        except KeyError as error:
            where = Location(str(self.folder.checkpoint))
            raise WeightsError(
                f"it is not of this version: {error} is missing", where=where, remedy="start a new run from its weights"
            ) from error

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._epoch_start, self._images = time.perf_counter(), 0
        self._parts = torch.zeros(len(PARTS))
        self.reporter.began(trainer.current_epoch + 1, trainer.max_epochs or 0, int(trainer.num_training_batches))

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,  # noqa: ARG002
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Tell the losses so far."""
        self._images += len(batch.images) * trainer.world_size
        rate = self._images / (time.perf_counter() - self._epoch_start)
        self._parts += outputs["parts"].cpu()
        means = (self._parts / (batch_idx + 1)).tolist()
        self.reporter.stepped(batch_idx + 1, dict(zip(PARTS, means, strict=True)), rate)

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Start the clock."""
        self._validation_start = time.perf_counter()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Stop the clock, after what was collected has been measured."""
        spent = time.perf_counter() - self._validation_start
        self.seconds["validation"] += spent
        self.seconds["training"] -= spent

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the epoch."""
        if not isinstance(pl_module, DetectionTask):
            raise TypeError(type(pl_module))
        task, epoch = pl_module, trainer.current_epoch + 1
        self.seconds["training"] += time.perf_counter() - self._epoch_start
        measured, task.metrics = task.metrics, None
        is_best = measured is not None and fitness(measured) > self.best_fitness
        if measured is not None and is_best:
            self.best_fitness, self.best_epoch = fitness(measured), epoch
        self._stop_where_it_stalls(trainer, task, epoch)
        is_last = trainer.should_stop or epoch == trainer.max_epochs
        _require_finite(task, epoch)
        row = self._row(trainer, measured, epoch)
        if self.gates:
            row |= self.gates.row(task.kept, epoch, is_last=is_last)
        self.rows.append(row)
        curves = {key: value for key, value in row.items() if key.startswith(CURVES) and not math.isnan(value)}
        for logger in trainer.loggers:
            logger.log_metrics(curves, step=trainer.global_step)
        if trainer.is_global_zero:
            self._write_weights(task, epoch, is_best=is_best, is_last=is_last)
            write_results(self.folder, self.rows)
        save_checkpoint(trainer, self.folder.checkpoint)
        self.reporter.ended(row, is_best=is_best)

    def _row(self, trainer: Trainer, measured: Metrics | None, epoch: int) -> dict[str, float]:
        known = {key: float(value) for key, value in trainer.callback_metrics.items()}
        groups = trainer.optimizers[0].param_groups
        rates = {f"x/lr{number}": group["lr"] for number, group in enumerate(groups[: len(PARTS)])}
        attention = [group["lr"] for group in groups if group["is_attention"]]
        return {
            "epoch": epoch,
            **{f"train/{name}_loss": known[f"train/{name}_loss"] for name in PARTS},
            "metrics/precision": measured.precision if measured else torch.nan,
            "metrics/recall": measured.recall if measured else torch.nan,
            "metrics/mAP_0.5": measured.map50 if measured else torch.nan,
            "metrics/mAP_0.5:0.95": measured.map50_95 if measured else torch.nan,
            **{f"val/{name}_loss": known.get(f"val/{name}_loss", torch.nan) for name in PARTS},
            **rates,
            **{f"x/attention_lr{number}": rate for number, rate in enumerate(attention)},
            "seconds": round(sum(self.seconds.values()), 1),
        }

    def _write_weights(self, task: DetectionTask, epoch: int, *, is_best: bool, is_last: bool) -> None:
        output = task.config.output
        self.folder.best.parent.mkdir(parents=True, exist_ok=True)
        if output.save or is_last:
            save_weights(task.kept, self.folder.last, self.card)
        if is_best:
            save_weights(task.kept, self.folder.best, self.card)
        if output.save_period > 0 and epoch % output.save_period == 0:
            save_weights(task.kept, self.folder.last.with_name(f"epoch{epoch}.safetensors"), self.card)

    def _stop_where_it_stalls(self, trainer: Trainer, task: DetectionTask, epoch: int) -> None:
        patience = task.config.schedule.patience
        if patience and self.best_epoch is not None and epoch - self.best_epoch >= patience:
            trainer.should_stop = True
            self.reporter.say(f"no better epoch than {self.best_epoch} in {patience} epochs: stopping (--patience)")


def fitness(metrics: Metrics) -> float:
    """Return what the best epoch is chosen by: mAP50-95, and a little mAP50 where it is still near 0."""
    return STRICT_SHARE * metrics.map50_95 + (1 - STRICT_SHARE) * metrics.map50


def _require_finite(task: DetectionTask, epoch: int) -> None:
    """Refuse to write weights over good ones that the last step of an epoch has spoiled."""
    if not all(bool(torch.isfinite(value).all()) for value in task.state_dict().values()):
        remedy = "the epoch before is kept; try a smaller optimizer.lr0, or hardware.precision 32-true"
        raise TrainingError(f"weights are no longer finite at the end of epoch {epoch}", remedy=remedy)


def save_checkpoint(trainer: Trainer, path: Path) -> None:
    """Write all that resuming needs, whole or not at all; every process calls it, and the first writes."""
    if not trainer.is_global_zero:
        trainer.save_checkpoint(path)
        return
    with write_atomically(path) as temporary:
        trainer.save_checkpoint(temporary)


def require_sound(checkpoint: Path) -> None:
    """Refuse a checkpoint that is damaged, or would run code when it is opened."""
    try:
        torch.load(checkpoint, map_location="meta", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, KeyError) as error:
        raise WeightsError(
            "it is no checkpoint of a run, or a damaged one", where=Location(str(checkpoint)), remedy="train again"
        ) from error
