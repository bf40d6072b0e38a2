"""Data sets on disk: open one in any format, and read its splits as records."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from attendet.data.coco_ids import CocoIds
from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH, MIN_BIT_DEPTH, BitDepth, smallest_bit_depth
from attendet.data.images import ImageInfo
from attendet.data.paths import locate
from attendet.data.reading.class_name_files import find_class_names
from attendet.data.reading.darknet import is_darknet_file, read_darknet_file
from attendet.data.reading.data_file import FORMATS, DataFile, SplitEntry, is_data_file, read_data_file
from attendet.data.reading.data_file_search import find_data_file, unwrap
from attendet.data.reading.file_cache import cache_path, read_files
from attendet.data.reading.layout import detect_format, detect_layout, short_path
from attendet.data.reading.split_files import SplitFiles, find_split_files
from attendet.data.reading.split_reading import ReadItem, SplitReading
from attendet.data.records import ImageRecords, Problem, ProblemKind, Split
from attendet.errors import DataError, Location, OptionError

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of images done and the number of all images."""

StepProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with the current step, such as `reading train`, the number of images done, and the number of all images."""


@dataclass(frozen=True, repr=False)
class DataSource:
    """A data set on disk, as `attendet.data.open` returns it.

    Attributes:
        file: The data.yaml, COCO file, or folder that was opened.
        format: `yolo`, `coco`, `voc`, or `cvat`.
        names: Class names, in the order of their indices.
        splits: The paths that each split consists of, by its name.
        root: Folder of the data set.
        images: Folder of the images of a COCO file, if the data.yaml names it.
        layout: How the format was found out, such as `yolo, found by labels/a.txt`.
        bit_depth: Number of bits (8 to 16) of the values in images with 16 bits per channel; `auto` for the smallest of
            8, 10, 12, 14, and 16 bits that holds the largest value of all splits.
    """

    file: Path
    format: str
    names: tuple[str, ...]
    splits: Mapping[str, tuple[SplitEntry, ...]]
    root: Path
    images: Path | None = None
    layout: str = ""
    bit_depth: BitDepth = MAX_BIT_DEPTH

    def __repr__(self) -> str:
        return (
            f"DataSource({str(self.file)!r}, format={self.format!r}, num_classes={len(self.names)}, "
            f"splits={list(self.splits)})"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as values that JSON can hold."""
        return {
            "file": str(self.file),
            "format": self.format,
            "names": list(self.names),
            "splits": {name: [entry.path for entry in entries] for name, entries in self.splits.items()},
            "root": str(self.root),
            "images": None if self.images is None else str(self.images),
            "layout": self.layout,
            "bit_depth": self.bit_depth,
        }

    def read(
        self, split: str, *, workers: int | None = None, cache: bool = True, progress: Progress | None = None
    ) -> Split:
        r"""Read a split: its images, their objects as labeled, and the problems of its files.

        Files that cannot be read are left out, and each causes a problem. Results are cached in the user's cache folder
        by path, size, times, and inode, so that reading the split again takes a fraction of the time.

        Args:
            split: `train`, `val`, or `test`.
            workers: Number of processes that read; None uses one per processor, at most 16.
            cache: Whether to use and to write cached results.
            progress: Called with the number of images read and the number of all images.

        Raises:
            DataError: If the data set has no such split, or none of its images can be read.

        Example:
            >>> import tempfile
            >>> from PIL import Image
            >>> from attendet import data
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
            ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5")
            ...     _ = Path(folder, "data.yaml").write_text("train: .\nnames: [pear]")
            ...     data.open(folder).read("train", cache=False)
            Split('train', images=1, objects=1, problems=0)
        """
        entries = self._entries(split)
        cache_file = cache_path(self.root) if cache else None
        files = find_split_files(self.format, split, entries, self.root, self.images)
        labels = files.labels
        if not isinstance(labels, Iterator):
            labels = read_files(labels, self.format, cache=cache_file, workers=workers)
        infos = read_files(files.images, "image", cache=cache_file, workers=workers)
        largest, depth = None, self.bit_depth
        if depth == "auto":
            largest = self._largest_value(workers, cache=cache)
            depth = MAX_BIT_DEPTH if largest is None else smallest_bit_depth(largest)
        reading = SplitReading(self._class_indices(), depth)
        reading.problems.extend(files.problems)
        items = _with_progress(zip(files.images, infos, labels, strict=True), len(files.images), progress)
        records = ImageRecords(reading.records(items))
        problems = reading.problems
        counts = reading.label_counts(self.format, short_path(files.place, self.root))
        if len(records) and not counts.found + counts.empty:
            detail = f"{self.format} labels were looked for, first at {files.place}; {counts.first_problem}"
            problems.extend([Problem(ProblemKind.NO_LABELS, entries[0].where, detail)])
        if not len(records):
            reason = "it has no images"
            if problems.total:
                which = f"the first of {problems.total:,} problems" if problems.total > 1 else "the only problem"
                first = next(filter(_costs_image, problems.listed), problems.listed[0])
                reason = f"{which} is {first}; {self.format} labels, first at {files.place}"
            raise DataError(f"no image of {split} can be used", where=entries[0].where, remedy=reason)
        return Split(
            split,
            self.names,
            records,
            tuple(problems.listed),
            skipped=len(files.images) - len(records),
            digests=tuple(reading.digests),
            unlisted=problems.unlisted(),
            labels=counts,
            coco_ids=self._coco_ids(files, records, reading.kept),
            # With `auto`, a single split may use fewer bits than the data set.
            largest=reading.largest if largest is None else largest,
        )

    def _coco_ids(self, files: SplitFiles, records: ImageRecords, kept: Sequence[int]) -> CocoIds | None:
        """Return the ids of COCO files, if there are any, for the images that could be read."""
        if files.image_ids is None:
            return None
        images = (str(records.path(position)) for position in range(len(records)))
        ids = CocoIds.of_images(images, (files.image_ids[index] for index in kept), files.categories)
        return ids.for_classes(self.names)

    def _largest_value(self, workers: int | None, *, cache: bool) -> int | None:
        """Return the largest value in images of all splits with 16 bits per channel; None without such images.

        The brightness of an image must not depend on the other images of its split.
        """
        values: list[int] = []
        for split, entries in self.splits.items():
            # A split that cannot be found is an error when it is read.
            with suppress(DataError):
                images = find_split_files(self.format, split, entries, self.root, self.images).images
                infos = read_files(images, "image", cache=cache_path(self.root) if cache else None, workers=workers)
                values += [info.largest for info in infos if isinstance(info, ImageInfo) and info.largest is not None]
        return max(values, default=None)

    def read_all(
        self, *, workers: int | None = None, cache: bool = True, progress: StepProgress | None = None
    ) -> tuple[Split, ...]:
        """Read all splits. A split that cannot be read becomes an empty split with a problem that states the reason.

        Args:
            workers: Number of processes that read; None uses one per processor, at most 16.
            cache: Whether to use and to write cached results.
            progress: Called with the step (`reading train`), the number of images read, and the number of all images.

        Raises:
            DataError: If no split can be read.
        """
        splits: list[Split] = []
        errors: list[DataError] = []
        for name in self.splits:
            try:
                splits.append(
                    self.read(name, workers=workers, cache=cache, progress=_step(f"reading {name}", progress))
                )
            except DataError as error:
                errors.append(error)
                detail = error.message if error.remedy is None else f"{error.message}; {error.remedy}"
                problem = Problem(ProblemKind.MISSING_SPLIT, error.where or Location(str(self.file)), detail)
                splits.append(Split(name, self.names, ImageRecords(), (problem,)))
        if len(errors) == len(splits):
            raise errors[0]
        return tuple(splits)

    def _entries(self, split: str) -> tuple[SplitEntry, ...]:
        if split not in self.splits:
            remedy = f"it has {', '.join(self.splits)}"
            raise DataError(f"the data set has no split {split!r}", where=Location(str(self.file)), remedy=remedy)
        return self.splits[split]

    def _class_indices(self) -> dict[int | str, int]:
        """Return class indices by the identifier that label files use: the index in YOLO files, else the name."""
        return {index if self.format == "yolo" else name: index for index, name in enumerate(self.names)}


