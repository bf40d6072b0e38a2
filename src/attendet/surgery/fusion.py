"""Batch norms folded into the convolutions before them, in any network, with what is attached moved along."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attendet.blocks.conv_bn_fusion import identity_with_attachments
from attendet.surgery.example_inputs import probe
from attendet.surgery.hooks import is_bare, parent_of
from attendet.surgery.regions import CONVOLUTIONS
from attendet.surgery.tracing import Trace

M = TypeVar("M", bound=nn.Module)


def fuse(model: M, example: Any = None) -> M:
    """Return a copy for inference with every batch norm that follows a convolution folded into it.

    Tools that fold norms drop what hangs on them, attention included. Here it moves along: keys of attention stay.

    Args:
        model: Any network; it is left as it is.
        example: As in `attach`: which norm follows which convolution is seen in one pass.

    Raises:
        OptionError: If the network cannot be run.

    Example:
        >>> import torch
        >>> from torchvision.models import resnet18
        >>> from attendet.surgery import attach
        >>> model = resnet18().train(False)
        >>> _ = attach(model, "cbam", "residual-branch", start="paper")
        >>> fused, images = fuse(model), torch.rand(1, 3, 64, 64)
        >>> any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
        False
        >>> torch.allclose(fused(images), model(images), atol=1e-4)
        True
    """
    seen, _ = probe(model, example)
    fused = copy.deepcopy(model).train(False)
    modules = dict(fused.named_modules())
    for path, norm in modules.items():
        source = _source(seen, path) if _is_plain_norm(norm) else None
        convolution = modules[source] if source else None
        if source and convolution and _is_plain_convolution(convolution):
            _put(fused, source, fuse_conv_bn_eval(convolution, norm))  # pyright: ignore[reportArgumentType]
            _put(fused, path, identity_with_attachments(norm))
    return fused


def _source(seen: Trace, path: str) -> str | None:
    """Return the module that runs once and gives its map to this one alone."""
    calls = seen.calls.get(path, [])
    if len(calls) != 1 or not calls[0].takes_one:
        return None
    number = calls[0].inputs[0]
    feature, returned = seen.maps[number], seen.calls[""][0].outputs
    if len(feature.readers) > 1 or number in returned or not feature.givers:
        return None
    return feature.givers[0] if len(seen.calls[feature.givers[0]]) == 1 else None


def _is_plain_norm(module: nn.Module) -> bool:
    # Classes that do more than to normalize, such as timm's with an activation, stay as they are.
    return isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward and module.track_running_stats


def _is_plain_convolution(module: nn.Module) -> bool:
    # Classes that make their weights anew at every pass, and hooks that do, would undo the folding.
    return type(module) in CONVOLUTIONS and is_bare(module)


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, name = parent_of(model, path)
    parent.register_module(name, module)
