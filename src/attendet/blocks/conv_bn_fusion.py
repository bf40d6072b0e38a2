"""Folding batch norms into the convolutions before them, for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attendet.blocks.conv import Conv

M = TypeVar("M", bound=nn.Module)

# Hooks, and under their numbers how they are called.
HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


def fuse_conv_bn(model: M) -> M:
    """Return a copy in which every `Conv` has its batch norm folded in; outputs in evaluation stay the same.

    Where attention is attached between the two, they stay two.

    Args:
        model: Any module with `Conv`s in it; it is left as it is.

    Example:
        >>> import torch
        >>> model = nn.Sequential(Conv(3, 8, 3)).train(False)
        >>> x = torch.rand(1, 3, 8, 8)
        >>> torch.allclose(fuse_conv_bn(model)(x), model(x), atol=1e-6)
        True
    """
    fused = copy.deepcopy(model).train(False)
    for module in fused.modules():
        if not isinstance(module, Conv) or not isinstance(module.bn, nn.BatchNorm2d):
            continue
        # What hangs between them, as attention may, weighs features that are not normalized yet.
        between = [*vars(module.conv)["_forward_hooks"], *vars(module.bn)["_forward_pre_hooks"]]
        if not between:
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = emptied(module.bn)
    return fused


def emptied(module: nn.Module) -> nn.Identity:
    """Return an identity that has what hangs on a module: children and hooks of attention that is attached to it.

    Example:
        >>> norm = nn.BatchNorm2d(8)
        >>> norm.add_module("attention", nn.ReLU())
        >>> emptied(norm)
        Identity(
          (attention): ReLU()
        )
    """
    identity = nn.Identity().train(module.training)
    for name, child in module.named_children():
        identity.add_module(name, child)
    for hooks in HOOKS:
        getattr(identity, hooks).update(getattr(module, hooks))
    return identity
