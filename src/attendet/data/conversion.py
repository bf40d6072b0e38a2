"""Conversion of a data set to another format: a new folder with images, labels, and a data.yaml."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import yaml

from attendet.data.formats.dataset_writers import (
    FileNames,
    FileTransfer,
    ImageTransfer,
    write_coco,
    write_voc,
    write_yolo,
)
from attendet.data.formats.serialization import fits_yolo
from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH
from attendet.data.reading import data_source
from attendet.data.reading.data_source import DataSource, Progress, StepProgress
from attendet.data.reading.label_checks import require_labels
from attendet.data.records import ProblemKind, Split
from attendet.errors import DataError, Location, OptionError, unknown_name
from attendet.utils.html import Markup, html_table
from attendet.utils.io import cannot_write, refuse_existing
from attendet.utils.processes.temporary_files import temporary_place
from attendet.utils.text import is_legible, plural, short_repr

CrowdPolicy: TypeAlias = Literal["refuse", "drop", "keep"]

_WRITERS = {"yolo": write_yolo, "coco": write_coco, "voc": write_voc}

# Problems of the source that mean that an image or an object is missing from the new data set.
_LOSSES = (
    ProblemKind.MISSING_SPLIT,
    ProblemKind.UNREADABLE_IMAGE,
    ProblemKind.MISSING_IMAGE,
    ProblemKind.UNREADABLE_LABELS,
    ProblemKind.NO_LABELS,
    ProblemKind.MALFORMED,
    ProblemKind.UNKNOWN_CLASS,
    ProblemKind.UNKNOWN_ENDING,
)


@dataclass(frozen=True)
class ConversionResult:
    """The result of a conversion: the new data set, and the numbers of changed and lost objects.

    Attributes:
        data_yaml: Path of the new data.yaml.
        images: Number of images.
        objects: Number of objects.
        num_classes: Number of classes.
        copied: Number of images that were copied instead of linked.
        clipped: Number of boxes that reached further outside their image than YOLO can express, and were clipped to it.
        dropped: Number of objects that were left out: crowds (with `crowd="drop"`), and, in YOLO, boxes entirely
            outside their image.
        lost: Number of splits, images, and labels that could not be read, by kind of problem.
        left_out: Number of images that are not in the new data set.
        missing: Number of images without a label file, which are background in the new data set.
    """

    data_yaml: Path
    images: int
    objects: int
    num_classes: int
    copied: int
    clipped: int
    dropped: int
    lost: Mapping[ProblemKind, int] = field(default_factory=dict)
    left_out: int = 0
    missing: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as values that JSON can hold."""
        lost = {kind.name.lower(): count for kind, count in self.lost.items()}
        return vars(self) | {"data_yaml": str(self.data_yaml), "lost": lost}

    def _repr_html_(self) -> Markup:
        """Return the numbers as a table, for notebooks."""
        counts = ("images", "objects", "num_classes", "copied", "clipped", "dropped", "left_out", "missing")
        rows = [("data_yaml", str(self.data_yaml)), *((name, f"{getattr(self, name):,}") for name in counts)]
        rows += [(f"lost: {kind.value}", f"{count:,}") for kind, count in self.lost.items()]
        return html_table(("quantity", "value"), rows, label="conversion")


