"""A table of attached attention modules that prints itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from attendet.surgery.attachment_plan import AttentionPlan, Side
from attendet.utils.html import escape, html_table
from attendet.utils.text import align_table, plural

_COLUMNS = ("attention", "at", "side", "channels", "stride", "parameters")
_NUMBER_COLUMNS = frozenset(_COLUMNS[3:])


@dataclass(frozen=True)
class AttachedModule:
    """A row of the table: one attention module.

    Attributes:
        attention: Registry name of the attention module.
        path: Path of the module that it is attached to.
        side: `output` or `input`, if it is applied to that of the module; `replaced`, if it has replaced the module.
        channels: Number of channels of the features that it is applied to.
        stride: Stride of the features.
        parameters: Number of its learned values.
    """

    attention: str
    path: str
    side: Side
    channels: int
    stride: float
    parameters: int

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, one cell per column."""
        return (
            self.attention,
            self.path,
            self.side,
            str(self.channels),
            f"{self.stride:g}",
            f"{self.parameters:,}",
        )


@dataclass(frozen=True, repr=False)
class AttachmentTable:
    """The attention modules that are attached to a network. `print` shows them as text, a notebook as an HTML table.

    Attributes:
        modules: The attention modules in the order in which they were attached.
        model_parameters: Number of learned values of the whole network, with attention.
    """

    modules: tuple[AttachedModule, ...]
    model_parameters: int

    @property
    def parameters(self) -> int:
        """Number of learned values of all attention modules."""
        return sum(module.parameters for module in self.modules)

    def to_dict(self) -> dict[str, Any]:
        """Return the table as plain values, ready for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return (
            f"{align_table(_COLUMNS, [module.cells() for module in self.modules], _NUMBER_COLUMNS)}\n{self._totals()}"
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return the table for a notebook."""
        rows = html_table(
            _COLUMNS, [module.cells() for module in self.modules], text_columns=3, label="attached attention"
        )
        return f"{rows}<p>{escape(self._totals())}</p>"

    def _totals(self) -> str:
        return f"{plural(len(self.modules), 'module')}, {self.parameters:,} of {self.model_parameters:,} parameters"


def tabulate(model: nn.Module, attached: Iterable[tuple[AttentionPlan, Iterable[nn.Module]]]) -> AttachmentTable:
    """Return the table of attention modules.

    Args:
        model: The whole network.
        attached: Each plan with its attention modules in the order of the sites.
    """
    modules = [
        AttachedModule(plan.attention, site.path, site.side, site.channels, site.stride, _count(attention))
        for plan, attentions in attached
        for site, attention in zip(plan.sites, attentions, strict=True)
    ]
    return AttachmentTable(tuple(modules), _count(model))


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
