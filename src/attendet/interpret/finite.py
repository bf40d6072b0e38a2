"""Refusing networks that compute no numbers any more."""

from __future__ import annotations

from torch import Tensor

from attendet.errors import WeightsError
from attendet.interpret.capture import AttentionPass


def require_finite(values: Tensor, what: str) -> None:
    """Refuse values that are infinite or not a number.

    Args:
        values: Of any shape.
        what: What they are, for the message.

    Raises:
        WeightsError: If there is such a value.

    Example:
        >>> import torch
        >>> require_finite(torch.tensor([1.0, torch.nan]), "what it says")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        attendet.errors.WeightsError: what it says is not finite; take weights from before training diverged, ...
    """
    if not bool(values.isfinite().all()):
        remedy = "take weights from before training diverged, and images of finite values"
        raise WeightsError(f"{what} is not finite", remedy=remedy)


def require_finite_visit(visit: AttentionPass) -> None:
    """Refuse a visit whose features before or after are not finite.

    Raises:
        WeightsError: If they are not.
    """
    require_finite(visit.before, f"what the attention at {visit.path} gets")
    require_finite(visit.after, f"what the attention at {visit.path} gives")
