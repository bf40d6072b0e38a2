"""Sentences about images that can be read, but perhaps not as intended."""

from __future__ import annotations

from collections.abc import Sequence

from attendet.data.image_decoding.sixteen_bits import smallest_bit_depth
from attendet.data.records import ProblemKind, Split
from attendet.utils.text import plural


def image_remarks(split: Split) -> tuple[str, ...]:
    """Return sentences about JPEG files without an end marker, dark images, and the bit depth of a split.

    Args:
        split: A split as read.

    Example:
        >>> from pathlib import Path
        >>> from attendet.data.records import ImageRecord, ImageRecords
        >>> dark = Split("train", ("cat",), ImageRecords([ImageRecord(Path("a.png"), 64, 48)]), largest=4000)
        >>> print(*image_remarks(dark))
        images with 16 bits per channel have no value above 4,000 of 65,535 and look like 12 bits: they become dark;
        set `bit_depth: 12` in the data.yaml, or `data.bit_depth=12`
    """
    remarks = []
    count = split.count_problems()[ProblemKind.UNFINISHED_JPEG]
    if count:
        first = next(str(each.where) for each in split.problems if each.kind is ProblemKind.UNFINISHED_JPEG)
        remarks.append(f"{plural(count, 'JPEG file')} without an end marker, read nevertheless (first: {first})")
    about_depth = bit_depth_remarks([split])
    dark = split.count_problems()[ProblemKind.DARK_IMAGE]
    if dark and not about_depth:
        first = next(str(each) for each in split.problems if each.kind is ProblemKind.DARK_IMAGE)
        remarks.append(f"{plural(dark, 'image')} with 16 bits per channel nearly black (first: {first})")
    return (*remarks, *about_depth)


def bit_depth_remarks(splits: Sequence[Split]) -> tuple[str, ...]:
    """Return a sentence about 16-bit images that become dark or white with the bit depth of their data set.

    Args:
        splits: Splits of one data set, as read.
    """
    values = [split.largest for split in splits if split.largest is not None]
    if not values:
        return ()
    largest, depth = max(values), max(split.records.bit_depth for split in splits)
    needed = smallest_bit_depth(largest)
    advice = f"set `bit_depth: {needed}` in the data.yaml, or `data.bit_depth={needed}`"
    images = "images with 16 bits per channel have"
    white = 2**depth - 1
    if needed < depth:
        return (
            f"{images} no value above {largest:,} of {white:,} and look like {needed} bits: they become dark; {advice}",
        )
    if largest > white:
        return (f"{images} values up to {largest:,}, but white is {white:,} with {depth} bits; {advice}",)
    return ()
