"""The numbers and the problems of a data set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from attendet.data.box_sides import scaled_box_sides
from attendet.data.label_counts import LabelCounts
from attendet.data.problems import ProblemCount, summarize_problems
from attendet.data.reading import data_source
from attendet.data.reading.data_source import DataSource, StepProgress
from attendet.data.records import Split
from attendet.data.remarks import bit_depth_remarks
from attendet.data.report.report_table import TableRow, report_html, report_rows, text_table
from attendet.data.report.split_statistics import TINY_SIDE, SplitStatistics, compute_statistics, sum_statistics
from attendet.utils.text import list_names, plural

_MAX_NAMES = 5


@dataclass(frozen=True, repr=False)
class DataReport:
    """The numbers and the problems of a data set.

    `print` shows the report as a table, and so does a notebook.

    Attributes:
        names: Class names, in the order of their indices.
        imgsz: Training size: box sizes are those after the longer side of an image is scaled to this many pixels.
        splits: Numbers of each split, by its name.
        total: Numbers of all splits together.
        problems: Number of problems of each kind that occurs; errors come before warnings.
        remarks: Sentences about unusual properties that are not problems, such as classes without objects.
        labels: How many images of each split have labels, and where the labels were found, by the name of the split.
        source: The data set, or None if the report was made from splits in memory.
    """

    names: tuple[str, ...]
    imgsz: int
    splits: Mapping[str, SplitStatistics]
    total: SplitStatistics
    problems: tuple[ProblemCount, ...]
    remarks: tuple[str, ...]
    labels: Mapping[str, LabelCounts]
    source: DataSource | None = None

    @property
    def errors(self) -> int:
        """Number of problems that make training skip something or evaluation measure the wrong thing."""
        return sum(problem.count for problem in self.problems if problem.kind.is_error)

    @property
    def warnings(self) -> int:
        """Number of the other problems."""
        return sum(problem.count for problem in self.problems if not problem.kind.is_error)

    @property
    def title(self) -> str:
        """One line about the data set: its file, format, number of classes, and the training size."""
        file = (str(self.source.file), self.source.format) if self.source else ()
        return ", ".join((*file, plural(len(self.names), "class", "classes"), f"box sizes at {self.imgsz} px"))

    @property
    def label_lines(self) -> tuple[str, ...]:
        """One line about the layout of the data set, and one about the labels of each split."""
        layout = (f"layout: {self.source.layout}",) if self.source else ()
        return (*layout, *(f"{name}: {counts}" for name, counts in self.labels.items() if counts.format))

    @property
    def summary(self) -> str:
        """The numbers of errors and warnings as text."""
        return f"{plural(self.errors, 'error')}, {plural(self.warnings, 'warning')}"

    def rows(self) -> list[TableRow]:
        """Return the rows of the report as a table: one column per split, one for all splits, and examples."""
        root = self.source.root if self.source else None
        return report_rows(self.names, [*self.splits.values(), self.total], list(self.splits), self.problems, root)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as values that JSON can hold."""
        return {
            "names": list(self.names),
            "imgsz": self.imgsz,
            "splits": {name: asdict(split) for name, split in self.splits.items()},
            "total": asdict(self.total),
            "problems": [
                {
                    "kind": problem.kind.name.lower(),
                    "description": problem.kind.value,
                    "is_error": problem.kind.is_error,
                    "count": problem.count,
                    "by_split": dict(problem.by_split),
                    "examples": [
                        {"file": example.where.file, "line": example.where.line, "detail": example.detail}
                        for example in problem.examples
                    ],
                }
                for problem in self.problems
            ],
            "errors": self.errors,
            "warnings": self.warnings,
            "remarks": list(self.remarks),
            "labels": {name: asdict(counts) for name, counts in self.labels.items()},
        }

    def __repr__(self) -> str:
        return (
            f"DataReport(images={self.total.images}, objects={self.total.objects}, num_classes={len(self.names)}, "
            f"errors={self.errors}, warnings={self.warnings})"
        )

    def __str__(self) -> str:
        remarks = [f"! {remark}" for remark in self.remarks]
        table = text_table(list(self.splits), self.rows())
        return "\n".join([self.title, table, *self.label_lines, *remarks, "", self.summary])

    def _repr_html_(self) -> str:
        """Return the report as an HTML table, for notebooks."""
        notes = (self.title, *self.label_lines, *self.remarks, self.summary)
        return report_html(list(self.splits), self.rows(), notes)


