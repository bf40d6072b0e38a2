"""Check that a resumed run gets the images and labels that it was started with, and name the first that differs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from attendet.data.records import ImageRecord, Split
from attendet.errors import DataError, Location, WeightsError
from attendet.training.run_folder import RunFolder, RunRecord
from attendet.utils.text import list_names, plural
from attendet.weights.formats.reader import read_checkpoint

_PREFIX = "images."
_DIGEST_BYTES = 4
_MAX_NAMES = 5


def describe_images(splits: Mapping[str, Split]) -> dict[str, str]:
    """Return text for the checkpoint of a run, from which `require_same_data` finds the first image that differs.

    Args:
        splits: The splits of the run by name.
    """
    return {f"{_PREFIX}{name}": "".join(_image_digests(split)) for name, split in splits.items()}


def require_same_data(folder: RunFolder, before: RunRecord, record: RunRecord, splits: Mapping[str, Split]) -> None:
    """Raise an error if the data of a resumed run is not the data that it was started with.

    The folders of the data set do not matter, so that a data set can be moved.

    Args:
        folder: The folder of the run.
        before: Its record.
        record: The record of the resumed run.
        splits: The splits that the resumed run would use.

    Raises:
        DataError: If the data differs; the message states what.
    """
    for name, entry in record.data.items():
        start = before.data.get(name, {})
        if start.get("fingerprint") != entry["fingerprint"]:
            raise DataError(
                f"the images or labels of {name} have changed since the run started: "
                + _difference(folder, name, before, start, splits[name]),
                where=Location(str(record.configuration["data"]["path"])),
                remedy="name the data set of the run with --data, or start a new run",
            )


def _difference(folder: RunFolder, name: str, before: RunRecord, start: Mapping[str, Any], split: Split) -> str:
    if before.names != split.names:
        expected, found = (list_names(names, _MAX_NAMES) for names in (before.names, split.names))
        return f"the classes must be {expected}, got {found}"
    counts = (len(split.records), len(split.records.classes))
    expected = (start.get("images"), start.get("objects"))
    first = _first_difference(folder, name, split)
    if counts != expected:
        first = f"; {first}" if first else ""
        return f"there must be {_counts(*expected)}, got {_counts(*counts)}{first}"
    return first or "an image or a label has another content"


def _first_difference(folder: RunFolder, name: str, split: Split) -> str | None:
    """Return a sentence about the first image that differs, or None if the checkpoint does not describe the images."""
    try:
        stored = read_checkpoint(folder.checkpoint).metadata.get(f"{_PREFIX}{name}", "")
    except WeightsError:
        return None
    digits = 2 * _DIGEST_BYTES
    for index, digest in enumerate(_image_digests(split)):
        if index * digits < len(stored) and digest != stored[index * digits : (index + 1) * digits]:
            return f"the first image that differs is {split.records[index].image}"
    return None


def _image_digests(split: Split) -> list[str]:
    """Return a digest of each image file and the objects in it."""
    return [_digest(record, digest) for record, digest in zip(split.records, split.digests, strict=True)]


def _digest(record: ImageRecord, file_digest: str) -> str:
    digest = hashlib.blake2b(f"{file_digest} {record.width} {record.height}".encode(), digest_size=_DIGEST_BYTES)
    for column in (record.boxes, record.classes, record.crowd):
        digest.update(column.tobytes())
    return digest.hexdigest()


def _counts(images: Any, objects: Any) -> str:
    return f"{plural(int(images or 0), 'image')} and {plural(int(objects or 0), 'object')}"
