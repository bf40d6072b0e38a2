"""The result of loading weights: which tensors were kept, are new, were dropped, or have another shape."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable
from dataclasses import dataclass

from attendet.utils.text import list_names, plural, printable

_MAX_PLACES = 12
# The names of attention modules in attendet, in published networks, and in common copies.
_ATTENTION = re.compile(r"(^|\.)(\w*attention\d*|c?bam\d*|se|eca|ca|sa|channelgate|spatialgate)\.", re.IGNORECASE)


@dataclass(frozen=True, repr=False)
class LoadReport:
    """The result of loading weights: the tensors that were kept, are new, were dropped, or have another shape.

    Every key of the model is in exactly one of `kept`, `new`, and `reshaped`. If `kept` is empty, the file belongs to
    another model.

    Attributes:
        kept: Keys of the model whose complete value comes from the file. A file of another project implies values of
            our own, such as the range of a gate.
        new: Keys of the model without a counterpart in the file; they keep their initial values.
        dropped: Keys of the file without a counterpart in the model.
        reshaped: Keys of the model whose counterpart has another shape, or belongs to a layer with another shape. The
            detection head takes the channels of the classes that both have; all other tensors keep their own values.
        merged: The keys among `reshaped` whose values come from the file in part.
        activations: The activations that are others in the file, as its pickled model shows, although the layers before
            them were kept: path in the model, and class in the file.

    Example:
        >>> report = LoadReport(
        ...     kept=("model.0.conv.weight", "model.2.conv.weight"),
        ...     new=("model.1.spatial.conv.weight",),
        ...     dropped=(),
        ...     reshaped=("model.3.m.0.weight", "model.3.m.0.bias"),
        ...     merged=("model.3.m.0.weight", "model.3.m.0.bias"),
        ... )
        >>> report
        LoadReport(kept 2 of 5 tensors, 1 new, 0 dropped, 2 reshaped)
        >>> print(report)
        kept 2 of 5 tensors
        new: 1 tensor (row 1)
        reshaped: 2 tensors, loaded in part (row 3)
        >>> print(report.details())
        kept 2 of 5 tensors
          model.0.conv.weight
          model.2.conv.weight
        new: 1 tensor (row 1)
          model.1.spatial.conv.weight
        reshaped: 2 tensors, loaded in part (row 3)
          model.3.m.0.weight
          model.3.m.0.bias
    """

    kept: tuple[str, ...]
    new: tuple[str, ...]
    dropped: tuple[str, ...]
    reshaped: tuple[str, ...]
    merged: tuple[str, ...] = ()
    activations: tuple[tuple[str, str], ...] = ()

    @property
    def total(self) -> int:
        """Number of tensors of the model."""
        return len(self.kept) + len(self.new) + len(self.reshaped)

    @property
    def complete(self) -> bool:
        """Whether no tensor is new, dropped, or reshaped, and no activation differs."""
        return not (self.new or self.dropped or self.reshaped or self.activations)

    def details(self) -> str:
        """Return the summary with all keys below the line of their category."""
        return "\n".join("\n".join([line, *(f"  {printable(key)}" for key in keys)]) for line, keys in self._lines())

    def to_dict(self) -> dict[str, list[str]]:
        """Return the keys of each category as plain lists, ready for JSON.

        Example:
            >>> LoadReport(kept=("fc.weight",), new=(), dropped=(), reshaped=()).to_dict()
            {'kept': ['fc.weight'], 'new': [], 'dropped': [], 'reshaped': [], 'merged': []}
        """
        return {
            "kept": list(self.kept),
            "new": list(self.new),
            "dropped": list(self.dropped),
            "reshaped": list(self.reshaped),
            "merged": list(self.merged),
        }

    def __str__(self) -> str:
        return "\n".join(line for line, _ in self._lines())

    def __repr__(self) -> str:
        counts = f"{len(self.new):,} new, {len(self.dropped):,} dropped, {len(self.reshaped):,} reshaped"
        return f"{type(self).__name__}({self._summary()}, {counts})"

    def _repr_html_(self) -> str:
        """Return the report for a notebook: one collapsible list of keys for each category."""
        return "".join(
            f"<details><summary>{html.escape(line)}</summary>"
            f"<pre>{html.escape(chr(10).join(map(printable, keys)))}</pre></details>"
            for line, keys in self._lines()
        )

    def _summary(self) -> str:
        return f"kept {len(self.kept):,} of {plural(self.total, 'tensor')}"

    def _lines(self) -> list[tuple[str, tuple[str, ...]]]:
        """Return the line of each category that has keys, and these keys."""
        others = (
            ("new", self.new, ""),
            ("dropped", self.dropped, " of the file" + self._attention_remedy()),
            ("reshaped", self.reshaped, self._loaded_part()),
        )
        lines = [
            (f"{kind}: {plural(len(keys), 'tensor')}{remark} ({_places(keys)})", keys)
            for kind, keys, remark in others
            if keys
        ]
        return [(self._summary(), self.kept), *lines, *self._activation_lines()]

    def _activation_lines(self) -> list[tuple[str, tuple[str, ...]]]:
        if not self.activations:
            return []
        paths = tuple(path for path, _ in self.activations)
        kinds = list_names(list(dict.fromkeys(printable(kind) for _, kind in self.activations)), _MAX_PLACES)
        return [(f"activations: {plural(len(paths), 'layer')} with {kinds} in the file ({_places(paths)})", paths)]

    def _attention_remedy(self) -> str:
        """Return how to keep dropped attention; only files that attendet wrote describe how it was attached."""
        attention = any(_ATTENTION.search(key) for key in self.dropped)
        return "; attach the same attention before loading to keep them" if attention else ""

    def _loaded_part(self) -> str:
        if len(self.merged) == len(self.reshaped):
            return ", loaded in part"
        return f", {len(self.merged):,} of them loaded in part" if self.merged else ", not loaded"


def _places(keys: Iterable[str]) -> str:
    """Return the rows (`model.9.cv1.conv.weight` → 9), or else the layers, of keys, in order and without duplicates."""
    rows, layers = [], []
    for key in keys:
        row = re.match(r"(?:[^.]*\.)*?model\.([0-9]{1,6})\.", key)
        if row:
            rows.append(row[1])
        else:
            layers.append(printable(key.rpartition(".")[0] or key))
    rows, layers = list(dict.fromkeys(rows)), list(dict.fromkeys(layers))
    listed_rows = [f"{'row' if len(rows) == 1 else 'rows'} {list_names(rows, _MAX_PLACES)}"] if rows else []
    return "; ".join([*listed_rows, *([list_names(layers, _MAX_PLACES)] if layers else [])])
