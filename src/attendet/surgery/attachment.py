"""What has been attached to a network: where it is, and how it goes again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttentionPlan, Site, forget, plans_of, remember
from attendet.surgery.hooks import insert, is_in_place, remove
from attendet.surgery.regions import is_within
from attendet.utils.modules import is_compiled, unwrap


@dataclass(frozen=True)
class Attachment:
    """Attention that has been attached to a network.

    Attributes:
        model: The network.
        plan: What was attached where.
        originals: What stood where a site was replaced, by path; empty for a copy of a network.
    """

    model: nn.Module
    plan: AttentionPlan
    originals: dict[str, nn.Module] = field(default_factory=dict, repr=False)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where the modules sit: path, channels and stride of each."""
        return self.plan.sites

    def modules(self) -> dict[str, nn.Module]:
        """Return the attention modules by their own paths.

        Raises:
            OptionError: If one is no longer in its place.
        """
        _require_in_place(self.model, self.plan)
        return {site.module: self.model.get_submodule(site.module) for site in self.sites}

    def detach(self) -> None:
        """Take the attention out; the network is then to the bit what it was before.

        Raises:
            OptionError: If it is not there any more, what it replaced is not known, or later attention sits in it: it
                stays as it is.
        """
        plans = [plan for _, module, plan in plans_of(self.model) if module is self.model]
        if self.plan not in plans:
            raise OptionError("it is detached already")
        _require_in_place(self.model, self.plan)
        own = tuple(site.module for site in self.sites)
        for plan in plans[plans.index(self.plan) + 1 :]:
            for site in plan.sites:
                if is_within(site.module, own):
                    raise OptionError(f"{plan.attention} sits in it, at {site.path}", remedy="detach that first")
        for site in self.sites:
            if site.side == "replaced" and site.path not in self.originals:
                raise OptionError(
                    f"what stood at {site.path} is not known to a copy", remedy="detach what `attach` has returned"
                )
        for site in reversed(self.sites):
            remove(self.model, site, self.originals.get(site.path))
        forget(self.model, self.plan)


def attached(model: nn.Module) -> tuple[Attachment, ...]:
    """Return what is attached to a network, or to the network inside a wrapper; for a copy, what is in the copy.

    Raises:
        OptionError: If attention was lost since, as by a fusion that does not know of it.

    Example:
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> model = resnet18()
        >>> _ = attach(model, "cbam", "stage")
        >>> [site.path for attachment in attached(model) for site in attachment.sites]
        ['layer1', 'layer2', 'layer3', 'layer4']
    """
    found = []
    for _, module, plan in plans_of(model):
        _require_in_place(module, plan)
        found.append(Attachment(module, plan))
    return tuple(found)


def carry_out(model: nn.Module, plan: AttentionPlan, made: list[Attention]) -> Attachment:
    """Put modules at the sites of a plan, and write the plan down.

    Raises:
        OptionError: If something stands at a site that has to stay.
    """
    there = [site.module for path, _, other in plans_of(model) for site in other.placed(path).sites]
    there += [site.module for site in plan.sites]
    for site in plan.sites:
        if site.side == "replaced" and (not site.path or any(path.startswith(f"{site.path}.") for path in there)):
            what = f"attention is attached inside {site.path}" if site.path else "a whole network cannot be replaced"
            raise OptionError(what, remedy="detach that first" if site.path else "name a module inside it")
    originals = {}
    for site, module in zip(plan.sites, made, strict=True):
        before = insert(model, site, module)
        if site.side == "replaced":
            originals[site.path] = before
    remember(model, plan)
    return Attachment(model, plan, originals)


def require_plain(model: nn.Module) -> None:
    """Raise an OptionError if a network is wrapped or compiled: what runs is then not what can be attached to."""
    traced = isinstance(model, torch.jit.ScriptModule | torch.fx.GraphModule)
    if traced or unwrap(model) is not model or is_compiled(model):
        raise OptionError(
            f"this {type(model).__name__} is wrapped, compiled or traced, and nothing can be attached to it any more",
            remedy="attach first",
        )


def _require_in_place(model: nn.Module, plan: AttentionPlan) -> None:
    lost = [site.path for site in plan.sites if not is_in_place(model, site)]
    if lost:
        raise OptionError(
            f"attention has been lost at {', '.join(lost)}",
            remedy="batch norms are folded by attendet.fuse, which moves it along",
        )


def describe(model: nn.Module) -> None:
    """Print where attention is attached, to what, and what it costs.

    Example:
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> model = resnet18()
        >>> _ = attach(model, "cbam", "stage:3-4")
        >>> describe(model)
        attention  at      side    channels  stride  parameters
        cbam       layer3  output       256      16       8,290
        cbam       layer4  output       512      32      32,866
        2 modules, 41,156 of 11,730,668 parameters
    """
    rows = [("attention", "at", "side", "channels", "stride", "parameters")]
    total = 0
    for attachment in attached(model):
        for site, module in zip(attachment.sites, attachment.modules().values(), strict=True):
            count = sum(parameter.numel() for parameter in module.parameters())
            total += count
            name = attachment.plan.attention
            rows.append((name, site.path, site.side, str(site.channels), f"{site.stride:g}", f"{count:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(
            cell.rjust(width) if column > 2 else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    whole = sum(parameter.numel() for parameter in model.parameters())
    print("\n".join([*lines, f"{len(rows) - 1} modules, {total:,} of {whole:,} parameters"]))  # noqa: T201 (its job)


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Let every attention module of a network, attached or built in, hand on its features as they are.

    A module that stands in place of another hands on too; the other does not come back.

    Raises:
        OptionError: If the network is compiled, which would not notice.

    Example:
        >>> import torch, attendet
        >>> model = attendet.attention.create("cbam", 64)
        >>> x = torch.rand(1, 64, 8, 8)
        >>> with disabled(model):
        ...     same = torch.equal(model(x), x)
        >>> same, torch.equal(model(x), x)
        (True, False)
    """
    if is_compiled(model):
        raise OptionError("a compiled network does not notice", remedy="disable the one it was compiled from")
    # Not by hooks: the modules would still run, and those with batch norms learn their statistics in training.
    awake = [m for m in model.modules() if isinstance(m, Attention) and "forward" not in vars(m)]
    try:
        for module in awake:
            vars(module)["forward"] = _features
        yield
    finally:
        for module in awake:
            del vars(module)["forward"]


def _features(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x
