"""Measurements of attention sites: their weights, and detections without them or with constants."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from attendet.data.loading.datasets import ValidationBatch
from attendet.data.records import Split
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.inference import detect_in_batch, ground_truth, validation_batches
from attendet.evaluation.metrics import Evaluation, Metrics
from attendet.interpret.capture import (
    PART_CLASSES,
    AttentionPass,
    attention_sites,
    capture_attention,
    require_finite_features,
)
from attendet.interpret.dataset.survey import SiteReport, Survey
from attendet.interpret.image_region import regions_of
from attendet.interpret.site_statistics import SiteStatistics, SiteStatisticsCollector
from attendet.models.detector import Detector, prepare_for_inference
from attendet.runtimes.unit_range import in_unit_range
from attendet.surgery import disabled

MAX_VARIANTS = 8
"""Number of variants of the network whose detections are in memory at once; more take another pass over the images."""

ModelVariant: TypeAlias = Callable[[ValidationBatch], AbstractContextManager[object]]
"""Changes the network for a batch, as long as the context is open."""


@torch.inference_mode()
def survey_sites(
    detector: Detector,
    split: Split,
    imgsz: int,
    config: ValidationConfig | None = None,
    *,
    site: str = "*",
    batch_size: int = 16,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> Survey:
    """Measure what each attention site of a detector contributes to its detections.

    For S sites, the network runs 2·S + 1 times on each image: unchanged, with each site disabled, and with the weights
    of each site replaced by their means. Images are decoded once for every eight of these variants.

    Args:
        detector: The network; it is not changed.
        split: The images.
        imgsz: Longer side of the images in pixels; a multiple of the largest stride.
        config: Thresholds of the detections.
        site: Pattern of the paths of the sites, with the wildcards `*` and `?`.
        batch_size: Images per batch.
        device: Device that computes, in the notation of torch.
        progress: Called with (done, total) images, over all passes.

    Raises:
        OptionError: If the detector has no attention.
        UnknownNameError: If no site matches the pattern.
        WeightsError: If the features at a site are not finite.
    """
    config = config or ValidationConfig()
    model = prepare_for_inference(detector, device)
    sites = attention_sites(model, site)
    num_images = len(split.records)
    num_variants = sum(1 + any(isinstance(part, PART_CLASSES) for part in each.modules()) for each in sites.values())
    total = num_images * (1 + -(-num_variants // MAX_VARIANTS))

    def measure(variants: Mapping[str, ModelVariant], done: int) -> dict[str, Metrics]:
        """Run each variant on all images."""
        evaluations = {name: Evaluation(split.names) for name in variants}
        for batch in validation_batches(split, imgsz, int(max(model.strides)), batch_size, config.canvas):
            images = in_unit_range(batch.batch.images.to(device)).contiguous(memory_format=torch.channels_last)
            truths = [ground_truth(record) for record in batch.records]
            for name, variant in variants.items():
                with variant(batch):
                    raw = model(images)
                found = detect_in_batch(model.decode(raw), batch, config, model.head.suppression)
                evaluations[name].update(found, truths)
            done += len(truths)
            if progress:
                progress(done, total)
        return {name: evaluation.compute() for name, evaluation in evaluations.items()}

    statistics = SiteStatisticsCollector()
    unchanged = measure({"": partial(_collecting, model, site, statistics)}, 0)[""]
    collected = statistics.sites()
    variants = {f"without {each.path}": partial(_without, model, each) for each in collected}
    variants |= {f"constant {each.path}": partial(_constant, model, each) for each in collected if each.parts}
    measured: dict[str, Metrics] = {}
    for number, start in enumerate(range(0, len(variants), MAX_VARIANTS), start=1):
        group = dict(list(variants.items())[start : start + MAX_VARIANTS])
        measured |= measure(group, number * num_images)
    return Survey(
        unchanged,
        tuple(
            SiteReport(each, measured[f"without {each.path}"], measured.get(f"constant {each.path}"))
            for each in collected
        ),
    )


@contextmanager
def _collecting(
    model: Detector, site: str, statistics: SiteStatisticsCollector, batch: ValidationBatch
) -> Iterator[None]:
    """Collect the statistics of all sites in the unchanged network."""
    regions = regions_of(batch)

    def receive(call: AttentionPass) -> None:
        require_finite_features(call)
        statistics.add(call, regions)

    with capture_attention(model, receive, site):
        yield


def _without(model: Detector, site: SiteStatistics, _: ValidationBatch) -> AbstractContextManager[None]:
    return disabled(model.get_submodule(site.path))


def _constant(model: Detector, site: SiteStatistics, _: ValidationBatch) -> AbstractContextManager[None]:
    return hold_constant(model, {f"{site.path}.{part.name}": part.means for part in site.parts})


@contextmanager
def hold_constant(model: nn.Module, means: Mapping[str, Tensor]) -> Iterator[None]:
    """Make parts of attention modules return constants, one per channel, as long as the block runs.

    The features are then scaled by constants that depend neither on the image nor on the position.

    Args:
        model: The network.
        means: The constants (K,) by the path of the part; K is its number of channels, or of branches times channels.

    Example:
        >>> import torch, attendet
        >>> model, x = attendet.attention.create("se", 32, reduction=4), torch.rand(2, 32, 8, 8)
        >>> with hold_constant(model, {"gate": torch.full((32,), 0.5)}):
        ...     halved = model(x)
        >>> torch.equal(halved, x / 2)
        True
    """
    with ExitStack() as stack:
        for path, constants in means.items():
            handle = model.get_submodule(path).register_forward_hook(partial(_replace_output, constants))
            stack.callback(handle.remove)
        yield


def _replace_output(constants: Tensor, module: nn.Module, inputs: Any, weights: Tensor) -> Tensor:  # noqa: ARG001
    # The axes between images and positions: C of (N, C, H, W), and M and C of (N, M, C, 1, 1). (C, 1, 1) has no images.
    channels = weights.shape[weights.ndim > 3 : -2]
    return constants.to(weights.dtype).to(weights.device).reshape(*channels, 1, 1).expand_as(weights)
