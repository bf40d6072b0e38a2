"""Create attention modules for the sites of a plan."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from attendet.attention.base import Attention
from attendet.attention.catalog import attentions, create, options_of
from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.attachment_plan import AttentionPlan, Site
from attendet.utils.text import printable, shorten

_MAX_VALUES = 2**30
_MAX_REASON_LENGTH = 400


def creation_options(plan: AttentionPlan) -> dict[str, Any]:
    """Return the keyword arguments for the modules of a plan: its options, and its start if they have a start."""
    has_start = "start" in options_of(attentions.get(plan.attention))
    return {"start": plan.start, **plan.options} if has_start else dict(plan.options)


def create_at(name: str, site: Site, options: dict[str, Any]) -> Attention:
    """Return a new attention module for a site.

    Args:
        name: Registry name of the attention module.
        site: The site, whose channels the module gets.
        options: Keyword arguments of the module's class.

    Raises:
        OptionError: If an option is invalid for the site; the message names the site.
    """
    if "dims" in options and "dims" not in options_of(attentions.get(name)):
        raise OptionError(
            f"{name} supports only maps with 2 spatial axes, got {options['dims']} at {site.path}",
            remedy="use bam, cbam, eca, se, or simam",
        )
    try:
        return create(name, site.channels, **options)
    except OptionError as error:
        raise OptionError(f"at {site.path}: {error.message}", remedy=error.remedy) from error
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        reason = printable(shorten(f"{options} ({error})", _MAX_REASON_LENGTH))
        raise OptionError(f"at {site.path}: {name} cannot be created with {reason}") from error


def require_limited_size(plan: AttentionPlan, options: dict[str, Any]) -> None:
    """Raise an error if the modules of a plan, which may come from an untrusted file, would fill the memory.

    Args:
        plan: The plan.
        options: Keyword arguments of the module's class.

    Raises:
        OptionError: If the modules have too many values, or cannot be created.
    """
    values = 0
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        for site in plan.sites:
            module = create_at(plan.attention, site, options)
            values += sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers()))
            if values > _MAX_VALUES:
                raise OptionError(f"attached attention must have at most {_MAX_VALUES:,} values, got more")
