"""How many images of a split have labels, and where the labels were found."""

from __future__ import annotations

from dataclasses import dataclass

from attendet.utils.text import plural


@dataclass(frozen=True)
class LabelCounts:
    """How many images of a split have labels, and where the labels were found.

    Attributes:
        found: Images with at least one object.
        empty: Images whose label file, or entry in a COCO file, has no objects.
        missing: Images without a label file: background in YOLO's format, left out in VOC's.
        invalid: Images that are left out because their labels cannot be understood.
        first_problem: The first missing or invalid labels, with their place; None without any.
        format: `yolo`, `coco`, `voc`, or `cvat`; empty for labels without files.
        place: The first label file or COCO file, or the place where the first was looked for.
        remarks: Sentences about paths in lists, and about ids in COCO files.
        passed_over: Files in the folders of images that are not read: hidden, or without a known ending of an image.
        first_passed_over: The first of these files with the reason, a labeled one if there is any; None without any.

    Example:
        >>> print(LabelCounts(found=8, missing=2, first_problem="a.txt: label file is missing"))
        labels: 8 found, 0 empty, 2 missing, 0 invalid (first: a.txt: label file is missing)
        >>> print(LabelCounts(found=8, format="voc", place="Annotations/a.xml"))
        labels: 8 found, 0 empty, 0 missing, 0 invalid; voc, first at Annotations/a.xml
    """

    found: int = 0
    empty: int = 0
    missing: int = 0
    invalid: int = 0
    first_problem: str | None = None
    format: str = ""
    place: str = ""
    remarks: tuple[str, ...] = ()
    passed_over: int = 0
    first_passed_over: str | None = None

    def __str__(self) -> str:
        text = f"labels: {self.found:,} found, {self.empty:,} empty, {self.missing:,} missing, {self.invalid:,} invalid"
        parts = [text if self.first_problem is None else f"{text} (first: {self.first_problem})"]
        if self.format:
            first = "first at" if self.found + self.empty + self.invalid else "looked for first at"
            parts.append(f"{self.format}, {first} {self.place}")
        parts += self.remarks
        if self.passed_over:
            parts.append(f"{plural(self.passed_over, 'file')} passed over (first: {self.first_passed_over})")
        return "; ".join(parts)
