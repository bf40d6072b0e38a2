"""What attention does while it is trained: numbers for every row of results, and a filmstrip of one image."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor

from attendet.attention.base import Attention
from attendet.data.loading.datasets import ValidationBatch, ValidationDataset
from attendet.data.loading.image_store import OnDemandImages
from attendet.data.records import ImageRecords, Split
from attendet.errors import OptionError
from attendet.interpret.capture import AttentionPass, capture_attention
from attendet.interpret.image_region import ImageRegion, regions_of
from attendet.interpret.maps import spatial
from attendet.interpret.site_statistics import SiteStatisticsCollector
from attendet.models.detector import Detector
from attendet.training.plots.filmstrip import Shot, attention_filmstrip
from attendet.training.run_folder import RunFolder
from attendet.training.task import DetectionTask
from attendet.utils.modules import evaluation_mode
from attendet.utils.sampling import evenly_spaced

WATCHED_IMAGES = 16
IMAGES_AT_ONCE = 4
MOST_SHOTS = 10
FILMSTRIP = "attention_filmstrip"
NUMBERS = ("mean", "std", "share_between", "saturated")


class GateWatch(Callback):
    """Measures, every few epochs, the weights of each attention site on the same few validation images.

    The averaged weights are watched, which are those that are kept. Nothing is random here and nothing of the network
    is changed, so that training goes the same way with and without it.

    Args:
        folder: Where the filmstrip goes.
        split: The validation images.
        imgsz: Their longer side in pixels.
        stride: Largest stride of the network.
        every: Epochs between two measurements.
    """

    def __init__(self, folder: RunFolder, split: Split, imgsz: int, stride: int, every: int) -> None:
        self.folder, self.every = folder, every
        records = ImageRecords(split.records[number] for number in evenly_spaced(len(split.records), WATCHED_IMAGES))
        self._set = ValidationDataset(records, OnDemandImages(records, imgsz), imgsz, stride)
        with_objects = [number for number, record in enumerate(records) if len(record.classes)]
        self._filmed = with_objects[len(with_objects) // 2] if with_objects else 0
        self._batches: list[ValidationBatch] = []
        self._columns: list[str] = []
        self._shots: list[Shot] = []
        self._writes = False

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs."""
        return {"columns": self._columns, "shots": [(shot.epoch, dict(shot.maps)) for shot in self._shots]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._columns = list(state_dict["columns"])
        self._shots = [Shot(epoch, maps) for epoch, maps in state_dict["shots"]]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look once before training: which numbers there are, and what the film begins with."""
        if not isinstance(pl_module, DetectionTask):
            raise TypeError(type(pl_module))
        self._writes = trainer.is_global_zero
        if not self._shots:
            self._columns = list(self._measure(pl_module.kept, 0))

    def row(self, detector: Detector, epoch: int, *, is_last: bool) -> dict[str, float]:
        """Return the columns of an epoch for `results.csv`, such as `attention/model.9/channel/mean`.

        Args:
            detector: The network with averaged weights.
            epoch: From 1.
            is_last: Whether training ends with it, so that it is measured whenever the one before was.

        Returns:
            For each site and part the mean, the standard deviation, the share of the variance that is between images,
            and the share that is saturated, as in `PartStatistics`; NaN in an epoch that is not measured, and for
            what has no range to be saturated in.
        """
        measured = self._measure(detector, epoch) if epoch % self.every == 0 or is_last else {}
        return {column: measured.get(column, torch.nan) for column in self._columns}

    @torch.no_grad()
    def _measure(self, detector: Detector, epoch: int) -> dict[str, float]:
        """Return the numbers of now, and take a shot for the film."""
        # Kept, because the data set's own loaders would draw random numbers that training draws too.
        self._batches = self._batches or [self._set[indices] for indices in self._set.batches(IMAGES_AT_ONCE)]
        statistics, maps = SiteStatisticsCollector(), {}
        device = next(detector.parameters()).device
        filmed = self._set.records[self._filmed].image
        with evaluation_mode(detector):
            for placed in self._batches:
                frames = regions_of(placed)
                number = next((n for n, record in enumerate(placed.records) if record.image == filmed), None)

                def take(visit: AttentionPass, frames: list[ImageRegion] = frames, number: int | None = number) -> None:
                    statistics.take(visit, frames)
                    weights = spatial(visit) if number is not None else None
                    if weights is not None and number is not None:
                        maps[visit.path] = _on_the_image(weights[number], frames[number])

                with capture_attention(detector, take):
                    detector(placed.batch.images.to(device, torch.float32) / 255)
        self._shots = _thinned([*self._shots, Shot(epoch, maps)])
        if self._writes and any(shot.maps for shot in self._shots):
            attention_filmstrip(self._set.images[self._filmed], self._shots, self.folder.picture(FILMSTRIP))
        return {
            f"attention/{site.path}/{part.name}/{name}": torch.nan if value is None else value
            for site in statistics.sites()
            for part in site.parts
            for name, value in ((name, getattr(part, name)) for name in NUMBERS)
        }


def require_attention(detector: Detector) -> None:
    """Refuse to watch a network without attention.

    Raises:
        OptionError: If there is none.
    """
    if not any(isinstance(module, Attention) for module in detector.modules()):
        raise OptionError(
            "the network has no attention to watch",
            remedy="give --attention NAME@PLACE or a model with some, or leave --watch-attention out",
        )


def _on_the_image(weights: Tensor, frame: ImageRegion) -> Tensor:
    height, width = weights.shape
    return weights[frame.crop(height, width)].float().cpu().clone()


def _thinned(shots: list[Shot]) -> list[Shot]:
    """Return at most ten, the first and the last among them, as evenly apart as those before allow."""
    while len(shots) > MOST_SHOTS:
        dense = min(range(1, len(shots) - 1), key=lambda n: shots[n + 1].epoch - shots[n - 1].epoch)
        shots = [*shots[:dense], *shots[dense + 1 :]]
    return shots
