"""Pieces from batches to measured detections, beside torchvision, torchmetrics and plain loops."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from data_pieces import training_set
from piece import BATCH, CLASSES, SIZE, Piece
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import batched_nms, box_convert, box_iou
from training_loss import loss_of

import attendet
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import Batch
from attendet.data.loading.image_store import CachedImages
from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.data.records import ImageRecords
from attendet.detection.suppression import nms
from attendet.evaluation.metrics import Evaluation, GroundTruth
from attendet.models.detector import Detector

NMS_OPTIONS = {"confidence": 0.001, "iou": 0.6, "max_detections": 300}


def stepping(batch: Batch, detectors: Mapping[str, Detector]) -> Piece:
    """Forward, loss, backward."""
    losses = {name: step(detector, batch) for name, detector in detectors.items()}
    torch.testing.assert_close(losses["contiguous"], losses["channels last"], rtol=1e-3, atol=0)
    works = {
        "ours, channels last": partial(step, detectors["channels last"], batch),
        "ours, contiguous": partial(step, detectors["contiguous"], batch),
    }
    return Piece("a step: forward, loss, backward", len(batch.images), works)


def networks() -> dict[str, Detector]:
    """Return one network in two memory layouts."""
    made = {}
    for name, layout in (("channels last", torch.channels_last), ("contiguous", torch.contiguous_format)):
        torch.manual_seed(0)
        made[name] = attendet.build("yolov5n", num_classes=CLASSES).to(memory_format=layout).train()
    return made


def step(detector: Detector, batch: Batch) -> Tensor:
    """Return the loss, with the gradients in the network."""
    layout = next(weight for weight in detector.parameters() if weight.ndim == 4)
    last = layout.is_contiguous(memory_format=torch.channels_last)
    images = batch.images.to(torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format)
    detector.zero_grad(set_to_none=True)
    loss = loss_of(detector, detector(images / 255), batch.targets, SIZE)
    loss.backward()
    return loss.detach()


def together(records: ImageRecords, images: CachedImages, detector: Detector) -> Piece:
    """Batches with mosaic from memory, and a step on each: where training's time goes."""
    dataset = training_set(records, images, Augmentation())
    order = list(TrainingBatchSampler(len(records), BATCH, (SIZE, SIZE), seed=0))[:2]
    batches = [dataset[draws] for draws in order]
    works = {
        "ours": lambda: [step(detector, dataset[draws]) for draws in order],
        "*part:* loading": lambda: [dataset[draws] for draws in order],
        "*part:* step": lambda: [step(detector, batch) for batch in batches],
    }
    return Piece("load and step", sum(len(batch.images) for batch in batches), works)


def decoded(detector: Detector, images: int = 4) -> tuple[Piece, Tensor]:
    """Raw maps → boxes and scores; also return them, with as many objects as a half-trained network finds."""
    torch.manual_seed(0)
    with torch.no_grad():
        raw = detector.eval()(torch.rand(images, 3, SIZE, SIZE))
        raw = [torch.randn_like(level) * 1.5 - level.new_tensor([0, 0, 0, 0, 5, *[1] * CLASSES]) for level in raw]
    predictions = detector.decode(raw)
    row = 0
    anchors = detector.head.anchors_in_pixels()
    for level, sides, stride in zip(raw, anchors, detector.strides, strict=True):
        for anchor in range(level.shape[1]):
            for y, x in np.ndindex(level.shape[2], level.shape[3]):
                score = level[0, anchor, y, x].sigmoid()
                center = (2 * score[:2] - 0.5 + torch.tensor([x, y])) * stride
                wanted = torch.cat([center, (2 * score[2:4]) ** 2 * sides[anchor], score[4:]])
                if (x + y) % 7 == 0:
                    torch.testing.assert_close(predictions[0, row], wanted)
                row += 1
    works = {
        "ours": lambda: detector.decode(raw),
        "*floor:* sigmoid of the maps alone": lambda: [level.sigmoid() for level in raw],
    }
    return Piece("decode raw maps", images, works), predictions


