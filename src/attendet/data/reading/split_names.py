"""Names of splits in the names of folders and files."""

from __future__ import annotations

import re

_SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_of(name: str) -> str | None:
    """Return the split that a folder or file is named after: `train`, `val`, or `test`; None for any other name.

    Args:
        name: Name without suffix, in any case, with words between digits and punctuation.

    Example:
        >>> [split_of(name) for name in ("train", "instances_val2017", "Validation", "test_images", "trainval")]
        ['train', 'val', 'val', 'test', None]
    """
    splits = {_SPLIT_WORDS[word] for word in re.split(r"[^a-z]+", name.lower()) if word in _SPLIT_WORDS}
    return splits.pop() if len(splits) == 1 else None
