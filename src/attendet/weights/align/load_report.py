"""What became of the weights of a file: kept, new, dropped, reshaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from attendet.utils.text import plural, printable

MOST_PLACES = 12


@dataclass(frozen=True)
class LoadReport:
    """What a model took from a file of weights. Every key of the model is in one of `kept`, `new` and `reshaped`.

    Nothing kept at all, `not report.kept`, means that the file is another model's.

    Attributes:
        kept: Keys of the model whose whole value came from the file.
        new: Keys of the model that the file has nothing for; they stay as they were.
        dropped: Keys of the file that no place of the model takes.
        reshaped: Keys of the model whose counterpart in the file is of another shape, or part of a layer that is. The
            class channels of a head are kept as far as there are such classes; anything else stays as it was.
        merged: Those of `reshaped` that were kept in part.

    Example:
        >>> report = LoadReport(
        ...     kept=("model.0.conv.weight", "model.2.conv.weight"),
        ...     new=("model.1.spatial.conv.weight",),
        ...     dropped=(),
        ...     reshaped=("model.3.m.0.weight", "model.3.m.0.bias"),
        ...     merged=("model.3.m.0.weight", "model.3.m.0.bias"),
        ... )
        >>> print(report)
        kept 2 of 5 tensors
        new: 1 tensor (row 1)
        reshaped: 2 tensors, kept as far as they fit (row 3)
        >>> print(report.details())
        kept 2 of 5 tensors
          model.0.conv.weight
          model.2.conv.weight
        new: 1 tensor (row 1)
          model.1.spatial.conv.weight
        reshaped: 2 tensors, kept as far as they fit (row 3)
          model.3.m.0.weight
          model.3.m.0.bias
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]
    reshaped: tuple[str, ...]
    merged: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Number of the model's tensors."""
        return len(self.kept) + len(self.new) + len(self.reshaped)

    @property
    def complete(self) -> bool:
        """Whether the file holds exactly this model: nothing is new, dropped or reshaped."""
        return not (self.new or self.dropped or self.reshaped)

    def details(self) -> str:
        """Return every key, by kind."""
        return "\n".join("\n".join([line, *(f"  {printable(key)}" for key in keys)]) for line, keys in self._told())

    def __str__(self) -> str:
        return "\n".join(line for line, _ in self._told())

    def _hint(self) -> str:
        """Say what could be done about attention that has no place: only files of ours say how it was attached."""
        attention = any(re.search(r"(^|\.)attention\d*\.", key) for key in self.dropped)
        return "; attach its attention first to keep that" if attention else ""

    def _share(self) -> str:
        if len(self.merged) == len(self.reshaped):
            return ", kept as far as they fit"
        return f", {len(self.merged):,} of them kept in part" if self.merged else ", left as they were"

    def _told(self) -> list[tuple[str, tuple[str, ...]]]:
        rest = (
            ("new", self.new, ""),
            ("dropped", self.dropped, " of the file" + self._hint()),
            ("reshaped", self.reshaped, self._share()),
        )
        lines = [
            (f"{kind}: {plural(len(keys), 'tensor')}{more} ({_places(keys)})", keys)
            for kind, keys, more in rest
            if keys
        ]
        return [(f"kept {len(self.kept):,} of {plural(self.total, 'tensor')}", self.kept), *lines]


def _places(keys: Iterable[str]) -> str:
    """Return the rows (`model.9.cv1.conv.weight` → 9) or else the layers that keys belong to, in order, each once."""
    rows, layers = [], []
    for key in keys:
        row = re.match(r"(?:[^.]*\.)*?model\.([0-9]{1,6})\.", key)
        if row:
            rows.append(row[1])
        else:
            layers.append(printable(key.rpartition(".")[0] or key))
    return "; ".join(
        [*_listed("row", "rows", dict.fromkeys(rows)), *_listed("", "", dict.fromkeys(layers))],
    )


def _listed(one: str, many: str, names: Iterable[str]) -> list[str]:
    names = list(names)
    if not names:
        return []
    more = [f"{len(names) - MOST_PLACES:,} more"] if len(names) > MOST_PLACES else []
    return [f"{one if len(names) == 1 else many} {', '.join([*names[:MOST_PLACES], *more])}".strip()]
