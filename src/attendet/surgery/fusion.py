"""Fold batch norms into convolutions in any network, and keep attached attention."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from attendet.blocks.conv_bn_fusion import identity_with_attachments
from attendet.surgery.example_inputs import trace_example
from attendet.surgery.feature_maps import Trace
from attendet.surgery.hooks import has_forward_hooks, parent_of
from attendet.surgery.regions import CONVOLUTIONS

M = TypeVar("M", bound=nn.Module)


def fuse(model: M, example: Any = None) -> M:
    """Return a copy for inference in which every batch norm after a convolution is folded into it.

    Other tools that fold batch norms drop the hooks and children of the norms, and attached attention with them. Here
    attention stays attached under the same keys.

    Args:
        model: Any network; it is not changed.
        example: As in `attach`. One run on it shows which norm follows which convolution.

    Returns:
        The copy, in evaluation mode.

    Raises:
        OptionError: If the network cannot be run on the example.

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
    run, _ = trace_example(model, example)
    fused = copy.deepcopy(model).train(False)
    modules = dict(fused.named_modules())
    for path, norm in modules.items():
        source = _only_source(run, path) if _is_plain_norm(norm) else None
        convolution = modules[source] if source else None
        if source and convolution and _is_plain_convolution(convolution):
            _replace(fused, source, fuse_conv_bn_eval(convolution, norm))  # pyright: ignore[reportArgumentType]
            _replace(fused, path, identity_with_attachments(norm))
    return fused


def _only_source(run: Trace, path: str) -> str | None:
    """Return the module whose output only this module reads, if both run once."""
    calls = run.calls.get(path, [])
    if len(calls) != 1 or not calls[0].single_input:
        return None
    number = calls[0].inputs[0]
    feature, returned = run.maps[number], run.calls[""][0].outputs
    if len(feature.readers) > 1 or number in returned or not feature.producers:
        return None
    return feature.producers[0] if len(run.calls[feature.producers[0]]) == 1 else None


def _is_plain_norm(module: nn.Module) -> bool:
    # Classes that do more than normalize, such as norms of timm with an activation, are not folded.
    return isinstance(module, _BatchNorm) and type(module).forward is _BatchNorm.forward and module.track_running_stats


def _is_plain_convolution(module: nn.Module) -> bool:
    # Subclasses and hooks may compute the weights again in every forward pass, which would undo the folding.
    return type(module) in CONVOLUTIONS and not has_forward_hooks(module)


def _replace(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, name = parent_of(model, path)
    parent.register_module(name, module)
