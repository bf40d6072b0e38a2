"""A data set on disk, in any of three formats: what it has, and its splits as records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from attendet.data.formats import coco, voc, yolo
from attendet.data.formats.labels import Labels
from attendet.data.images import ImageInfo
from attendet.data.paths import exists
from attendet.data.problems import ProblemList
from attendet.data.reading import layout
from attendet.data.reading.data_file import FORMATS, DataFile, Entry, is_data_file, read_data_file
from attendet.data.reading.file_readers import Facts
from attendet.data.reading.index import cache_file, read_files
from attendet.data.reading.label_checks import make_record
from attendet.data.records import ImageRecord, ImageRecords, Problem, ProblemKind, Split
from attendet.errors import DataError, Location, OptionError

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DataSource:
    """A data set on disk.

    Attributes:
        file: What was named: a `data.yaml`, a COCO file or a folder.
        format: `yolo`, `coco` or `voc`.
        names: The classes' names, by number.
        splits: What each split is made of.
        root: The data set's folder.
        images: The folder of a COCO file's images, where it is named.
    """

    file: Path
    format: str
    names: tuple[str, ...]
    splits: Mapping[str, tuple[Entry, ...]]
    root: Path
    images: Path | None = None

    def entries(self, split: str) -> tuple[Entry, ...]:
        """Return what a split is made of.

        Raises:
            DataError: If there is no such split.
        """
        if split not in self.splits:
            there = f"there {'is' if len(self.splits) == 1 else 'are'} {', '.join(self.splits)}"
            raise DataError(f"there is no split {split}", where=Location(str(self.file)), remedy=there)
        return self.splits[split]


def open_data(data: str | Path, format: str = "auto") -> DataSource:  # noqa: A002 - what the option is called
    """Return what a data set has, without reading its images.

    Args:
        data: A `data.yaml` as YOLOv5 has it, a COCO file, or a folder with a `data.yaml`, VOC's `ImageSets`, YOLO's
            `images` and `labels`, or a COCO file.
        format: `yolo`, `coco` or `voc`; `auto` takes what the data file says, or looks.

    Raises:
        DataError: If there is no such data set, or its description is not valid.
        OptionError: If there is no such format.
    """
    if format not in ("auto", *FORMATS):
        raise OptionError(f"there is no format {format!r}", remedy=f"there are auto, {', '.join(FORMATS)}")
    named = None if format == "auto" else format
    file = layout.description_in(Path(data))
    described = read_data_file(file) if is_data_file(file) else layout.describe(file, named)
    chosen = named or described.format or layout.format_of(described)
    names = described.names or _names(described, chosen)
    if chosen != "yolo" and len(set(names)) < len(names):
        raise DataError("two classes have one name", where=Location(str(file)), remedy="objects name their class")
    if not names:
        raise DataError("the classes have no names", where=Location(str(file)), remedy=_NAMES_REMEDY)
    return DataSource(file, chosen, names, described.splits, described.root, described.images)


_NAMES_REMEDY = "write a data.yaml with `path: folder`, `train: images` and `names: [cat, dog]`"


def _names(described: DataFile, format: str) -> tuple[str, ...]:  # noqa: A002
    """Return the names that the labels themselves tell."""
    if format == "yolo":
        return layout.names_beside(described.root)
    entries = [(split, entry) for split, entries in described.splits.items() for entry in entries]
    if format == "coco":
        return coco.read_document(coco.file_of(Path(entries[0][1].path), entries[0][1].where)).names
    found: set[str] = set()
    for split, entry in entries:
        try:
            files = [xml for _, xml in voc.items_of(Path(entry.path), split, entry.where)]
        except DataError:
            # A split that is not there matters to those who ask for it.
            continue
        for labels in read_files(files, "voc", cache=cache_file(described.root)):
            if isinstance(labels, Labels):
                found.update(map(str, labels.classes))
    return tuple(sorted(found))


def read_split(
    source: DataSource, split: str, *, workers: int | None = None, cache: bool = True, progress: Progress | None = None
) -> Split:
    """Return the images of a split with their objects as labeled, and what is wrong with them.

    Files that cannot be read are left out and become problems. What was read is remembered in the user's cache folder
    by path, size and time of change, so that the next time takes a fraction.

    Args:
        source: The data set.
        split: `train`, `val` or `test`.
        workers: Processes to read with; None takes as many as there are processors, at most 16.
        cache: Remember what was read, and use what was remembered.
        progress: Called with the numbers of images read and of all.

    Raises:
        DataError: If there is no such split, or no image of it can be read.
    """
    entries = source.entries(split)
    memory = cache_file(source.root) if cache else None
    images, labels, faults = _ITEMS[source.format](source, split, entries)
    problems = ProblemList()
    problems.take(faults)
    if isinstance(labels, list):
        labels = read_files(labels, source.format, cache=memory, workers=workers)
    facts = read_files(images, "image", cache=memory, workers=workers)
    digests: list[str] = []
    items = _counted(zip(images, facts, labels, strict=True), len(images), progress)
    records = ImageRecords(_records(items, _numbers(source), problems, digests))
    if not len(records):
        remedy = (
            f"the first of {problems.total:,} problems is {problems.first[0]}" if problems.total else "it names none"
        )
        raise DataError(f"no image of {split} can be read", where=entries[0].where, remedy=remedy)
    return Split(
        split,
        source.names,
        records,
        tuple(problems.first),
        skipped=len(images) - len(records),
        digests=tuple(digests),
        untold=problems.untold(),
    )


Item = tuple[str, Facts, Facts]
Items = tuple[list[str], "list[str] | Iterator[Labels]", list[Problem]]


def _yolo_items(source: DataSource, split: str, entries: tuple[Entry, ...]) -> Items:  # noqa: ARG001
    images = [image for entry in entries for image in yolo.images_of(entry.path, str(source.root), entry.where)]
    return images, [yolo.label_path(image) for image in images], []


def _voc_items(source: DataSource, split: str, entries: tuple[Entry, ...]) -> Items:  # noqa: ARG001
    items = [item for entry in entries for item in voc.items_of(Path(entry.path), split, entry.where)]
    return [image for image, _ in items], [xml for _, xml in items], []


def _coco_items(source: DataSource, split: str, entries: tuple[Entry, ...]) -> Items:
    documents = [coco.read_document(coco.file_of(Path(entry.path), entry.where)) for entry in entries]
    images = []
    for document in documents:
        folder = coco.folder_of_images(document, source.images, split, source.root)
        images += [str(folder / name) for name, _ in document.images]
    labels = chain.from_iterable(document.labels() for document in documents)
    return images, labels, [problem for document in documents for problem in document.problems]


_ITEMS = {"yolo": _yolo_items, "voc": _voc_items, "coco": _coco_items}


def _numbers(source: DataSource) -> dict[int | str, int]:
    """Return class numbers by what label files call classes: a number in YOLO's, else a name."""
    return {number if source.format == "yolo" else name: number for number, name in enumerate(source.names)}


