"""Measure attention during training: columns for the results, and a filmstrip of the maps of one image."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from attendet.attention.base import Attention
from attendet.data.loading.canvases import CanvasRule
from attendet.data.loading.datasets import ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.records import ImageRecords, Split
from attendet.errors import OptionError
from attendet.interpret.capture import AttentionPass, capture_attention
from attendet.interpret.image_region import ImageRegion, regions_of
from attendet.interpret.maps import spatial_weights
from attendet.interpret.site_statistics import SiteStatisticsCollector
from attendet.models.detector import Detector
from attendet.training.plots.filmstrip import AttentionSnapshot, attention_filmstrip
from attendet.training.run_folder import RunFolder
from attendet.training.task import DetectionTask
from attendet.utils.modules import evaluation_mode
from attendet.utils.sampling import evenly_spaced

_MAX_IMAGES = 16
_BATCH_SIZE = 4
_MAX_SNAPSHOTS = 10
FILMSTRIP = "attention_filmstrip"
"""Name of the picture."""

_STATISTICS = ("mean", "std", "fraction_between", "saturated")


class AttentionMonitor(Callback):
    """Measures, every few epochs, the attention weights of each site on the same few validation images.

    The detector with averaged weights is measured, because these weights are saved. The measurement draws no random
    numbers and does not change the detector, so that training is the same with and without it.

    Args:
        folder: The folder of the run, for the filmstrip.
        split: The validation images.
        imgsz: Longer side of the images in pixels.
        stride: Largest stride of the detector.
        every: Number of epochs between two measurements.
        canvas: How the shape of the canvas of each image is chosen.
    """

    def __init__(
        self, folder: RunFolder, split: Split, imgsz: int, stride: int, every: int, canvas: CanvasRule = "border"
    ) -> None:
        self.folder, self.every = folder, every
        records = ImageRecords(split.records[number] for number in evenly_spaced(len(split.records), _MAX_IMAGES))
        self._dataset = ValidationDataset(records, OnDemandImages(records, imgsz), imgsz, stride, canvas)
        with_objects = [number for number, record in enumerate(records) if len(record.classes)]
        self._film_image = with_objects[len(with_objects) // 2] if with_objects else 0
        self._batches: list[ValidationBatch] = []
        self._columns: list[str] = []
        self._snapshots: list[AttentionSnapshot] = []
        self._writes = False

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a resumed run needs."""
        return {
            "columns": self._columns,
            "snapshots": [(snapshot.epoch, dict(snapshot.maps)) for snapshot in self._snapshots],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state from a checkpoint."""
        self._columns = list(state_dict["columns"])
        self._snapshots = [AttentionSnapshot(epoch, maps) for epoch, maps in state_dict["snapshots"]]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure once before training, to know the columns and to start the filmstrip."""
        if not isinstance(pl_module, DetectionTask):
            raise TypeError(type(pl_module))
        self._writes = trainer.is_global_zero
        if not self._snapshots:
            self._columns = list(self._measure(pl_module.averaged_detector, 0))

    def row(self, detector: Detector, epoch: int, *, is_last: bool) -> dict[str, float]:
        """Return the attention columns of an epoch in `results.csv`, such as `attention/model.9/channel/mean`.

        Args:
            detector: The detector with averaged weights.
            epoch: The epoch, counted from 1.
            is_last: Whether this is the last epoch of the training, which is always measured.

        Returns:
            For each site and part, the mean, the standard deviation, the fraction of the variance between images, and
            the fraction of saturated weights, as in `PartStatistics`. Values are NaN in epochs that are not measured,
            and the saturated fraction is NaN for parts without a range.
        """
        values = self._measure(detector, epoch) if epoch % self.every == 0 or is_last else {}
        return {column: values.get(column, torch.nan) for column in self._columns}

    @torch.no_grad()
    def _measure(self, detector: Detector, epoch: int) -> dict[str, float]:
        """Return the current statistics by column, and add a snapshot to the filmstrip."""
        # Batches are built here, because a data loader would draw random numbers that training draws, too.
        self._batches = self._batches or [self._dataset[indices] for indices in self._dataset.batches(_BATCH_SIZE)]
        statistics, maps = SiteStatisticsCollector(), {}
        device = next(detector.parameters()).device
        film_path = self._dataset.records[self._film_image].image
        with evaluation_mode(detector):
            for batch in self._batches:
                regions = regions_of(batch)
                position = next((n for n, record in enumerate(batch.records) if record.image == film_path), None)

                def take(
                    site: AttentionPass, regions: list[ImageRegion] = regions, position: int | None = position
                ) -> None:
                    statistics.add(site, regions)
                    weights = spatial_weights(site) if position is not None else None
                    if weights is not None and position is not None:
                        maps[site.path] = _crop_padding(weights[position], regions[position])

                with capture_attention(detector, take):
                    detector(batch.batch.images.to(device, torch.float32) / 255)
        self._snapshots = _thinned([*self._snapshots, AttentionSnapshot(epoch, maps)])
        if self._writes and any(snapshot.maps for snapshot in self._snapshots):
            attention_filmstrip(self._dataset.images[self._film_image], self._snapshots, self.folder.picture(FILMSTRIP))
        return {
            f"attention/{site.path}/{part.name}/{name}": torch.nan if value is None else value
            for site in statistics.sites()
            for part in site.parts
            for name, value in ((name, getattr(part, name)) for name in _STATISTICS)
        }


def require_attention(detector: Detector) -> None:
    """Raise an error if a detector has no attention to measure.

    Raises:
        OptionError: If no module of the detector is an attention module.
    """
    if not any(isinstance(module, Attention) for module in detector.modules()):
        raise OptionError(
            "`watch_attention` needs attention, but the model has no attention",
            remedy="attach some with --attention NAME@PLACE, use a model with attention, or remove --watch-attention",
        )


def _crop_padding(weights: Tensor, region: ImageRegion) -> Tensor:
    """Return the weights (H, W) of the image without its padding, on the CPU."""
    height, width = weights.shape
    return weights[region.crop(height, width)].float().cpu().clone()


def _thinned(snapshots: list[AttentionSnapshot]) -> list[AttentionSnapshot]:
    """Return at most ten snapshots, including the first and the last, at evenly spaced epochs if possible."""
    while len(snapshots) > _MAX_SNAPSHOTS:
        densest = min(
            range(1, len(snapshots) - 1), key=lambda number: snapshots[number + 1].epoch - snapshots[number - 1].epoch
        )
        snapshots = [*snapshots[:densest], *snapshots[densest + 1 :]]
    return snapshots