def open(  # noqa: A001 - called as attendet.data.open
    data: str | os.PathLike[str],
    format: str = "auto",  # noqa: A002 - the name of the option
    bit_depth: BitDepth | None = None,
) -> DataSource:
    r"""Open a data set, without reading its images.

    Args:
        data: A data.yaml as for YOLOv5; a COCO file; or a folder with a data.yaml, with YOLO's `images` and `labels`,
            with VOC's `ImageSets`, or with COCO files.
        format: Format of the labels: `yolo`, `coco`, `voc`, or `cvat`. With `auto`, the data.yaml states it, or it is
            detected from the files.
        bit_depth: Number of bits (8 to 16) of the values in images with 16 bits per channel, or `auto` for the bits
            that the set uses. By default, the data.yaml states it, or else it is 16.

    Raises:
        DataError: If the data set does not exist, or its description is not valid.
        OptionError: If the format does not exist, or the bit depth is not 8 to 16.

    Example:
        >>> import tempfile
        >>> from attendet import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "data.yaml").write_text("train: images\nval: images\nnames: [cat, dog]")
        ...     source = data.open(folder)
        >>> source.format, source.names, list(source.splits)
        ('yolo', ('cat', 'dog'), ['train', 'val'])
    """
    if format not in ("auto", *FORMATS):
        raise OptionError(f"`format` must be one of {', '.join(('auto', *FORMATS))}, got {format!r}")
    if bit_depth is not None and bit_depth != "auto" and not MIN_BIT_DEPTH <= bit_depth <= MAX_BIT_DEPTH:
        raise OptionError(f"`bit_depth` must be auto, or {MIN_BIT_DEPTH} to {MAX_BIT_DEPTH} bits, got {bit_depth!r}")
    requested = None if format == "auto" else format
    file = find_data_file(Path(locate(os.fspath(data)) or data))
    file = find_data_file(unwrap(file))
    if is_data_file(file):
        described = read_data_file(file)
    else:
        described = read_darknet_file(file) if is_darknet_file(file) else detect_layout(file, requested)
    chosen, layout = _choose_format(described, requested)
    names = described.names or find_class_names(described, chosen)
    where = Location(str(file))
    if chosen != "yolo" and len(set(names)) < len(names):
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise DataError(
            f"class names must be unique, got {twice!r} twice", where=where, remedy=f"{chosen} labels name their class"
        )
    if not names:
        remedy = "write a data.yaml with `path: folder`, `train: images`, and `names: [cat, dog]`"
        raise DataError("the data set has no class names", where=where, remedy=remedy)
    depth = bit_depth or described.bit_depth or MAX_BIT_DEPTH
    return DataSource(file, chosen, names, described.splits, described.root, described.images, layout, depth)


def _choose_format(described: DataFile, requested: str | None) -> tuple[str, str]:
    """Return the format of the labels, and how it was found out."""
    if requested is not None:
        return requested, f"{requested}, as requested"
    if described.format is not None:
        reason = "as the data file states" if described.found_by is None else f"found by {described.found_by}"
        return described.format, f"{described.format}, {reason}"
    chosen, file = detect_format(described)
    reason = "no labels found" if file is None else f"found by {short_path(file, described.root)}"
    return chosen, f"{chosen}, {reason}"


def _step(step: str, progress: StepProgress | None) -> Progress | None:
    return None if progress is None else lambda done, total: progress(step, done, total)


def _with_progress(items: Iterator[ReadItem], total: int, progress: Progress | None) -> Iterator[ReadItem]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None and (done % 32 == 0 or done == total):
            progress(done, total)


def _costs_image(problem: Problem) -> bool:
    """Return whether a problem can be the reason why an image of a split is left out."""
    return problem.kind.is_error and problem.kind is not ProblemKind.UNKNOWN_ENDING
