"""From files to measured detections, piece by piece and beside peers, in one run.

    python benchmarks/pipeline.py [--data data.yaml] [--rounds 15] [--out benchmarks/results/pipeline-cpu.md]

Without `--data` pictures are written to a temporary folder. Contenders of one piece have to agree before they are
timed; in every round each runs once, in an order drawn anew, and ratios are taken within a round (see `attention.py`).
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
import torch
from attention import measure, spread
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision import tv_tensors
from torchvision.io import ImageReadMode, decode_image
from torchvision.ops import batched_nms, box_convert, box_iou
from torchvision.transforms import v2

import attendet
from attendet.data.augment import Augmentation
from attendet.data.dataset import Batch, TrainingSet
from attendet.data.records import Records, Split
from attendet.data.sampler import Draw, TrainingBatches
from attendet.data.source import open_source, read_split
from attendet.data.store import OnDemand, Store
from attendet.data.usable import usable
from attendet.detection.loss import LossWeights, detection_loss
from attendet.detection.nms import nms
from attendet.engine.metrics import Evaluation, Truth
from attendet.graph.detector import Detector

SIZE, BATCH, CLASSES = 320, 16, 3
NMS_OPTIONS = {"confidence": 0.001, "iou": 0.6, "max_detections": 300}
PACKAGES = ("torch", "torchvision", "opencv-python-headless", "torchmetrics", "faster-coco-eval")

METHOD = (
    "Interleaved in one run; median (quartiles) over the rounds. A ratio is the contender's time over that of ours: "
    "above 1, ours is faster. What is beside ours only to show where the time goes, or how fast it could be at most, "
    "is marked as *part* or *floor*. Images have 320 pixels, batches 16 of them; the network is yolov5n with 3 classes."
)


@dataclass(frozen=True)
class Piece:
    """One piece of the pipeline.

    Attributes:
        name: What is done.
        images: To how many images.
        works: Ours first, then what it is compared with.
    """

    name: str
    images: int
    works: Mapping[str, Callable[[], object]]


def write_pictures(folder: Path, count: int = 64) -> Path:
    """Write pictures of 640x480 pixels with rectangles on soft noise, as YOLO has them; return their data.yaml."""
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


def decoding(records: Records) -> Piece:
    """Files → arrays whose longer side has the training size."""
    shrink = v2.Resize(size=None, max_size=SIZE, antialias=True)

    def theirs(index: int) -> Tensor:
        return shrink(decode_image(str(records.path(index)), ImageReadMode.RGB))

    ours, indices = OnDemand(records, SIZE), range(min(BATCH, len(records)))
    for index in indices:
        mine, peer = ours[index].astype(float), theirs(index).numpy().transpose(1, 2, 0)
        # One means areas, the other weighs by a triangle; edges differ, pictures do not.
        np.testing.assert_array_less(np.abs(mine - peer).mean(), 4)
    works = {
        "ours": lambda: [ours[index] for index in indices],
        "torchvision decode_image, v2.Resize": lambda: [theirs(index) for index in indices],
    }
    return Piece("decode and shrink a file", len(indices), works)


def augmenting(records: Records, images: Store) -> Piece:
    """Images in memory → augmented samples, without mosaic, which the peer has not."""
    draws = [Draw(0, position, position, (SIZE, SIZE)) for position in range(min(BATCH, len(records)))]
    loaded = [tv_images(records, images, draw.image) for draw in draws]
    still = dict.fromkeys(vars(Augmentation()), 0.0)
    for flip in (0.0, 1.0):
        ours = training_set(records, images, Augmentation(**{**still, "fliplr": flip}))
        theirs = peer_augmentation(translate=0.0, scale=0.0, brightness=0.0, saturation=0.0, hue=0.0, flip=flip)
        for draw, sample in zip(draws, loaded, strict=True):
            image, objects = ours.sample(draw)
            changed = theirs(sample)
            # Ours goes through bytes of hue and saturation, which do not hold every colour.
            torch.testing.assert_close(image.int(), torch.as_tensor(changed["image"]).int(), atol=6, rtol=0)
            boxes = box_convert(objects[:, 1:] * SIZE, "cxcywh", "xyxy")
            torch.testing.assert_close(boxes, torch.as_tensor(changed["boxes"]), atol=1e-3, rtol=0)
    ours = training_set(records, images, Augmentation(mosaic=0.0))
    theirs = peer_augmentation()
    mosaics = training_set(records, images, Augmentation())
    works = {
        "ours": lambda: [ours.sample(draw) for draw in draws],
        "torchvision v2": lambda: [theirs(sample) for sample in loaded],
        "ours with mosaic, four images in one": lambda: [mosaics.sample(draw) for draw in draws],
    }
    return Piece("augment an image in memory", len(draws), works)


def training_set(records: Records, images: Store, options: Augmentation) -> TrainingSet:
    return TrainingSet(records, images, options, SIZE, seed=0)


def tv_images(records: Records, images: Store, index: int) -> dict[str, object]:
    """Return an image in memory as torchvision takes it."""
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
    """Return the same pad, shift, scale, colour jitter and flip from torchvision."""
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
        made[name] = attendet.build("yolov5n", classes=CLASSES).to(memory_format=layout).train()
    return made


def step(detector: Detector, batch: Batch) -> Tensor:
    """Return the loss, with the gradients in the network."""
    layout = next(weight for weight in detector.parameters() if weight.ndim == 4)
    last = layout.is_contiguous(memory_format=torch.channels_last)
    images = batch.images.to(torch.float32, memory_format=torch.channels_last if last else torch.contiguous_format)
    detector.zero_grad(set_to_none=True)
    weights = LossWeights().scaled(classes=CLASSES, levels=3, image_size=SIZE)
    anchors = detector.head.anchors_in_pixels()
    loss = detection_loss(detector(images / 255), batch.targets, anchors, detector.strides, weights).total
    loss.backward()
    return loss.detach()


def together(records: Records, images: Store, detector: Detector) -> Piece:
    """Batches with mosaic from memory, and a step on each: where training's time goes."""
    dataset = training_set(records, images, Augmentation())
    order = list(TrainingBatches(len(records), BATCH, (SIZE, SIZE), seed=0))[:2]
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
                centre = (2 * score[:2] - 0.5 + torch.tensor([x, y])) * stride
                wanted = torch.cat([centre, (2 * score[2:4]) ** 2 * sides[anchor], score[4:]])
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


