"""Stages from batches to metrics, compared with torchvision, torchmetrics, and Python loops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from data_stages import training_set
from stage import BATCH, CLASSES, SIZE, PipelineStage
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import batched_nms, box_convert, box_iou
from training_loss import step_loss

import attendet
from attendet.blocks import Detect
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import Batch
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.records import ImageRecords
from attendet.detection import nms
from attendet.evaluation.metrics import Evaluation, GroundTruth
from attendet.models.detector import Detector

NMS_OPTIONS = {"confidence": 0.001, "iou": 0.6, "max_detections": 300}


def step_stage(batch: Batch, detectors: Mapping[str, Detector]) -> PipelineStage:
    """Return the stage of a training step: forward pass, loss, and backward pass."""
    losses = {name: step(detector, batch) for name, detector in detectors.items()}
    torch.testing.assert_close(losses["contiguous"], losses["channels last"], rtol=1e-3, atol=0)
    contenders = {
        "attendet, channels last": partial(step, detectors["channels last"], batch),
        "attendet, contiguous": partial(step, detectors["contiguous"], batch),
    }
    return PipelineStage("a step: forward, loss, backward", len(batch.images), contenders)


def networks() -> dict[str, Detector]:
    """Return the same network in two memory layouts."""
    detectors = {}
    for name, layout in (("channels last", torch.channels_last), ("contiguous", torch.contiguous_format)):
        torch.manual_seed(0)
        detectors[name] = attendet.build("yolov5n", num_classes=CLASSES).to(memory_format=layout).train()
    return detectors


def step(detector: Detector, batch: Batch) -> Tensor:
    """Run a training step without the optimizer, and return the loss."""
    kernel = next(weight for weight in detector.parameters() if weight.ndim == 4)
    is_channels_last = kernel.is_contiguous(memory_format=torch.channels_last)
    images = batch.images.to(
        torch.float32, memory_format=torch.channels_last if is_channels_last else torch.contiguous_format
    )
    detector.zero_grad(set_to_none=True)
    loss = step_loss(detector, detector(images / 255), batch.targets, SIZE)
    loss.backward()
    return loss.detach()


def load_and_step_stage(records: ImageRecords, images: CachedImages, detector: Detector) -> PipelineStage:
    """Return the stage that loads batches with mosaic from memory and runs a step on each."""
    dataset = training_set(records, images, Augmentation())
    indices = list(TrainingBatchSampler(len(records), BATCH, (SIZE, SIZE), seed=0))[:2]
    batches = [dataset[samples] for samples in indices]
    contenders = {
        "attendet": lambda: [step(detector, dataset[samples]) for samples in indices],
        "*part:* loading": lambda: [dataset[samples] for samples in indices],
        "*part:* step": lambda: [step(detector, batch) for batch in batches],
    }
    return PipelineStage("load and step", sum(len(batch.images) for batch in batches), contenders)


def decoding_of_maps_stage(detector: Detector, images: int = 4) -> tuple[PipelineStage, Tensor]:
    """Return the stage that decodes raw maps, and predictions with as many objects as a half-trained network finds."""
    torch.manual_seed(0)
    with torch.no_grad():
        raw = detector.eval()(torch.rand(images, 3, SIZE, SIZE))
        raw = [torch.randn_like(level) * 1.5 - level.new_tensor([0, 0, 0, 0, 5, *[1] * CLASSES]) for level in raw]
    predictions = detector.decode(raw)
    row = 0
    head = detector.head
    if not isinstance(head, Detect):
        raise TypeError(type(head))
    anchors = head.anchors_in_pixels()
    for level, sides, stride in zip(raw, anchors, detector.strides, strict=True):
        for anchor in range(level.shape[1]):
            for y, x in np.ndindex(level.shape[2], level.shape[3]):
                score = level[0, anchor, y, x].sigmoid()
                center = (2 * score[:2] - 0.5 + torch.tensor([x, y])) * stride
                expected = torch.cat([center, (2 * score[2:4]) ** 2 * sides[anchor], score[5:] * score[4]])
                if (x + y) % 7 == 0:
                    torch.testing.assert_close(predictions[0, row], expected)
                row += 1
    contenders = {
        "attendet": lambda: detector.decode(raw),
        "*floor:* sigmoid of the maps alone": lambda: [level.sigmoid() for level in raw],
    }
    return PipelineStage("decode raw maps", images, contenders), predictions


def suppression_stage(predictions: Tensor) -> PipelineStage:
    """Return the stage of non-maximum suppression with the options of validation."""
    candidates = [candidates_of(image) for image in predictions]
    ours = nms(predictions, multi_label=True, **NMS_OPTIONS)
    for our_detections, lower_bound, loop in zip(
        ours, map(torchvision_nms, candidates), map(loop_nms, candidates), strict=True
    ):
        torch.testing.assert_close(our_detections, lower_bound)
        torch.testing.assert_close(our_detections, loop)
    contenders = {
        "attendet, including the selection of candidates": lambda: nms(predictions, multi_label=True, **NMS_OPTIONS),
        "*floor:* torchvision.ops.batched_nms alone": lambda: [torchvision_nms(image) for image in candidates],
        "a Python loop over boxes": lambda: [loop_nms(image) for image in candidates],
    }
    max_candidates = max(len(image) for image in candidates)
    return PipelineStage(f"suppress up to {max_candidates:,} candidates", len(predictions), contenders)


def candidates_of(image: Tensor) -> Tensor:
    """Return the candidates (n, 6) of an image: x1, y1, x2, y2, confidence, class."""
    scores = image[:, 4:]
    rows, classes = (scores > NMS_OPTIONS["confidence"]).nonzero(as_tuple=True)
    boxes = box_convert(image[rows, :4], "cxcywh", "xyxy")
    return torch.cat([boxes, scores[rows, classes, None], classes[:, None].float()], dim=1)


def torchvision_nms(candidates: Tensor) -> Tensor:
    indices = batched_nms(candidates[:, :4], candidates[:, 4], candidates[:, 5], NMS_OPTIONS["iou"])
    return candidates[indices[: NMS_OPTIONS["max_detections"]]]


def loop_nms(candidates: Tensor) -> Tensor:
    """Suppress greedily, one class and one box at a time."""
    selected = []
    for category in candidates[:, 5].unique():
        remaining = candidates[candidates[:, 5] == category]
        remaining = remaining[remaining[:, 4].argsort(descending=True)]
        while len(remaining):
            selected.append(remaining[0])
            remaining = remaining[1:][box_iou(remaining[:1, :4], remaining[1:, :4])[0] <= NMS_OPTIONS["iou"]]
    detections = torch.stack(selected)
    return detections[detections[:, 4].argsort(descending=True)[: NMS_OPTIONS["max_detections"]]]


def metrics_stage(images: int = 200) -> PipelineStage:
    """Return the stage that computes metrics of detections and ground truth."""
    pairs = [random_detections(np.random.default_rng([0, number])) for number in range(images)]

    def ours() -> dict[str, float]:
        evaluation = Evaluation(["a", "b", "c"])
        evaluation.update([detections for detections, _ in pairs], [truth for _, truth in pairs])
        metrics = evaluation.compute()
        return {"map": metrics.map50_95, "map_50": metrics.map50, "map_75": metrics.map75}

    def theirs() -> dict[str, float]:
        metric = MeanAveragePrecision(backend="faster_coco_eval")
        metric.update(
            [{"boxes": rows[:, :4], "scores": rows[:, 4], "labels": rows[:, 5].long()} for rows, _ in pairs],
            [{"boxes": truth.boxes, "labels": truth.classes} for _, truth in pairs],
        )
        return {name: value.item() for name, value in metric.compute().items() if name in ("map", "map_50", "map_75")}

    our_metrics, their_metrics = ours(), theirs()
    for name, value in our_metrics.items():
        np.testing.assert_allclose(value, their_metrics[name], atol=1e-5)
    return PipelineStage(
        "compute metrics, including F1 and confusions", images, {"attendet": ours, "torchmetrics, mAP only": theirs}
    )


def random_detections(
    generator: np.random.Generator, objects: int = 12, false_positives: int = 60
) -> tuple[Tensor, GroundTruth]:
    """Return random detections of an image, and its ground truth."""

    def boxes(count: int) -> np.ndarray:
        sides = generator.uniform(10, 120, (count, 2))
        corners = generator.uniform(0, 500, (count, 2))
        return np.concatenate([corners, corners + sides], axis=1)

    truth, classes = boxes(objects), generator.integers(CLASSES, size=objects)
    near = truth + generator.normal(0, 4, truth.shape)
    detected_boxes = np.concatenate([near, boxes(false_positives)])
    scores = np.concatenate([generator.beta(4, 2, objects), generator.beta(1, 8, false_positives)])
    detected_classes = np.concatenate([classes, generator.integers(CLASSES, size=false_positives)])
    columns = [detected_boxes, scores, detected_classes]
    return torch.from_numpy(np.column_stack(columns)).float(), GroundTruth(
        torch.from_numpy(truth).float(), torch.from_numpy(classes), torch.zeros(objects, dtype=torch.bool)
    )
