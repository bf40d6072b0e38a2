"""What each attention site of a detector does on a data set, and what detections are worth without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import torch

from attendet.data.loading.datasets import ValidationBatch
from attendet.data.records import Split
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.inference import detect_in_batch, ground_truth, validation_batches
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.interpret.ablation import hold_constant
from attendet.interpret.capture import PARTS, AttentionPass, attention_sites, capture_attention
from attendet.interpret.finite import require_finite_visit
from attendet.interpret.image_region import regions_of
from attendet.interpret.site_statistics import SiteStatistics, SiteStatisticsCollector
from attendet.models.detector import Detector, prepare_for_inference
from attendet.surgery import disabled

# Detections of so many variants are kept at once; more take another pass over the images.
AT_ONCE = 8
# mAP that is smaller than this has not changed, however many objects there are.
LEAST_CHANGE = 0.001

# While a variant is measured, something about the network is other than it was.
ModelVariant: TypeAlias = Callable[[ValidationBatch], AbstractContextManager[object]]


@dataclass(frozen=True)
class SiteReport:
    """What one attention site does, and what it is worth.

    Attributes:
        statistics: Its weights over the images.
        without: Metrics with the site handing its features on as they are.
        constant: Metrics with each of its weights replaced by the mean over all images and positions, by channel;
            None for a site that has no weights.
    """

    statistics: SiteStatistics
    without: Metrics
    constant: Metrics | None


@dataclass(frozen=True)
class Survey:
    """What all attention sites do on a data set.

    Attributes:
        metrics: Of the network as it is.
        sites: Each site, in the order in which they run.
    """

    metrics: Metrics
    sites: tuple[SiteReport, ...]

    @property
    def noise(self) -> float:
        """The change of mAP50-95 that says nothing, in 0-1: that of one object of the rarest class, found or not."""
        objects = [each.objects for each in self.metrics.per_class if each.objects]
        return max(LEAST_CHANGE, 1 / (len(objects) * min(objects))) if objects else 1.0


@torch.inference_mode()
def survey_sites(
    detector: Detector,
    split: Split,
    imgsz: int,
    options: ValidationConfig | None = None,
    *,
    sites_like: str = "*",
    batch_size: int = 16,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Measure what each attention site of a detector does on a split.

    The network runs 2·S + 1 times on each image for S sites: as it is, without each site, and with each site's weights
    replaced by their means. Images are decoded once for every eight of these.

    Args:
        detector: The network; it is left as it is.
        split: The images, as training takes them.
        imgsz: Longer side of the images in pixels; a multiple of the largest stride.
        options: Thresholds of detections.
        sites_like: Glob on the paths of the sites.
        batch_size: Images per batch.
        device: Where to compute.
        progress: Called with (done, total) images, over all passes.

    Raises:
        OptionError: If there is no attention.
        UnknownNameError: If no attention matches `sites_like`.
        WeightsError: If the features at a site are not finite.
    """
    model = prepare_for_inference(detector, device)
    found = attention_sites(model, sites_like)
    images = len(split.records)
    changes = sum(1 + any(isinstance(part, PARTS) for part in site.modules()) for site in found.values())
    total = images * (1 + -(-changes // AT_ONCE))

    def measure(variants: Mapping[str, ModelVariant], done: int) -> dict[str, Metrics]:
        """Run the network on all images once for each variant."""
        evaluations = {name: Evaluation(split.names) for name in variants}
        for placed, batch in validation_batches(model, split, imgsz, batch_size):
            truths = [ground_truth(record) for record in placed.records]
            for name, variant in variants.items():
                with variant(placed):
                    raw = model(batch)
                found = detect_in_batch(model, raw, placed, options or ValidationConfig())
                evaluations[name].update(found, truths)
            done += len(truths)
            if progress:
                progress(done, total)
        return {name: evaluation.compute() for name, evaluation in evaluations.items()}

    statistics = SiteStatisticsCollector()
    whole = measure({"": partial(_watched, model, sites_like, statistics)}, 0)[""]
    reports = statistics.sites()
    variants = {f"without {site.path}": partial(_without, model, site) for site in reports}
    variants |= {f"constant {site.path}": partial(_constant, model, site) for site in reports if site.parts}
    changed: dict[str, Metrics] = {}
    for number, start in enumerate(range(0, len(variants), AT_ONCE), start=1):
        some = dict(list(variants.items())[start : start + AT_ONCE])
        changed |= measure(some, number * images)
    return Survey(
        whole,
        tuple(
            SiteReport(site, changed[f"without {site.path}"], changed.get(f"constant {site.path}")) for site in reports
        ),
    )


@contextmanager
def _watched(
    model: Detector, sites_like: str, statistics: SiteStatisticsCollector, placed: ValidationBatch
) -> Iterator[None]:
    frames = regions_of(placed)

    def take(visit: AttentionPass) -> None:
        require_finite_visit(visit)
        statistics.take(visit, frames)

    with capture_attention(model, take, sites_like):
        yield


def _without(model: Detector, site: SiteStatistics, _: ValidationBatch) -> AbstractContextManager[None]:
    return disabled(model.get_submodule(site.path))


def _constant(model: Detector, site: SiteStatistics, _: ValidationBatch) -> AbstractContextManager[None]:
    return hold_constant(model, {f"{site.path}.{part.name}": part.means for part in site.parts})
