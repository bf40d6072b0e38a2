"""A plan carried out again, as loading weights does."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.attachment import Attachment, carry_out, require_plain
from attendet.surgery.making import create_at, options_at, require_bounded
from attendet.surgery.plan import AttentionPlan


def reattach(model: nn.Module, plan: AttentionPlan) -> Attachment:
    """Carry out a plan again on a network of the same kind, as loading weights does.

    Raises:
        OptionError: If the network lacks a module that the plan names, or a module of attention cannot be made.
    """
    require_plain(model)
    for site in plan.sites:
        try:
            target = model.get_submodule(site.path)
        except AttributeError as error:
            raise OptionError(f"{type(model).__name__} has no module {site.path!r} to attach to") from error
        if site.child and hasattr(target, site.child):
            raise OptionError(f"{site.path} has a part named {site.child!r} already")
    if len({site.module for site in plan.sites}) < len(plan.sites):
        raise OptionError("two sites of the plan are one")
    options = options_at(plan)
    require_bounded(plan, options)
    reference = next(model.parameters(), torch.empty(0))
    with warnings.catch_warnings():
        # They were told when it was attached first.
        warnings.simplefilter("ignore", AttendetWarning)
        made = [create_at(plan.attention, site, options).to(reference.device, reference.dtype) for site in plan.sites]
    return carry_out(model, plan, made)
