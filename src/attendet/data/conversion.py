"""A data set in another format: a new folder with its images, its labels, and a data.yaml."""

from __future__ import annotations

import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import numpy as np
import yaml

from attendet.data.formats.serialization import coco_text, fits_yolo, voc_text, yolo_text
from attendet.data.images import is_image
from attendet.data.reading.data_file import FORMATS
from attendet.data.records import Split
from attendet.errors import DataError, Location, OptionError, unknown_name
from attendet.utils.io import cannot_write, refuse_existing

Files: TypeAlias = Literal["auto", "link", "copy"]
Crowd: TypeAlias = Literal["refuse", "drop", "keep"]
Names: TypeAlias = list[list[str]]


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes:
        data_yaml: The file that describes it.
        images: Number of images.
        objects: Number of objects.
        cut: Number of boxes that reached further outside than YOLO can say, and were cut at the image's edge.
        left_out: Number of objects that are not there: crowds that were to be dropped, and boxes of which nothing lies
            inside the image, where YOLO cannot say them.
        copied: Number of images that were copied and not linked.
    """

    data_yaml: Path
    images: int
    objects: int
    cut: int
    left_out: int
    copied: int


def convert(
    splits: Sequence[Split],
    to: str,
    out: Path,
    *,
    files: Files = "auto",
    crowd: Crowd = "refuse",
    progress: Callable[[int, int], None] | None = None,
) -> Converted:
    """Write a data set in another format.

    Images are taken as they are, EXIF rotation included; labels are about the image as shown, as everywhere in
    attendet. They keep their names; where two of them have the same one, the folders they lie in come before it.

    Args:
        splits: The data set as read.
        to: `yolo`, `coco` or `voc`.
        out: The folder to make; it appears at the end, whole.
        files: Hard links to the images (`link`), copies (`copy`), or links where the file system can (`auto`).
        crowd: Only COCO can mark a group of objects as such. For the others: `refuse`, leave them out (`drop`), or make
            them ordinary objects (`keep`).
        progress: Called with the number of images done and of all.

    Raises:
        OptionError: If there are crowds and nobody said what to do with them.
        DataError: If the format cannot tell the classes apart, or a name cannot be kept.
        OutputError: If `out` exists or cannot be written.
    """
    if to not in FORMATS:
        raise unknown_name("format", to, FORMATS)
    refuse_existing(out)
    _check_classes(splits[0].names, to)
    names = _names(splits, to)
    splits, cut, left_out = _sayable(splits, to, crowd)
    fresh = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}")
    try:
        fresh.mkdir(parents=True)
        placing = _Placing(files, sum(len(split.records) for split in splits), progress)
        entries = {"yolo": _write_yolo, "coco": _write_coco, "voc": _write_voc}[to](fresh, splits, names, placing)
        described = {"path": ".", "format": to, **entries, "names": dict(enumerate(splits[0].names))}
        text = yaml.safe_dump(described, allow_unicode=True, sort_keys=False, width=1000)
        (fresh / "data.yaml").write_text(text, encoding="utf-8")
        fresh.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    objects = sum(len(split.records.classes) for split in splits)
    return Converted(out / "data.yaml", placing.done, objects, cut, left_out, placing.copied)


def unique_names(images: Sequence[Path]) -> list[str]:
    """Return a name for each image such that no two are the same, even without their endings.

    Example:
        >>> unique_names([Path("/a/left/1.jpg"), Path("/a/right/1.jpg"), Path("/a/left/2.png")])
        ['left_1.jpg', 'right_1.jpg', '2.png']
    """
    paths = [Path(os.path.abspath(image)) for image in images]  # noqa: PTH100  # resolving would follow links
    root = os.path.commonpath([path.parent for path in paths]) if paths else "/"
    stems = Counter(path.stem.casefold() for path in paths)
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        once = stems[path.stem.casefold()] == 1
        first = name = path.name if once else "_".join(path.relative_to(root).parts)
        number = 2
        while Path(name).stem.casefold() in taken:
            name = f"{Path(first).stem}-{number}{Path(first).suffix}"
            number += 1
        taken.add(Path(name).stem.casefold())
        names.append(name)
    return names


class _Placing:
    """Puts images into place, and counts."""

    def __init__(self, files: Files, total: int, progress: Callable[[int, int], None] | None) -> None:
        self._files, self._total, self._progress = files, total, progress
        self.done = 0
        self.copied = 0

    def __call__(self, source: Path, target: Path) -> None:
        if not source.is_file():
            raise DataError("the image has gone since it was read", where=Location(str(source)))
        if self._files == "copy" or not self._link(source, target):
            shutil.copyfile(source, target)
            self.copied += 1
        self.done += 1
        if self._progress:
            self._progress(self.done, self._total)

    def _link(self, source: Path, target: Path) -> bool:
        try:
            # Not of a symbolic link, which would point elsewhere from its new place.
            target.hardlink_to(source.resolve())
        except OSError:
            if self._files == "link":
                raise
            return False
        return True


def _write_yolo(folder: Path, splits: Sequence[Split], names: Names, place: _Placing) -> dict[str, str]:
    for split, called in zip(splits, names, strict=True):
        images, labels = folder / "images" / split.name, folder / "labels" / split.name
        images.mkdir(parents=True)
        labels.mkdir(parents=True)
        for record, name in zip(split.records, called, strict=True):
            place(record.image, images / name)
            (labels / Path(name).with_suffix(".txt")).write_text(yolo_text(record), encoding="utf-8")
    return {split.name: f"images/{split.name}" for split in splits}


def _write_coco(folder: Path, splits: Sequence[Split], names: Names, place: _Placing) -> dict[str, str]:
    (folder / "annotations").mkdir()
    for split, called in zip(splits, names, strict=True):
        images = folder / "images" / split.name
        images.mkdir(parents=True)
        for record, name in zip(split.records, called, strict=True):
            place(record.image, images / name)
        with (folder / "annotations" / f"{split.name}.json").open("w", encoding="utf-8") as file:
            file.writelines(coco_text(split.names, split.records, called))
    return {split.name: f"annotations/{split.name}.json" for split in splits}


def _write_voc(folder: Path, splits: Sequence[Split], names: Names, place: _Placing) -> dict[str, str]:
    images, annotations, lists = folder / "JPEGImages", folder / "Annotations", folder / "ImageSets" / "Main"
    for made in (images, annotations, lists):
        made.mkdir(parents=True)
    for split, called in zip(splits, names, strict=True):
        stems = []
        for record, name in zip(split.records, called, strict=True):
            place(record.image, images / name)
            xml = voc_text(split.names, record, name)
            (annotations / Path(name).with_suffix(".xml")).write_text(xml, encoding="utf-8")
            stems.append(_stem(name))
        (lists / f"{split.name}.txt").write_text("".join(f"{stem}\n" for stem in stems), encoding="utf-8")
    return {split.name: f"ImageSets/Main/{split.name}.txt" for split in splits}


def _stem(name: str) -> str:
    """Return what a list calls an image: its name without the ending, or all of it where that would be misread."""
    stem = Path(name).stem
    # `photo 1` would be photo with a flag, as lists for one class have them.
    return name if is_image(stem) or stem.endswith((" 0", " 1", " -1", " ")) else stem


def _check_classes(names: Sequence[str], to: str) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice and to != "yolo":
        raise DataError(f"two classes are called {twice[0]!r}, and {to} tells classes apart by name")


def _names(splits: Sequence[Split], to: str) -> Names:
    """Return what the images of each split are called, no two alike in one folder: of VOC all splits share one.

    Raises:
        DataError: If an image would be called what readers pass over or cannot show.
    """
    groups = [splits] if to == "voc" else [[split] for split in splits]
    images = [[record.image for split in group for record in split.records] for group in groups]
    names = [name for group in images for name in unique_names(group)]
    for image, name in zip(chain.from_iterable(images), names, strict=True):
        if not name.isprintable() or name != name.strip() or name.startswith("."):
            raise DataError(
                f"the file's new name, {name!a}, begins with a space or a dot, or is not plain text",
                where=Location(ascii(str(image))[1:-1]),
                remedy="rename it, or the folders that it lies in",
            )
    rest = iter(names)
    return [list(islice(rest, len(split.records))) for split in splits]


def _sayable(splits: Sequence[Split], to: str, crowd: Crowd) -> tuple[Sequence[Split], int, int]:
    """Return the splits with only what the format can say, and the numbers of boxes cut and left out."""
    crowds = sum(int(split.records.crowd.sum()) for split in splits)
    if to == "coco" or (to == "voc" and not crowds):
        return splits, 0, 0
    if crowd not in get_args(Crowd):
        raise unknown_name("way of treating crowds", crowd, get_args(Crowd))
    if crowds and crowd == "refuse":
        raise OptionError(
            f"{'1 box is' if crowds == 1 else f'{crowds:,} boxes are'} marked as crowd, which {to} cannot say",
            remedy="choose --crowd drop to leave them out, or --crowd keep to make them ordinary objects",
        )
    said = [_said(split, to, crowd) for split in splits]
    return [split for split, _, _ in said], sum(cut for _, cut, _ in said), sum(left_out for _, _, left_out in said)


def _said(split: Split, to: str, crowd: Crowd) -> tuple[Split, int, int]:
    records = split.records
    boxes, keep = records.boxes, ~records.crowd if crowd == "drop" else np.ones(len(records.boxes), np.bool_)
    cut = 0
    if to == "yolo":
        sizes = records.sizes[records.image_indices()]
        inside = np.clip(boxes, 0, np.tile(sizes, 2))
        too_far = keep & ~fits_yolo(boxes, sizes)
        keep = keep & (~too_far | (inside[:, 2:] > inside[:, :2]).all(axis=1))
        cut = int((keep & too_far).sum())
        boxes = np.where(too_far[:, None], inside, boxes)
    kept = replace(split, records=records.with_objects(boxes, records.classes, keep))
    return kept, cut, int((~keep).sum())
