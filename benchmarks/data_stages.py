"""Stages from files to batches, compared with torchvision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from stage import BATCH, CLASSES, SIZE, PipelineStage
from torch import Tensor
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.ops import box_convert
from torchvision.transforms import v2

from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.datasets import TrainingDataset
from attendet.data.loading.image_store import CachedImages, OnDemandImages
from attendet.data.loading.sampler import SampleIndex
from attendet.data.records import ImageRecords


def write_data_set(folder: Path, count: int = 64) -> Path:
    """Write a YOLO data set of 640x480 images with rectangles on smooth noise, and return its data.yaml."""
    generator = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for number in range(count):
        noise = generator.integers(0, 256, (30, 40, 3), np.uint8)
        image = np.asarray(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
        lines = []
        for _ in range(generator.integers(5, 20)):
            width, height = generator.integers(20, 120, 2).tolist()
            left, top = generator.integers(0, [640 - width, 480 - height]).tolist()
            image[top : top + height, left : left + width] = generator.integers(0, 256, 3)
            box = ((left + width / 2) / 640, (top + height / 2) / 480, width / 640, height / 480)
            lines.append(f"{generator.integers(CLASSES)} {' '.join(f'{side:.6f}' for side in box)}\n")
        cv2.imwrite(str(folder / "images" / "train" / f"{number}.jpg"), image)
        (folder / "labels" / "train" / f"{number}.txt").write_text("".join(lines), encoding="ascii")
    names = "[a, b, c]"
    (folder / "data.yaml").write_text(f"path: .\ntrain: images/train\nnames: {names}\n", encoding="ascii")
    return folder / "data.yaml"


def decoding_stage(records: ImageRecords) -> PipelineStage:
    """Return the stage that decodes files to arrays whose longer side has the training size."""
    shrink = v2.Resize(size=None, max_size=SIZE, antialias=True)

    def theirs(index: int) -> Tensor:
        return shrink(decode_image(str(records.path(index)), ImageReadMode.RGB))

    ours, indices = OnDemandImages(records, SIZE), range(min(BATCH, len(records)))
    for index in indices:
        our_image, their_image = ours[index].astype(float), theirs(index).numpy().transpose(1, 2, 0)
        # The two use different resampling filters, which mainly differ at edges.
        np.testing.assert_array_less(np.abs(our_image - their_image).mean(), 4)
    contenders = {
        "attendet": lambda: [ours[index] for index in indices],
        "torchvision decode_image, v2.Resize": lambda: [theirs(index) for index in indices],
    }
    return PipelineStage("decode and shrink a file", len(indices), contenders)


def augmentation_stage(records: ImageRecords, images: CachedImages) -> PipelineStage:
    """Return the stage that augments images in memory, without mosaic, which torchvision does not have."""
    samples = [SampleIndex(0, position, position, (SIZE, SIZE)) for position in range(min(BATCH, len(records)))]
    loaded = [tv_images(records, images, sample.image) for sample in samples]
    no_augmentation = dict.fromkeys(vars(Augmentation()), 0.0)
    for flip in (0.0, 1.0):
        ours = training_set(records, images, Augmentation(**{**no_augmentation, "fliplr": flip}))
        theirs = peer_augmentation(translate=0.0, scale=0.0, brightness=0.0, saturation=0.0, hue=0.0, flip=flip)
        for sample, image_and_boxes in zip(samples, loaded, strict=True):
            image, objects = ours.sample(sample)
            changed = theirs(image_and_boxes)
            # attendet converts to hue and saturation in bytes, which cannot represent every color.
            torch.testing.assert_close(image.int(), torch.as_tensor(changed["image"]).int(), atol=6, rtol=0)
            boxes = box_convert(objects[:, 1:] * SIZE, "cxcywh", "xyxy")
            torch.testing.assert_close(boxes, torch.as_tensor(changed["boxes"]), atol=1e-3, rtol=0)
    ours = training_set(records, images, Augmentation(mosaic=0.0))
    theirs = peer_augmentation()
    mosaics = training_set(records, images, Augmentation())
    contenders = {
        "attendet": lambda: [ours.sample(sample) for sample in samples],
        "torchvision v2": lambda: [theirs(image_and_boxes) for image_and_boxes in loaded],
        "attendet with mosaic, four images in one": lambda: [mosaics.sample(sample) for sample in samples],
    }
    return PipelineStage("augment an image in memory", len(samples), contenders)


def training_set(records: ImageRecords, images: CachedImages, options: Augmentation) -> TrainingDataset:
    return TrainingDataset(records, images, options, SIZE, seed=0)


def tv_images(records: ImageRecords, images: CachedImages, index: int) -> dict[str, object]:
    """Return an image in memory with its boxes as torchvision's tensors."""
    image, record = images[index], records[index]
    shape = (image.shape[0], image.shape[1])
    boxes = record.boxes * np.tile([shape[1] / record.width, shape[0] / record.height], 2)
    return {
        "image": tv_tensors.Image(torch.from_numpy(image.transpose(2, 0, 1).copy())),
        "boxes": tv_tensors.BoundingBoxes(  # pyright: ignore[reportCallIssue]
            torch.from_numpy(boxes).float(), format=tv_tensors.BoundingBoxFormat.XYXY, canvas_size=shape
        ),
        "labels": torch.from_numpy(record.classes.copy()),
    }


def peer_augmentation(
    translate: float = 0.1,
    scale: float = 0.5,
    brightness: float = 0.4,
    saturation: float = 0.7,
    hue: float = 0.015,
    flip: float = 0.5,
) -> Callable[[dict[str, object]], dict[str, object]]:
    """Return the same padding, shift, scale, color jitter, and flip in torchvision."""
    varied = v2.Compose(
        [
            v2.RandomAffine(
                (0.0, 0.0),
                (translate, translate),
                (1 - scale, 1 + scale),
                interpolation=v2.InterpolationMode.BILINEAR,
                fill=114,
            ),
            v2.ColorJitter(brightness=brightness, saturation=saturation, hue=hue),
            v2.RandomHorizontalFlip(flip),
            v2.ClampBoundingBoxes(),
            v2.SanitizeBoundingBoxes(min_size=2),
        ]
    )

    def augmented(sample: dict[str, object]) -> dict[str, object]:
        height, width = torch.as_tensor(sample["image"]).shape[-2:]
        left, top = (SIZE - width) // 2, (SIZE - height) // 2
        return varied(v2.Pad([left, top, SIZE - width - left, SIZE - height - top], fill=114)(sample))

    return augmented
