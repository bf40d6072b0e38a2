"""The Lightning module of a run: its training step and its validation step."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, distributed
from torch.nn import functional
from torch.optim import Optimizer

from attendet.data.loading.data_module import DetectionData
from attendet.data.loading.datasets import Batch, ValidationBatch
from attendet.data.loading.sampler import image_weights
from attendet.detection.loss_value import BatchProcesses, DetectionLoss
from attendet.errors import DivergenceError
from attendet.evaluation.inference import detect_in_batch, ground_truth
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.models.detector import Detector
from attendet.training.config import TrainConfig
from attendet.training.freezing import base_modules, frozen_modules, is_released
from attendet.training.optimizer import build_optimizer, set_learning_rates
from attendet.training.recipe import TrainingRecipe
from attendet.training.weight_average import AveragedWeights


class DetectionTask(LightningModule):
    """The training and validation steps of a detector, for Lightning.

    Args:
        detector: The detector to train.
        names: Class names in the order of their indices.
        recipe: The optimizer settings.
        config: The configuration of the run.

    Attributes:
        averaged: The averaged weights, which are validated and saved.
        metrics: Metrics of the last validation, equal in all processes; None before the first validation.
    """

    def __init__(self, detector: Detector, names: tuple[str, ...], recipe: TrainingRecipe, config: TrainConfig) -> None:
        super().__init__()
        # With channels last, a step on a CPU takes three quarters of the time, and tensor cores on CUDA need it.
        self.detector = detector.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.names, self.recipe, self.config = names, recipe, config
        self.averaged = AveragedWeights(detector, recipe.ema_decay, recipe.ema_ramp)
        self.metrics: Metrics | None = None
        self.loss_options = config.loss.options_for(detector.head, config.schedule.imgsz)
        self._evaluation = Evaluation(names)

    @property
    def averaged_detector(self) -> Detector:
        """The detector with averaged weights."""
        model = self.averaged.model
        if not isinstance(model, Detector):
            raise TypeError(type(model))
        return model

    def configure_optimizers(self) -> Optimizer:
        """Return the optimizer of the recipe; its learning rates are set before every batch."""
        return build_optimizer(self.detector, self.recipe, self.config.optimizer)

    def on_train_epoch_start(self) -> None:
        """Put frozen and unreleased modules into evaluation mode, because batch statistics change without gradients."""
        for module in frozen_modules(self.detector, self.config.model.freeze):
            module.training = False
        for row, row_module in enumerate(self.detector.model):
            for module in base_modules(row_module):
                module.training = module.training and self._is_released(row)

    def _is_released(self, row: int) -> bool:
        rows = len(self.detector.model)
        return is_released(row, rows, self.current_epoch, self.config.optimizer.release_epochs)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:  # noqa: ARG002
        """Set the learning rates and the momentum, which depend only on the number of batches so far."""
        for optimizer in self.trainer.optimizers:
            step = self.batches_before + batch_idx
            final = self.config.optimizer.lrf
            set_learning_rates(optimizer, self.recipe, step, final=final, is_released=self._is_released)

    @property
    def batches_before(self) -> int:
        """Number of batches before this epoch."""
        return self.current_epoch * int(self.trainer.num_training_batches)

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the loss and its parts; the loss is scaled so that processes and accumulated batches act as one batch.

        Raises:
            DivergenceError: If the loss is not finite.
        """
        images = self._scaled(batch.images, batch_idx)
        loss = self._loss(self.detector, self.detector(images), batch.targets, self._processes())
        if not torch.isfinite(loss.total):
            raise DivergenceError(
                f"the loss is {loss.total.item()} in epoch {self.current_epoch + 1}, batch {batch_idx + 1}",
                remedy="the last complete epoch is kept; try a smaller optimizer.lr0, or hardware.precision 32-true",
            )
        self._log_parts("train", loss, len(images))
        # Lightning divides by the number of accumulated batches, and distributed training by the number of processes.
        scaled = loss.total * self.recipe.accumulate * self.trainer.world_size
        return {"loss": scaled, "parts": torch.stack([*loss.parts.values()]).detach()}

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """Update the weights, and then the averaged weights."""
        super().optimizer_step(*args, **kwargs)
        self.averaged.update(self.detector)

    def validation_step(self, batch: ValidationBatch, batch_idx: int) -> None:  # noqa: ARG002
        """Compute the loss of the averaged weights, and collect their detections."""
        images = self._in_unit_range(batch.batch.images)
        raw = self.averaged_detector(images)
        self._log_parts("val", self._loss(self.averaged_detector, raw, batch.batch.targets), len(images))
        detector = self.averaged_detector
        detections = detect_in_batch(detector.decode(raw), batch, self.config.validation, detector.head.suppression)
        self._evaluation.update(detections, [ground_truth(record) for record in batch.records])

    def on_validation_epoch_end(self) -> None:
        """Compute the metrics from the detections of all processes."""
        merged = self._merge_processes(self._evaluation)
        self._evaluation = Evaluation(self.names)
        self.metrics = merged.compute()
        if self.config.data.image_weights:
            self._weigh_images(self.metrics)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:  # noqa: ARG002
        """Move the tensors of a batch to a device; its records stay on the CPU."""
        if isinstance(batch, ValidationBatch):
            return batch._replace(batch=_moved(batch.batch, device))
        return _moved(batch, device)

    def _loss(
        self, detector: Detector, raw: tuple[Tensor, ...], targets: Tensor, processes: BatchProcesses | None = None
    ) -> DetectionLoss:
        # The 8-bit mantissa of bfloat16 is too small for the sums in the loss.
        with torch.autocast(self.device.type, enabled=False):
            maps = [level.float() for level in raw]
            return detector.head.loss(maps, targets, self.loss_options, processes)

    def _scaled(self, images: Tensor, batch_idx: int) -> Tensor:
        """Return images in 0-1; with `--multi-scale`, resized to between half and one and a half times their side."""
        images = self._in_unit_range(images)
        schedule = self.config.schedule
        if not schedule.multi_scale:
            return images
        stride = int(max(self.detector.strides))
        # The seed depends on the batch only, so that all processes draw the same side.
        generator = random.Random(f"{schedule.seed} {self.batches_before + batch_idx}")  # noqa: S311
        side = stride * generator.randint(-(-schedule.imgsz // (2 * stride)), 3 * schedule.imgsz // (2 * stride))
        scale = side / max(images.shape[2:])
        shape = [max(1, round(length * scale / stride)) * stride for length in images.shape[2:]]
        return functional.interpolate(images, size=shape, mode="bilinear", align_corners=False)

    def _in_unit_range(self, images: Tensor) -> Tensor:
        return images.to(self.dtype, memory_format=torch.channels_last) / 255

    def _log_parts(self, stage: str, loss: DetectionLoss, count: int) -> None:
        for name, part in loss.parts.items():
            self.log(
                f"{stage}/{name}_loss", part.detach(), on_step=False, on_epoch=True, sync_dist=True, batch_size=count
            )

    def _processes(self) -> BatchProcesses | None:
        """Return the processes that share a batch; None if there is only one."""
        processes = self.trainer.world_size
        if processes == 1:
            return None

        def mean(count: Tensor) -> Tensor:
            distributed.all_reduce(count)
            return count / processes

        return BatchProcesses(processes, mean)

    def _weigh_images(self, metrics: Metrics) -> None:
        data = getattr(self.trainer, "datamodule", None)
        if not isinstance(data, DetectionData):
            raise TypeError(type(data))
        # Classes without validation images have no average precision and count as not found.
        precision = np.array([each.ap50_95 or 0.0 for each in metrics.per_class])
        data.weigh_images(image_weights(data.train_split.records, len(self.names), precision))

    def _merge_processes(self, evaluation: Evaluation) -> Evaluation:
        if self.trainer.world_size == 1:
            return evaluation
        parts: list[Any] = [None] * self.trainer.world_size
        distributed.all_gather_object(parts, evaluation)
        merged = Evaluation(self.names)
        for part in parts:
            merged.merge(part)
        return merged


def _moved(batch: Batch, device: torch.device) -> Batch:
    return Batch(*(tensor.to(device, non_blocking=True) for tensor in batch))
