"""Class activation maps: the image positions whose features raise the score of one detection or one class."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchcam.methods import GradCAMpp, LayerCAM

from attendet.attention.base import Attention


class GradCAMPlusPlus(GradCAMpp):
    """Grad-CAM++ with the weights of its paper (Chattopadhay et al., WACV 2018, equations 11 and 19).

    With g the gradient of the score by the features A: α_ij = g_ij² / (2·g_ij² + Σ_ab A_ab · g_ij³), and
    w = Σ α_ij · ReLU(g_ij). torchcam 0.5 multiplies by g² instead: it applies α to a copy, and drops the copy.

    The features of the paper come from a ReLU. Features from a SiLU may be negative, and then the denominator could
    become 0, so negative features are left out of the sum over A.
    """

    def _get_weights(self, class_idx: Any, scores: Any, *_: Any, **kwargs: Any) -> list[Tensor]:
        self._backprop(scores, class_idx, **kwargs)
        weights = []
        for features, gradients in zip(self.hook_a, self.hook_g, strict=True):
            positive = torch.relu(gradients).float()
            total = torch.relu(features).float().sum((2, 3), keepdim=True)
            # Numerator and denominator are divided by g², so that small gradients do not underflow.
            weights.append((positive / (2 + total * positive)).sum((2, 3)).to(features.dtype))
        return weights


METHODS = {"LayerCAM": LayerCAM, "Grad-CAM++": GradCAMPlusPlus}
"""Methods of torchcam by their names."""


@dataclass(frozen=True)
class ActivationTarget:
    """The score that class activation maps explain.

    Attributes:
        label: Name of the detection or class, for readers.
        layer: Path of the module whose features are used.
        score: Function from the raw output of the network for one image to the score, a scalar tensor.
        detection: Number of the detection, from 1, in the order of `NetworkOutput.detections`; None for a class.
    """

    label: str
    layer: str
    score: Callable[[Any], Tensor]
    detection: int | None = None


@dataclass(frozen=True)
class ClassActivation:
    """The class activation maps of one detection or class.

    Attributes:
        label: Name of the detection or class, for readers.
        layer: Path of the module whose features are used.
        detection: Number of the detection, from 1; None for a class.
        maps: (H, W) in 0-1, by method.
    """

    label: str
    layer: str
    detection: int | None
    maps: dict[str, NDArray[np.float32]]

    def to_dict(self) -> dict[str, Any]:
        """Return target, layer, and methods as plain values, ready for JSON; the maps are not included."""
        return {"of": self.label, "layer": self.layer, "methods": list(self.maps)}


@contextmanager
def record_feature_shapes(model: nn.Module) -> Iterator[dict[str, tuple[int, ...]]]:
    """Record the shape of every feature map that a module returns, as long as the block runs.

    Modules inside of attention modules are left out: they return weights, not features.

    Yields:
        The shapes by the paths of the modules, in the order in which the modules ran last.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    attentions = [module for module in model.modules() if isinstance(module, Attention)]
    inner = {id(part) for module in attentions for part in module.modules()} - {id(module) for module in attentions}
    with ExitStack() as hooks:
        for path, module in model.named_modules():
            if path and id(module) not in inner:
                hooks.callback(module.register_forward_hook(partial(_record_shape, shapes, path)).remove)
        yield shapes


def _record_shape(shapes: dict[str, tuple[int, ...]], path: str, _: nn.Module, __: Any, output: Any) -> None:
    if isinstance(output, Tensor) and output.ndim == 4:
        # Removed first, so that a module that runs again moves to the end.
        shapes.pop(path, None)
        shapes[path] = tuple(output.shape)


def compute_class_activation(model: nn.Module, image: Tensor, target: ActivationTarget) -> ClassActivation | None:
    """Compute LayerCAM (Jiang et al., TIP 2021) and Grad-CAM++ (Chattopadhay et al., WACV 2018) of a target.

    One forward pass with gradients gives both. The gradients of the parameters are not changed.

    Args:
        model: The network, in evaluation mode.
        image: (1, C, H, W).
        target: The score that is explained.

    Returns:
        The maps, or None if the score does not depend on the features of the layer.
    """
    # The caller's inference mode would forbid gradients even if they are enabled.
    with torch.inference_mode(mode=False), torch.enable_grad(), ExitStack() as stack:
        extractors = {name: stack.enter_context(method(model, target.layer)) for name, method in METHODS.items()}
        # The image requires a gradient, so that there are gradients even if all parameters are frozen.
        output = model(image.detach().clone().requires_grad_())
        first = output[0] if isinstance(output, Tensor) else tuple(level[0] for level in output)
        maps = {}
        for name, extractor in extractors.items():
            try:
                (class_maps,) = extractor(scores=[first], targets=target.score, retain_graph=True)
            except RuntimeError as error:
                # The message of torchcam for an unconnected layer; other errors are not caught.
                if "not connected" not in str(error):
                    raise
                return None
            maps[name] = np.array(class_maps[0].detach().float().cpu().numpy(), np.float32)
    return ClassActivation(target.label, target.layer, target.detection, maps)