def convert(
    data: str | os.PathLike[str] | DataSource,
    *,
    to: str,
    out: str | os.PathLike[str],
    format: str = "auto",  # noqa: A002 - the name of the option
    files: FileTransfer = "auto",
    crowd: CrowdPolicy = "refuse",
    workers: int | None = None,
    cache: bool = True,
    progress: StepProgress | None = None,
) -> ConversionResult:
    r"""Convert a data set to another format.

    Images are not changed: they keep their EXIF rotation, and labels describe the image as it is displayed. They keep
    their names; if several images have the same name, the names of their folders are put before it.

    Args:
        data: The data set: what `attendet.data.open` opens or has opened.
        to: The new format: `yolo`, `coco`, or `voc`.
        out: The folder to create. It appears at the end, complete.
        format: Format of the original; see `attendet.data.open`.
        files: `link` creates hard links to the images, `copy` copies them, and `auto` links if the file system can.
        crowd: What to do with groups of objects, which only COCO can mark: `refuse` raises an error, `drop` leaves them
            out, `keep` makes them ordinary objects.
        workers: Number of processes that read; None uses one per processor, at most 16.
        cache: Whether to use and to write cached results of reading.
        progress: Called with the step (`reading train`, `writing`), the number of images done, and of all images.

    Raises:
        UnknownNameError: If a format does not exist.
        OptionError: If the data set has groups of objects, and `crowd` is `refuse`.
        DataError: If the data set cannot be read, if COCO or VOC cannot distinguish its classes because two have the
            same name, or if an image would get a name that readers ignore.
        OutputError: If `out` exists or cannot be written.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from attendet import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5")
        ...     _ = Path(folder, "data.yaml").write_text("train: .\nnames: [pear]")
        ...     result = data.convert(folder, to="coco", out=Path(folder, "coco"), cache=False)
        ...     Path(folder, "coco/annotations/train.json").is_file()
        True
        >>> result.images, result.objects
        (1, 1)
    """
    _check_format(to)
    out = Path(out)
    # Checked before the data set is read, which may take long.
    refuse_existing(out)
    source = data if isinstance(data, DataSource) else data_source.open(data, format)
    splits = source.read_all(workers=workers, cache=cache, progress=progress)
    counts = sum((split.count_problems() for split in splits), Counter())
    # A split whose labels were not found would become a split of backgrounds.
    labeled = [split for split in splits if len(split.records) and not split.count_problems()[ProblemKind.NO_LABELS]]
    if not labeled:
        require_labels(next(split for split in splits if len(split.records)))
    writing = None if progress is None else lambda done, total: progress("writing", done, total)
    result = write_splits(labeled, to, out, files=files, crowd=crowd, progress=writing)
    return replace(
        result,
        lost={kind: counts[kind] for kind in _LOSSES if counts[kind]},
        left_out=sum(len(split.records) + split.skipped for split in splits) - result.images,
        missing=sum(split.labels.missing for split in labeled) if source.format == "yolo" else 0,
    )


def write_splits(
    splits: Sequence[Split],
    to: str,
    out: Path,
    *,
    files: FileTransfer = "auto",
    crowd: CrowdPolicy = "refuse",
    progress: Progress | None = None,
) -> ConversionResult:
    """Write splits as a data set in a format; for arguments and errors, see `convert`.

    Args:
        splits: Splits of the same classes, each with at least one image.
        to: `yolo`, `coco`, or `voc`.
        out: The folder to create.
        files: How images get into the folder.
        crowd: What to do with groups of objects.
        progress: Called with the number of images written and the number of all images.
    """
    _check_format(to)
    refuse_existing(out)
    _check_names(splits[0].names, to)
    file_names = _file_names(splits, to)
    fitted = [_fit(split, to, crowd) for split in _check_crowds(splits, to, crowd)]
    splits = [split for split, _, _ in fitted]
    transfer = ImageTransfer(files, sum(len(split.records) for split in splits), progress)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary_place(out) as temporary:
            temporary.mkdir()
            entries = _WRITERS[to](temporary, splits, file_names, transfer)
            content = {"path": ".", "format": to, **entries, "names": dict(enumerate(splits[0].names))}
            if splits[0].records.bit_depth != MAX_BIT_DEPTH:
                content["bit_depth"] = splits[0].records.bit_depth
            text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=1000)
            (temporary / "data.yaml").write_text(text, encoding="utf-8")
            temporary.rename(out)
    except OSError as error:
        raise cannot_write(out, error) from error
    return ConversionResult(
        out / "data.yaml",
        images=transfer.done,
        objects=sum(len(split.records.classes) for split in splits),
        num_classes=len(splits[0].names),
        copied=transfer.copied,
        clipped=sum(clipped for _, clipped, _ in fitted),
        dropped=sum(dropped for _, _, dropped in fitted),
    )


