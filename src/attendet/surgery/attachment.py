"""Attached attention: list it, describe it, disable it, and detach it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttentionPlan, Site, own_plans, plans_of, record_plan, remove_plan
from attendet.surgery.attachment_table import AttachmentTable, tabulate
from attendet.surgery.hooks import insert_module, remove_module
from attendet.surgery.regions import is_within
from attendet.surgery.site_guard import guard, require_in_place, unguard
from attendet.utils.modules import is_compiled, unwrap
from attendet.utils.text import list_names

_MAX_LISTED_SITES = 4


@dataclass(frozen=True, repr=False)
class Attachment:
    """Attention that is attached to a network.

    Attributes:
        model: The network.
        plan: The attention module, its options, and its sites.
        originals: The modules that attention has replaced, by path; empty for a copy of the network.

    Example:
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> attach(resnet18(), "cbam", "stage")
        Attachment('cbam' at layer1, layer2, layer3, layer4 of ResNet)
    """

    model: nn.Module
    plan: AttentionPlan
    originals: dict[str, nn.Module] = field(default_factory=dict)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Path, channels, and stride of each attention module."""
        return self.plan.sites

    def modules(self) -> dict[str, nn.Module]:
        """Return the attention modules by their paths.

        Raises:
            OptionError: If a module was removed in another way than by `detach`.
        """
        require_in_place(self.model, self.plan)
        return {site.module: self.model.get_submodule(site.module) for site in self.sites}

    def detach(self) -> None:
        """Remove the attention; the network then computes the same as before it was attached, bit for bit.

        Raises:
            OptionError: If the attention was removed before, if a replaced module is not known, or if other attention
                is attached to it. The network is then unchanged.
        """
        plans = own_plans(self.model)
        if self.plan not in plans:
            raise OptionError("the attention is already detached")
        require_in_place(self.model, self.plan)
        self._require_removable(plans[plans.index(self.plan) + 1 :])
        for site in reversed(self.sites):
            remove_module(self.model, site, self.originals.get(site.path))
        remove_plan(self.model, self.plan)
        if not own_plans(self.model):
            unguard(self.model)

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain values, ready for JSON."""
        return self.plan.to_dict()

    def __repr__(self) -> str:
        paths = list_names([site.path for site in self.sites], _MAX_LISTED_SITES)
        return f"{type(self).__name__}({self.plan.attention!r} at {paths} of {type(self.model).__name__})"

    def _repr_html_(self) -> str:
        """Return a table of the attention modules for a notebook."""
        return tabulate(self.model, [(self.plan, self.modules().values())])._repr_html_()

    def _require_removable(self, later: Sequence[AttentionPlan]) -> None:
        own = tuple(site.module for site in self.sites)
        for plan in later:
            for site in plan.sites:
                if is_within(site.module, own):
                    message = f"{plan.attention} is attached to this attention, at {site.path}"
                    raise OptionError(message, remedy="detach it first")
        for site in self.sites:
            if site.side == "replaced" and site.path not in self.originals:
                message = f"the module that attention replaced at {site.path} is not known to a copy of the network"
                raise OptionError(message, remedy="detach the attachment that `attach` returned")


def attached(model: nn.Module) -> tuple[Attachment, ...]:
    """Return the attention that is attached to a network.

    Args:
        model: A network, or a wrapper around it. For a copy of a network, the attention of the copy is returned.

    Raises:
        OptionError: If attention was removed in another way than by `detach`, for example by another tool that folds
            batch norms.

    Example:
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> model = resnet18()
        >>> _ = attach(model, "cbam", "stage")
        >>> [site.path for attachment in attached(model) for site in attachment.sites]
        ['layer1', 'layer2', 'layer3', 'layer4']
    """
    attachments = []
    for _, module, plan in plans_of(model):
        require_in_place(module, plan)
        attachments.append(Attachment(module, plan))
    return tuple(attachments)


def describe(model: nn.Module) -> AttachmentTable:
    """Return a table of the attached attention: place, channels, stride, and parameters of each module.

    Args:
        model: A network, or a wrapper around it.

    Raises:
        OptionError: If attention was removed in another way than by `detach`.

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
    return tabulate(model, [(attachment.plan, attachment.modules().values()) for attachment in attached(model)])


@contextmanager
def disabled(model: nn.Module) -> Iterator[None]:
    """Disable every attention module of a network, attached or built in: it returns its input.

    An attention module that has replaced another module also returns its input; the other module does not come back.

    Args:
        model: Any network that is not compiled.

    Raises:
        OptionError: If the network is compiled, because compiled code would ignore the change.

    Example:
        >>> import torch, attendet
        >>> model = attendet.create("cbam", 64)
        >>> x = torch.rand(1, 64, 8, 8)
        >>> with disabled(model):
        ...     same = torch.equal(model(x), x)
        >>> same, torch.equal(model(x), x)
        (True, False)
    """
    if is_compiled(model):
        raise OptionError(
            "attention in a compiled network cannot be disabled", remedy="use the network before torch.compile"
        )
    # Hooks would still run the modules, and in training their batch norms would update their statistics.
    enabled = [m for m in model.modules() if isinstance(m, Attention) and "forward" not in vars(m)]
    try:
        for module in enabled:
            vars(module)["forward"] = _return_input
        yield
    finally:
        for module in enabled:
            del vars(module)["forward"]


def apply_plan(model: nn.Module, plan: AttentionPlan, modules: list[Attention]) -> Attachment:
    """Insert attention modules at the sites of a plan, and store the plan with the network.

    Args:
        model: The network; changed in place.
        plan: The plan.
        modules: The attention modules in the order of the sites.

    Raises:
        OptionError: If a module cannot be replaced, because it is the network itself or contains attached attention.
    """
    occupied = [site.module for path, _, other in plans_of(model) for site in other.placed(path).sites]
    occupied += [site.module for site in plan.sites]
    for site in plan.sites:
        if site.side != "replaced":
            continue
        if not site.path:
            raise OptionError("the whole network cannot be replaced", remedy="name a module inside it")
        if any(path.startswith(f"{site.path}.") for path in occupied):
            message = f"{site.path} cannot be replaced, because attention is attached inside it"
            raise OptionError(message, remedy="detach that attention first")
    originals = {}
    for site, module in zip(plan.sites, modules, strict=True):
        original = insert_module(model, site, module)
        if site.side == "replaced":
            originals[site.path] = original
    record_plan(model, plan)
    guard(model)
    return Attachment(model, plan, originals)


def require_attachable(model: nn.Module) -> None:
    """Raise an error if a network is wrapped, compiled, or traced, so that attached modules would not run.

    Raises:
        OptionError: If it is.
    """
    traced = isinstance(model, torch.jit.ScriptModule | torch.fx.GraphModule)
    if traced or unwrap(model) is not model or is_compiled(model):
        raise OptionError(
            f"attention cannot be attached to a wrapped, compiled, or traced network, got {type(model).__name__}",
            remedy="attach first, then wrap, compile, or trace",
        )


def _return_input(x: Tensor, *_: Any, **__: Any) -> Tensor:
    return x
