"""Names of output files that are made from names of inputs: safe in every folder, and unique."""

from __future__ import annotations

import re
import unicodedata

from attendet.utils.text import JOINERS, is_legible

_MAX_BYTES = 230
"""Longest name in bytes: most file systems allow 255, and a number and a suffix follow."""


def safe_file_name(name: str) -> str:
    """Return a name that every file system allows, and that cannot leave its folder.

    Example:
        >>> safe_file_name("../white cell"), safe_file_name("зебра"), safe_file_name("बिल्ली"), safe_file_name("")
        ('_white cell', 'зебра', 'बिल्ली', '_')
    """
    marked = "".join(letter if _is_safe(letter) else "/" for letter in name)
    return re.sub("/+", "_", marked).strip(f" .{JOINERS}")[:100] or "_"


class UniqueNames:
    r"""Names that a number makes unique: `cell`, `cell-2`, `cell-3`.

    Names that differ in case only are equal, as on some file systems. Separators of folders and characters that are not
    visible are replaced, a name of dots only becomes `_`, and names are cut to 230 bytes. Other characters stay, also
    bytes that are not UTF-8, so that a result is found by the name of its input.

    Example:
        >>> names = UniqueNames()
        >>> [names.take(name) for name in ("cell", "Cell", "cell-2", "cell", "..", "a\nb")]
        ['cell', 'Cell-2', 'cell-2-2', 'cell-3', '_', 'a_b']
    """

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def take(self, name: str) -> str:
        """Return the name, or the name with the next free number if it is taken."""
        name = "".join(letter if _is_kept(letter) else "_" for letter in name)
        name = name if name.strip(f". {JOINERS}") else "_"
        while len(name.encode("utf-8", "surrogatepass")) > _MAX_BYTES:
            name = name[:-1]
        free, number = name, self._next.get(name.lower(), 1)
        while free.lower() in self._next:
            number += 1
            free = f"{name}-{number}"
        self._next[free.lower()] = 1
        if free != name:
            self._next[name.lower()] = number
        return free


def _is_safe(letter: str) -> bool:
    """Return whether a character is a letter, a digit, a mark of a letter (as in Indic scripts), or harmless."""
    return letter.isalnum() or letter in f"_ .()+-{JOINERS}" or unicodedata.category(letter).startswith("M")


def _is_kept(letter: str) -> bool:
    """Return whether a character stays in a name; bytes that are not UTF-8 are surrogates in Python."""
    return letter not in "/\\" and (is_legible(letter) or "\udc80" <= letter <= "\udcff")
