"""The first and the last step of `make demo`: write a small detection set without a download, and report the result.

    python tools/demo.py write runs/demo/data
    python tools/demo.py report runs/demo

Handwritten digits and photographs from scikit-learn: digits are enlarged smoothly, colored, and placed on crops of the
photographs, among clutter. Training and validation share neither a digit nor a region of a photograph. The same seed
gives the same files.
"""

from __future__ import annotations

import argparse
import colorsys
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.datasets import load_digits, load_sample_images

SIDE = 320
IMAGES = {"train": 480, "val": 120}
DIGITS = (4, 9)
HEIGHTS = (44, 112)
CLUTTER = (4, 9)
GLOW = 4.0
QUALITY = 92

TRAINED_DIGITS = 0.7
VALIDATED_COLUMNS = 0.4
MIN_MAP50 = 0.6

PICTURES = {
    "data-check.png": "the data set: how many of each digit, how large, and where",
    "train/pictures/training_batch.png": "a training batch: mosaics of four pictures, moved, scaled, recolored",
    "train/pictures/results.png": "the losses falling and the mAP rising, epoch by epoch",
    "val/pictures/precision_recall.png": "precision against recall, digit by digit",
    "val/pictures/confusion_matrix.png": "which digits are confused with which",
    "val/pictures/predictions.png": "validation pictures: predictions next to the ground truth",
    "found/000.jpg": "a picture that `attendet predict` has annotated",
}

Pixels = NDArray[np.float32]


@dataclass(frozen=True)
class Material:
    """Photographs and digits of one split.

    Attributes:
        photographs: Photographs (H, W, 3), RGB, 0-1.
        digits: Ink of the digits (n, 8, 8), 0-1.
        classes: Classes of the digits (n,), 0-9.
    """

    photographs: tuple[Pixels, ...]
    digits: Pixels
    classes: NDArray[np.int64]


@dataclass(frozen=True)
class Scene:
    """A picture and its objects.

    Attributes:
        image: Image (SIDE, SIDE, 3), RGB, uint8.
        boxes: Boxes (n, 4): x1, y1, x2, y2 in pixels.
        classes: Classes of the boxes (n,), 0-9.
    """

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]
    classes: NDArray[np.int64]


def materials() -> dict[str, Material]:
    """Return the material of `train` and `val`, which share neither a digit nor a region of a photograph."""
    flat, labels = load_digits(return_X_y=True)
    grids, classes = (np.reshape(flat, (-1, 8, 8)) / 16).astype(np.float32), np.asarray(labels, np.int64)
    photographs = [photograph.astype(np.float32) / 255 for photograph in load_sample_images().images]
    seen = round(len(grids) * TRAINED_DIGITS)
    column = round(photographs[0].shape[1] * VALIDATED_COLUMNS)
    rights, lefts = (tuple(p[:, column:] for p in photographs), tuple(p[:, :column] for p in photographs))
    return {
        "train": Material(rights, grids[:seen], classes[:seen]),
        "val": Material(lefts, grids[seen:], classes[seen:]),
    }


def scene(material: Material, generator: Generator) -> Scene:
    """Return a picture: a crop of a photograph, clutter, and digits on top that do not overlap."""
    canvas = piece(material.photographs, (SIDE, SIDE), generator)
    for _ in range(generator.integers(*CLUTTER)):
        disturb(canvas, material.photographs, generator)
    boxes: list[tuple[int, int, int, int]] = []
    classes: list[int] = []
    for number in generator.integers(len(material.digits), size=generator.integers(*DIGITS, endpoint=True)):
        ink = enlarged(material.digits[number], generator)
        height, width = ink.shape
        left, top = generator.integers(0, [SIDE - width + 1, SIDE - height + 1]).tolist()
        box = (left, top, left + width, top + height)
        if any(touch(box, other) for other in boxes):
            continue
        plane = np.zeros((SIDE, SIDE), np.float32)
        plane[top : top + height, left : left + width] = ink
        paint(canvas, plane, generator)
        boxes.append(box)
        classes.append(int(material.classes[number]))
    image = np.rint(canvas.clip(0, 1) * 255).astype(np.uint8)
    return Scene(image, np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64))


def piece(photographs: tuple[Pixels, ...], shape: tuple[int, int], generator: Generator) -> Pixels:
    """Return a random crop of a photograph, scaled to a height and width."""
    photograph = photographs[generator.integers(len(photographs))]
    height, width = shape
    largest = min(photograph.shape[0] / height, photograph.shape[1] / width)
    scale = generator.uniform(0.5, 1.0) * largest
    rows, columns = max(2, int(height * scale)), max(2, int(width * scale))
    top, left = generator.integers(0, [photograph.shape[0] - rows + 1, photograph.shape[1] - columns + 1]).tolist()
    cut = photograph[top : top + rows, left : left + columns]
    if generator.random() < 0.5:
        cut = cut[:, ::-1]
    light = np.float32(generator.uniform(0.6, 1.15))
    return np.asarray(cv2.resize(np.ascontiguousarray(cut), (width, height), interpolation=cv2.INTER_LINEAR)) * light