def suppressing(predictions: Tensor) -> Piece:
    """Boxes and scores → detections, as validation asks for them."""
    candidates = [confident(image) for image in predictions]
    ours = nms(predictions, multi_label=True, **NMS_OPTIONS)
    for mine, floor, loop in zip(ours, map(torchvision_nms, candidates), map(loop_nms, candidates), strict=True):
        torch.testing.assert_close(mine, floor)
        torch.testing.assert_close(mine, loop)
    works = {
        "ours, candidates chosen too": lambda: nms(predictions, multi_label=True, **NMS_OPTIONS),
        "*floor:* torchvision.ops.batched_nms alone": lambda: [torchvision_nms(image) for image in candidates],
        "a Python loop over boxes": lambda: [loop_nms(image) for image in candidates],
    }
    most = max(len(image) for image in candidates)
    return Piece(f"suppress up to {most:,} candidates", len(predictions), works)


def confident(image: Tensor) -> Tensor:
    """Return candidates (n, 6): corners, confidence, class."""
    scores = image[:, 5:] * image[:, 4:5]
    rows, classes = (scores > NMS_OPTIONS["confidence"]).nonzero(as_tuple=True)
    boxes = box_convert(image[rows, :4], "cxcywh", "xyxy")
    return torch.cat([boxes, scores[rows, classes, None], classes[:, None].float()], dim=1)


def torchvision_nms(candidates: Tensor) -> Tensor:
    kept = batched_nms(candidates[:, :4], candidates[:, 4], candidates[:, 5], NMS_OPTIONS["iou"])
    return candidates[kept[: NMS_OPTIONS["max_detections"]]]


def loop_nms(candidates: Tensor) -> Tensor:
    """Suppress greedily, a class and a box at a time."""
    kept = []
    for category in candidates[:, 5].unique():
        left = candidates[candidates[:, 5] == category]
        left = left[left[:, 4].argsort(descending=True)]
        while len(left):
            kept.append(left[0])
            left = left[1:][box_iou(left[:1, :4], left[1:, :4])[0] <= NMS_OPTIONS["iou"]]
    whole = torch.stack(kept)
    return whole[whole[:, 4].argsort(descending=True)[: NMS_OPTIONS["max_detections"]]]


def measuring(images: int = 200) -> Piece:
    """Detections beside the truth → mAP."""
    pairs = [found_and_true(np.random.default_rng([0, number])) for number in range(images)]

    def ours() -> dict[str, float]:
        evaluation = Evaluation(["a", "b", "c"])
        evaluation.update([found for found, _ in pairs], [truth for _, truth in pairs])
        metrics = evaluation.compute()
        return {"map": metrics.map50_95, "map_50": metrics.map50, "map_75": metrics.map75}

    def theirs() -> dict[str, float]:
        metric = MeanAveragePrecision(backend="faster_coco_eval")
        metric.update(
            [{"boxes": found[:, :4], "scores": found[:, 4], "labels": found[:, 5].long()} for found, _ in pairs],
            [{"boxes": truth.boxes, "labels": truth.classes} for _, truth in pairs],
        )
        return {name: value.item() for name, value in metric.compute().items() if name in ("map", "map_50", "map_75")}

    mine, peer = ours(), theirs()
    for name, value in mine.items():
        np.testing.assert_allclose(value, peer[name], atol=1e-5)
    return Piece(
        "measure detections, with F1 and confusions", images, {"ours": ours, "torchmetrics, mAP alone": theirs}
    )


def found_and_true(generator: np.random.Generator, objects: int = 12, strays: int = 60) -> tuple[Tensor, GroundTruth]:
    """Return what a detector may find in an image, and what is there."""

    def boxes(count: int) -> np.ndarray:
        sides = generator.uniform(10, 120, (count, 2))
        corners = generator.uniform(0, 500, (count, 2))
        return np.concatenate([corners, corners + sides], axis=1)

    truth, classes = boxes(objects), generator.integers(CLASSES, size=objects)
    near = truth + generator.normal(0, 4, truth.shape)
    places = np.concatenate([near, boxes(strays)])
    scores = np.concatenate([generator.beta(4, 2, objects), generator.beta(1, 8, strays)])
    guesses = np.concatenate([classes, generator.integers(CLASSES, size=strays)])
    found = torch.from_numpy(np.column_stack([places, scores, guesses])).float()
    return found, GroundTruth(
        torch.from_numpy(truth).float(), torch.from_numpy(classes), torch.zeros(objects, dtype=torch.bool)
    )
