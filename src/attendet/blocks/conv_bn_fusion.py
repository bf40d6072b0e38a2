"""Fusion of batch norms into the preceding convolutions, for inference."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attendet.blocks.conv import Conv

M = TypeVar("M", bound=nn.Module)

# The hooks of a module, and the dictionaries that store how each hook is called.
_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
)


def fuse_conv_bn(model: M) -> M:
    """Return a copy of a model in which every `Conv` has its batch norm folded into the convolution.

    The outputs in evaluation mode do not change. A convolution and its norm are not fused if attention is attached
    between them.

    Args:
        model: Any module that contains `Conv` blocks; it is not modified.

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
        # Hooks between the two, such as attached attention, receive features that are not normalized yet.
        hooks_between = [*vars(module.conv)["_forward_hooks"], *vars(module.bn)["_forward_pre_hooks"]]
        if not hooks_between:
            module.conv = fuse_conv_bn_eval(module.conv, module.bn)
            module.bn = identity_with_attachments(module.bn)
    return fused


def identity_with_attachments(module: nn.Module) -> nn.Identity:
    """Return an identity with the children and hooks of a module, which include attached attention.

    Example:
        >>> norm = nn.BatchNorm2d(8)
        >>> norm.add_module("attention", nn.ReLU())
        >>> identity_with_attachments(norm)
        Identity(
          (attention): ReLU()
        )
    """
    identity = nn.Identity().train(module.training)
    for name, child in module.named_children():
        identity.add_module(name, child)
    for hooks in _HOOKS:
        getattr(identity, hooks).update(getattr(module, hooks))
    return identity