def disturb(canvas: Pixels, photographs: tuple[Pixels, ...], generator: Generator) -> None:
    """Draw clutter onto a canvas: a crop of a photograph, a line, a ring, or a disc."""
    start, end = generator.integers(0, SIDE, (2, 2)).tolist()
    thickness, radius = generator.integers([2, 10], [9, 36]).tolist()
    color = any_color(generator)
    kind = generator.integers(4)
    if kind == 0:
        height, width = generator.integers(24, 110, 2).tolist()
        left, top = generator.integers(0, [SIDE - width, SIDE - height]).tolist()
        canvas[top : top + height, left : left + width] = piece(photographs, (height, width), generator)
    elif kind == 1:
        cv2.line(canvas, start, end, color, thickness, cv2.LINE_AA)
    elif kind == 2:
        cv2.ellipse(canvas, start, (radius, radius // 2 + 4), end[0], 0, 90 + end[1] / 2, color, thickness, cv2.LINE_AA)
    else:
        cv2.circle(canvas, start, radius // 2, color, cv2.FILLED, cv2.LINE_AA)


def enlarged(digit: Pixels, generator: Generator) -> Pixels:
    """Return the ink (H, W), 0-1, of an 8x8 digit, smoothly enlarged and cropped to its extent."""
    height = generator.integers(*HEIGHTS, endpoint=True)
    width = height * generator.uniform(0.8, 1.1)
    grid = cv2.resize(np.pad(digit, 1), (round(width * 10 / 8), round(height * 10 / 8)), interpolation=cv2.INTER_CUBIC)
    coverage = ((np.asarray(grid) - 0.32) / 0.3).clip(0, 1)
    ink = (coverage * coverage * (3 - 2 * coverage)).astype(np.float32)
    rows, columns = np.nonzero((ink > 0.3).any(1))[0], np.nonzero((ink > 0.3).any(0))[0]
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def paint(canvas: Pixels, ink: Pixels, generator: Generator) -> None:
    """Paint ink (SIDE, SIDE) onto a canvas in a light color, with a dark glow for contrast with any background."""
    glow = np.asarray(cv2.GaussianBlur(ink, (0, 0), sigmaX=GLOW))
    canvas *= 1 - 0.8 * glow[:, :, None]
    color = np.array(colorsys.hsv_to_rgb(generator.random(), generator.uniform(0.0, 0.55), 1.0), np.float32)
    canvas += (color - canvas) * ink[:, :, None]


def touch(box: tuple[int, int, int, int], other: tuple[int, int, int, int], margin: int = 6) -> bool:
    """Return whether two boxes are closer than a margin in pixels."""
    return all(box[axis] - margin < other[axis + 2] and other[axis] - margin < box[axis + 2] for axis in (0, 1))


def any_color(generator: Generator) -> tuple[float, float, float]:
    """Return a random color: red, green, blue, 0-1."""
    red, green, blue = colorsys.hsv_to_rgb(*generator.uniform([0, 0.1, 0.1], [1, 0.8, 1]))
    return red, green, blue


def write(folder: Path, images: dict[str, int], seed: int = 0) -> None:
    """Write the pictures, YOLO labels, and a data.yaml."""
    for split, (name, material) in enumerate(materials().items()):
        for kind in ("images", "labels"):
            (folder / kind / name).mkdir(parents=True, exist_ok=True)
        for number in range(images[name]):
            example = scene(material, np.random.default_rng([seed, split, number]))
            path = folder / "images" / name / f"{number:03}.jpg"
            cv2.imwrite(str(path), example.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            (folder / "labels" / name / f"{number:03}.txt").write_text(yolo_lines(example), encoding="ascii")
    names = ", ".join(f'"{digit}"' for digit in range(10))
    text = f"path: .\ntrain: images/train\nval: images/val\nnames: [{names}]\n"
    (folder / "data.yaml").write_text(text, encoding="ascii")


def yolo_lines(example: Scene) -> str:
    """Return the YOLO labels of a picture: class, center x, center y, width, height as fractions of the side."""
    centers, sides = (
        (example.boxes[:, :2] + example.boxes[:, 2:]) / 2 / SIDE,
        (example.boxes[:, 2:] - example.boxes[:, :2]) / SIDE,
    )
    rows = np.concatenate([centers, sides], axis=1).tolist()
    return "".join(
        f"{digit} {' '.join(f'{value:.6f}' for value in row)}\n"
        for digit, row in zip(example.classes.tolist(), rows, strict=True)
    )


def report(folder: Path) -> bool:
    """Print the pictures to look at, and return whether the detector found the digits."""
    measured = json.loads((folder / "val" / "metrics.json").read_text(encoding="utf-8"))["map50"]
    print("\nLook at")
    for name, description in PICTURES.items():
        if not (folder / name).is_file():
            sys.exit(f"demo: {folder / name} is missing")
        print(f"  {folder / name}\n      {description}")
    print(f"\nmAP50 {measured:.3f} on digits and photographs never seen in training.")
    return measured >= MIN_MAP50


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("write").add_argument("folder", type=Path)
    verbs.add_parser("report").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.verb == "write":
        write(options.folder, IMAGES)
    elif not report(options.folder):
        sys.exit(f"demo: mAP50 must be at least {MIN_MAP50}")


if __name__ == "__main__":
    main()
