"""Checks that the features and outputs of a network are finite."""

from __future__ import annotations

from torch import Tensor

from attendet.errors import WeightsError
from attendet.interpret.capture import AttentionPass


def require_finite(values: Tensor, name: str) -> None:
    """Raise an error if a tensor has infinite or NaN values.

    Args:
        values: Tensor of any shape.
        name: What the values are, in the plural, for the message.

    Raises:
        WeightsError: If a value is not finite.

    Example:
        >>> import torch
        >>> require_finite(torch.tensor([1.0, torch.nan]), "the outputs of the network")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        attendet.errors.WeightsError: the outputs of the network are not finite; use weights from before training ...
    """
    if not bool(values.isfinite().all()):
        remedy = "use weights from before training diverged, and images with finite values"
        raise WeightsError(f"{name} are not finite", remedy=remedy)


def require_finite_features(call: AttentionPass) -> None:
    """Raise an error if the input or output features of an attention module are not finite.

    Raises:
        WeightsError: If a value is not finite.
    """
    require_finite(call.before, f"the input features of the attention at {call.path}")
    require_finite(call.after, f"the output features of the attention at {call.path}")