def check(
    data: str | os.PathLike[str] | DataSource,
    *,
    imgsz: int = 640,
    format: str = "auto",  # noqa: A002 - the name of the option
    workers: int | None = None,
    cache: bool = True,
    progress: StepProgress | None = None,
) -> DataReport:
    r"""Read a data set, and report its numbers and its problems.

    Args:
        data: The data set: what `attendet.data.open` opens or has opened.
        imgsz: Training size: box sizes are those after the longer side of an image is scaled to this many pixels.
        format: Format of the labels; see `attendet.data.open`.
        workers: Number of processes that read; None uses one per processor, at most 16.
        cache: Whether to use and to write cached results of reading.
        progress: Called with the step (`reading train`), the number of images read, and the number of all images.

    Raises:
        DataError: If the data set cannot be opened, or none of its splits can be read. A single split that cannot be
            read is one of the problems.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from attendet import data
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48)).save(Path(folder, "a.png"))
        ...     _ = Path(folder, "a.txt").write_text("0 0.5 0.5 0.25 0.5\n0 0.5 0.5 0 0.5")
        ...     _ = Path(folder, "data.yaml").write_text("train: .\nnames: [pear]")
        ...     report = data.check(folder, cache=False)
        >>> report
        DataReport(images=1, objects=2, num_classes=1, errors=1, warnings=0)
        >>> [(problem.kind.value, problem.count) for problem in report.problems]
        [('box without area', 1)]
    """
    source = data if isinstance(data, DataSource) else data_source.open(data, format)
    return make_data_report(source.read_all(workers=workers, cache=cache, progress=progress), imgsz, source)


def make_data_report(splits: Sequence[Split], imgsz: int = 640, source: DataSource | None = None) -> DataReport:
    """Report the numbers and the problems of splits in memory.

    Args:
        splits: All splits of a data set, at least one, as read.
        imgsz: Training size in pixels; see `check`.
        source: The data set, for the title and for shorter paths in tables.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord, ImageRecords
        >>> boxes = np.array([[0.0, 0, 20, 40]])
        >>> record = ImageRecord(Path("a.jpg"), 1280, 960, boxes, np.array([0]), np.array([False]))
        >>> report = make_data_report([Split("train", ("cell",), ImageRecords([record]))], imgsz=640)
        >>> report.splits["train"].sizes.median_width, report.splits["train"].objects_by_class
        (10.0, (1,))
    """
    names = splits[0].names
    sides = [scaled_box_sides(split.records, imgsz) for split in splits]
    statistics = {split.name: compute_statistics(split, part) for split, part in zip(splits, sides, strict=True)}
    total = sum_statistics([*statistics.values()], np.concatenate(sides))
    remarks = (*_remarks(names, statistics, imgsz), *bit_depth_remarks(splits))
    labels = {split.name: split.labels for split in splits}
    return DataReport(names, imgsz, statistics, total, summarize_problems(splits), remarks, labels, source)


def _remarks(names: tuple[str, ...], splits: Mapping[str, SplitStatistics], imgsz: int) -> list[str]:
    remarks = []
    for name, split in splits.items():
        if not split.images:
            remarks.append(f"{name} has no image that can be used")
        elif not split.objects:
            remarks.append(f"{name} has no objects: every image is background")
    remarks += _remarks_about_classes(names, splits)
    for name, split in splits.items():
        tiny = split.sizes.tiny or 0
        if tiny > 0.1:
            remarks.append(
                f"{tiny:.0%} of the boxes in {name} have a side under {TINY_SIDE} px at {imgsz} px; "
                "a larger image size shows more of them"
            )
    return remarks


def _remarks_about_classes(names: tuple[str, ...], splits: Mapping[str, SplitStatistics]) -> list[str]:
    """Return remarks about classes without objects, in all splits or in one; splits without objects are left out."""
    absent = {
        name: {index for index, count in enumerate(split.objects_by_class) if not count}
        for name, split in splits.items()
        if split.objects
    }
    absent_everywhere = set.intersection(*absent.values()) if absent else set()
    places = [("any split", absent_everywhere)]
    places += [(name, indices - absent_everywhere) for name, indices in absent.items()]
    return [f"{_list_classes(names, indices)} not occur in {place}" for place, indices in places if indices]


def _list_classes(names: tuple[str, ...], indices: set[int]) -> str:
    listed = list_names([names[index] for index in sorted(indices)], _MAX_NAMES)
    return f"1 class ({listed}) does" if len(indices) == 1 else f"{len(indices)} classes ({listed}) do"
