"""Make sure that attached attention is not lost without an error if other tools replace modules of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from attendet.attention.base import Attention
from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttentionPlan, Site, own_plans
from attendet.surgery.hooks import find_module, hook_module, is_in_place
from attendet.utils.text import list_names

_MAX_LISTED_SITES = 4


def guard(model: nn.Module) -> None:
    """Register a hook that checks before every pass of a network that its attached attention is in place."""
    if _check_before_pass not in _pre_hooks(model).values():
        model.register_forward_pre_hook(_check_before_pass)


def unguard(model: nn.Module) -> None:
    """Remove the hook that `guard` registered."""
    hooks = _pre_hooks(model)
    for number in [number for number, hook in hooks.items() if hook is _check_before_pass]:
        del hooks[number]


def _pre_hooks(model: nn.Module) -> dict[int, Any]:
    return vars(model)["_forward_pre_hooks"]


def require_in_place(model: nn.Module, plan: AttentionPlan) -> None:
    """Raise an error if attention of a plan is not in its place.

    A tool that replaces a layer and moves its children, as `convert_sync_batchnorm` does, loses only the hook that
    calls the attention; the hook is then registered again.

    Args:
        model: The network to which the plan was applied.
        plan: The plan.

    Raises:
        OptionError: If attention was removed in another way than by `detach`; the message names the modules there.
    """
    lost = [site for site in plan.sites if not is_in_place(model, site) and not _restore(model, site)]
    if lost:
        sites = list_names([f"{site.path} ({_occupant(model, site)})" for site in lost], _MAX_LISTED_SITES)
        raise OptionError(
            f"the attention at {sites} was removed, but not by `detach`",
            remedy="replace modules before attaching attention, and fold batch norms with `attendet.fuse`, which keeps "
            "attached attention",
        )


def _restore(model: nn.Module, site: Site) -> bool:
    target = find_module(model, site.path)
    if target is None or site.side == "replaced" or not isinstance(find_module(target, site.child), Attention):
        return False
    hook_module(target, site)
    return True


def _occupant(model: nn.Module, site: Site) -> str:
    target = find_module(model, site.path)
    return "no module is there now" if target is None else f"now {type(target).__name__}"


def _require_all_in_place(model: nn.Module) -> None:
    for plan in own_plans(model):
        require_in_place(model, plan)


def _require_all_in_place_once(model: nn.Module) -> None:
    """Check a network that is being compiled, once; the compiled code does not contain the check."""
    _require_all_in_place(model)


# As `torch.compiler.assume_constant_result` does, which takes a second to import the compiler.
vars(_require_all_in_place_once)["_dynamo_marked_constant"] = True


def _check_before_pass(model: nn.Module, _: Any) -> None:
    if torch.compiler.is_compiling():
        _require_all_in_place_once(model)
    else:
        _require_all_in_place(model)