def unique_names(images: Sequence[Path]) -> list[str]:
    """Return a file name for each image such that no two are equal, regardless of suffix and case.

    Example:
        >>> unique_names([Path("/a/left/1.jpg"), Path("/a/right/1.jpg"), Path("/a/left/2.png")])
        ['left_1.jpg', 'right_1.jpg', '2.png']
    """
    paths = [Path(os.path.abspath(image)) for image in images]  # noqa: PTH100 - resolving would follow links
    root = os.path.commonpath([path.parent for path in paths]) if paths else "/"
    stems = Counter(path.stem.casefold() for path in paths)
    names: list[str] = []
    taken: set[str] = set()
    for path in paths:
        is_unique = stems[path.stem.casefold()] == 1
        first = name = path.name if is_unique else "_".join(path.relative_to(root).parts)
        number = 2
        while Path(name).stem.casefold() in taken:
            name = f"{Path(first).stem}-{number}{Path(first).suffix}"
            number += 1
        taken.add(Path(name).stem.casefold())
        names.append(name)
    return names


def _check_format(to: str) -> None:
    if to not in _WRITERS:
        raise unknown_name("format", to, _WRITERS)


def _check_names(names: Sequence[str], to: str) -> None:
    duplicates = [name for name, count in Counter(names).items() if count > 1]
    if duplicates and to != "yolo":
        raise DataError(f"class names must be unique to convert to {to}, got {short_repr(duplicates[0])} twice")


def _file_names(splits: Sequence[Split], to: str) -> FileNames:
    """Return the new name of each image in each split, unique in its folder (VOC has one folder for all splits).

    Raises:
        DataError: If readers would ignore a name, or it cannot be printed.
    """
    groups = [splits] if to == "voc" else [[split] for split in splits]
    images = [[record.image for split in group for record in split.records] for group in groups]
    names = [name for group in images for name in unique_names(group)]
    for image, name in zip(chain.from_iterable(images), names, strict=True):
        if not is_legible(name) or name != name.strip() or name.startswith("."):
            raise DataError(
                f"the new file name must be printable and not start with a dot or a space, got {name!a}",
                where=Location(ascii(str(image))[1:-1]),
                remedy="rename the image or its folders",
            )
    remaining = iter(names)
    return [list(islice(remaining, len(split.records))) for split in splits]


def _check_crowds(splits: Sequence[Split], to: str, crowd: CrowdPolicy) -> Sequence[Split]:
    """Return the splits, unless they have groups of objects that the format cannot mark and `crowd` is `refuse`."""
    if crowd not in get_args(CrowdPolicy):
        raise OptionError(f"`crowd` must be one of {', '.join(get_args(CrowdPolicy))}, got {short_repr(crowd)}")
    count = sum(int(split.records.crowd.sum()) for split in splits)
    if count and to != "coco" and crowd == "refuse":
        raise OptionError(
            f"{plural(count, 'box is', 'boxes are')} marked as crowd, which {to} labels cannot express",
            remedy="choose --crowd drop to leave them out, or --crowd keep to make them ordinary objects",
        )
    return splits


def _fit(split: Split, to: str, crowd: CrowdPolicy) -> tuple[Split, int, int]:
    """Return a split with the objects that the format can express, and the numbers of boxes clipped and dropped."""
    if to == "coco":
        return split, 0, 0
    records = split.records
    boxes, keep = records.boxes, ~records.crowd if crowd == "drop" else np.ones(len(records.boxes), np.bool_)
    clipped = 0
    if to == "yolo":
        sizes = records.sizes[records.image_indices()]
        inside = np.clip(boxes, 0, np.tile(sizes, 2))
        too_far = keep & ~fits_yolo(boxes, sizes)
        keep = keep & (~too_far | (inside[:, 2:] > inside[:, :2]).all(axis=1))
        clipped = int((keep & too_far).sum())
        boxes = np.where(too_far[:, None], inside, boxes)
    fitted = replace(split, records=records.with_objects(boxes, records.classes, keep))
    return fitted, clipped, int((~keep).sum())
