"""Attention modules for the sites of a plan."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from attendet.attention.base import Attention
from attendet.attention.catalog import attentions, create, options_of
from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.attachment_plan import AttentionPlan, Site
from attendet.utils.text import printable, shorten

MOST_VALUES = 2**30
LONGEST_REASON = 400


def options_at(plan: AttentionPlan) -> dict[str, Any]:
    """Return the options that the modules of a plan are made with: its own, and its start where they have one."""
    takes_start = "start" in options_of(attentions.get(plan.attention))
    return {"start": plan.start, **plan.options} if takes_start else dict(plan.options)


def create_at(name: str, site: Site, options: dict[str, Any]) -> Attention:
    """Return a new attention module for a site.

    Raises:
        OptionError: If an option does not fit, with the site.
    """
    if "dims" in options and "dims" not in options_of(attentions.get(name)):
        raise OptionError(
            f"{name} is for images, and maps at {site.path} have {options['dims']} axes of positions",
            remedy="use bam, cbam, eca, se or simam",
        )
    try:
        return create(name, site.channels, **options)
    except OptionError as error:
        raise OptionError(f"at {site.path}: {error.message}", remedy=error.remedy) from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = printable(shorten(f"{options} ({error})", LONGEST_REASON))
        raise OptionError(f"at {site.path}: {name} cannot be made with {reason}") from error


def require_bounded(plan: AttentionPlan, options: dict[str, Any]) -> None:
    """Raise an OptionError if the modules of a plan, which may come from anywhere, would fill the memory."""
    values = 0
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        for site in plan.sites:
            module = create_at(plan.attention, site, options)
            values += sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers()))
            if values > MOST_VALUES:
                raise OptionError(f"attention of more than {MOST_VALUES:,} values")