def found_and_true(generator: np.random.Generator, objects: int = 12, strays: int = 60) -> tuple[Tensor, Truth]:
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
    return found, Truth(
        torch.from_numpy(truth).float(), torch.from_numpy(classes), torch.zeros(objects, dtype=torch.bool)
    )


def pieces(split: Split) -> Iterator[Piece]:
    """Yield the pieces, in the order of the pipeline."""
    records = split.records
    images = Store(records, SIZE)
    detectors = networks()
    yield decoding(records)
    yield augmenting(records, images)
    batches = TrainingBatches(len(records), BATCH, (SIZE, SIZE), seed=0)
    yield stepping(training_set(records, images, Augmentation())[next(iter(batches))], detectors)
    yield together(records, images, detectors["channels last"])
    piece, predictions = decoded(detectors["channels last"])
    yield piece
    yield suppressing(predictions)
    yield measuring()


def rows(piece: Piece, rounds: int) -> Iterator[str]:
    """Yield the lines of a piece: images a second of ours, then each contender's ratio."""
    times = measure(piece.works, rounds, torch.device("cpu"))
    name, *others = times
    ours = times[name]
    yield f"| {piece.name} | {name} | {spread([piece.images / value for value in ours])} | 1 |"
    for other in others:
        ratios = [theirs / own for theirs, own in zip(times[other], ours, strict=True)]
        yield f"| | {other} | {spread([piece.images / value for value in times[other]])} | {spread(ratios)} |"


def report(split: Split, pictures: str, rounds: int) -> str:
    """Return the whole table as Markdown, with what it was measured on."""
    packages = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    setting = f"CPU, {torch.get_num_threads()} threads; {packages}; {len(split.records)} {pictures}; {rounds} rounds"
    lines = [
        "# From files to measured detections, side by side",
        "",
        f"{setting}; load average of the minute before {os.getloadavg()[0]:.1f}.",
        "",
        METHOD,
        "",
        "| piece | contender | images a second | time over ours |",
        "|---|---|---|---|",
    ]
    print("\n".join(lines), flush=True)
    for piece in pieces(split):
        for line in rows(piece, rounds):
            print(line, flush=True)
            lines.append(line)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = options.data or write_pictures(Path(folder))
        split = usable(read_split(open_source(data), "train"))
        pictures = f"training images of {options.data}" if options.data else "pictures of 640x480 pixels"
        table = report(split, pictures, options.rounds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