def _counted(items: Iterator[Item], total: int, progress: Progress | None) -> Iterator[Item]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress is not None and (done % 32 == 0 or done == total):
            progress(done, total)


def _records(
    items: Iterator[Item], numbers: Mapping[int | str, int], problems: ProblemList, digests: list[str]
) -> Iterator[ImageRecord]:
    """Yield the records of images that can be read; problems and digests are added to."""
    first_of: dict[str, str] = {}
    for image, facts, labels in items:
        if not image.isprintable():
            problems.take(
                [Problem(ProblemKind.UNREADABLE_IMAGE, Location(ascii(image)[1:-1]), "its name cannot be shown")]
            )
        elif isinstance(facts, DataError):
            kind = ProblemKind.UNREADABLE_IMAGE if exists(image) else ProblemKind.MISSING_IMAGE
            problems.take([Problem(kind, Location(image), facts.what if kind is ProblemKind.UNREADABLE_IMAGE else "")])
        elif isinstance(labels, DataError):
            problems.take([Problem(ProblemKind.UNREADABLE_LABELS, labels.where or Location(image), labels.what)])
        elif isinstance(facts, ImageInfo) and isinstance(labels, Labels):
            if facts.rotated:
                problems.take([Problem(ProblemKind.ROTATED, Location(image))])
            first = first_of.setdefault(facts.digest, image)
            if first is not image:
                problems.take([Problem(ProblemKind.DUPLICATE_IMAGE, Location(image), f"the same as {first}")])
            digests.append(facts.digest)
            record, found = make_record(image, facts, labels, numbers)
            problems.take(found)
            yield record
