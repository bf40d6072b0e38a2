"""Class activation maps: where the features lie that speak for one detection, or one class."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torchcam.methods import GradCAMpp, LayerCAM

from attendet.attention.base import Attention
from attendet.blocks.pool import SPP, SPPF
from attendet.interpret.image.site_view import Array
from attendet.models.detector import Detector


class GradCAMPlusPlus(GradCAMpp):
    """Grad-CAM++ with the weights of its paper (Chattopadhay et al., WACV 2018, equations 11 and 19).

    α_ij = g_ij² / (2·g_ij² + Σ_ab A_ab · g_ij³) and w = Σ α_ij · ReLU(g_ij), g the gradient of the score by features A.
    torchcam 0.5 multiplies by g² alone: it divides a copy that its mask has made, and drops it.

    The paper's features come from a ReLU. Those of SiLU may be negative, and would let the denominator vanish: of the
    sum of A negative ones are left out.
    """

    def _get_weights(self, class_idx: Any, scores: Any, *_: Any, **kwargs: Any) -> list[Tensor]:
        self._backprop(scores, class_idx, **kwargs)
        weights = []
        for features, gradients in zip(self.hook_a, self.hook_g, strict=True):
            positive = torch.relu(gradients).float()
            total = torch.relu(features).float().sum((2, 3), keepdim=True)
            # Divided through by g², so that small gradients do not underflow.
            weights.append((positive / (2 + total * positive)).sum((2, 3)).to(features.dtype))
        return weights


METHODS = {"LayerCAM": LayerCAM, "Grad-CAM++": GradCAMPlusPlus}


@dataclass(frozen=True)
class Target:
    """What is explained.

    Attributes:
        words: What it is, for people.
        layer: Path of the module whose features are asked.
        score: From the network's output for one image to the number whose gradient is taken.
        number: Which detection, from 1 on, in the order of the answer's; None for a class.
    """

    words: str
    layer: str
    score: Callable[[Any], Tensor]
    number: int | None = None


@dataclass(frozen=True)
class Activation:
    """Class activation maps for one target.

    Attributes:
        words: What they explain.
        layer: Path of the module whose features are asked.
        number: Which detection, from 1 on; None for a class.
        maps: By method, (H, W) in 0-1.
    """

    words: str
    layer: str
    number: int | None
    maps: dict[str, Array]


@contextmanager
def shapes(model: nn.Module) -> Iterator[dict[str, tuple[int, ...]]]:
    """Note the shape of every feature map that a module gives while the block runs, by path, in order.

    Modules inside of attention are left out: what they give are weights, and no features.
    """
    seen: dict[str, tuple[int, ...]] = {}
    inner = {id(part) for module in model.modules() if isinstance(module, Attention) for part in module.modules()}
    inner -= {id(module) for module in model.modules() if isinstance(module, Attention)}
    with ExitStack() as hooks:
        for path, module in model.named_modules():
            if path and id(module) not in inner:
                hooks.callback(module.register_forward_hook(partial(_note, seen, path)).remove)
        yield seen


def _note(seen: dict[str, tuple[int, ...]], path: str, _: nn.Module, __: Any, output: Any) -> None:
    if isinstance(output, Tensor) and output.ndim == 4:
        # Taken out first, so that a module that runs again moves to the end.
        seen.pop(path, None)
        seen[path] = tuple(output.shape)


def layer_of_detection(detector: Detector, seen: dict[str, tuple[int, ...]], size: Sequence[int]) -> str:
    """Return the last row of the backbone with maps of this height and width: those of the level that detects.

    The head itself reads one cell for a detection, which would be all that a map of it shows; and what SPP and SPPF
    have pooled lies far from where it was.

    Args:
        detector: The network.
        seen: The maps of a pass.
        size: Height and width of the level's maps.
    """
    backbone = [path for path in detector.regions()["backbone"] if path in seen]
    rows = [path for path in backbone if not isinstance(detector.get_submodule(path), SPP | SPPF)] or backbone
    alike = [path for path in rows if seen[path][2:] == tuple(size)]
    return (alike or rows)[-1]


def layer_of_class(seen: dict[str, tuple[int, ...]]) -> str | None:
    """Return the last module that gives a map of more than one position; None where there is none.

    Example:
        >>> layer_of_class({"layer4": (1, 512, 7, 7), "avgpool": (1, 512, 1, 1)})
        'layer4'
    """
    return next((path for path in reversed(seen) if np.prod(seen[path][2:]) > 1), None)


def level_of(raw: Sequence[Tensor], row: int) -> tuple[int, int]:
    """Return the level that a row of the decoded predictions comes from, and its place among the level's.

    Example:
        >>> level_of([torch.zeros(1, 3, 4, 4, 7), torch.zeros(1, 3, 2, 2, 7)], 50)
        (1, 2)
    """
    for level, maps in enumerate(raw):
        count = maps[0, ..., 0].numel()
        if row < count:
            return level, row
        row -= count
    raise IndexError(row)


def detection_score(level: int, place: int, number: int, raw: Sequence[Tensor]) -> Tensor:
    """Return the logit of objectness plus that of the class, of the cell and anchor that made a detection.

    Confidence is the product of their sigmoids. With a single class the class logit says nothing, and is left out.

    Args:
        level: The level of the cell.
        place: Its place among the level's anchors and cells.
        number: The class.
        raw: The raw maps (A, H, W, classes + 5) of one image.
    """
    logits = raw[level].reshape(-1, raw[level].shape[-1])[place]
    return logits[4] + logits[5 + number] if len(logits) > 6 else logits[4]


def class_score(number: int, scores: Tensor) -> Tensor:
    """Return the logit of a class, of one image's (classes,)."""
    return scores[number]


def activation(model: nn.Module, image: Tensor, target: Target) -> Activation | None:
    """Return what LayerCAM (Jiang et al., TIP 2021) and Grad-CAM++ (Chattopadhay et al., WACV 2018) show of a target.

    One pass with gradients, from which both are computed; parameters keep the gradients that they have.

    Args:
        model: The network, in evaluation mode.
        image: (1, C, H, W).
        target: What is explained.

    Returns:
        The maps, or None where the score does not depend on the layer's features.
    """
    # An inference mode of the caller would forbid gradients, also where they are enabled.
    with torch.inference_mode(mode=False), torch.enable_grad(), ExitStack() as stack:
        extractors = {name: stack.enter_context(kind(model, target.layer)) for name, kind in METHODS.items()}
        # Gradients flow from the image on, also where all parameters are frozen.
        output = model(image.detach().clone().requires_grad_())
        first = output[0] if isinstance(output, Tensor) else tuple(level[0] for level in output)
        maps = {}
        for name, extractor in extractors.items():
            try:
                (found,) = extractor(scores=[first], targets=target.score, retain_graph=True)
            except RuntimeError as error:
                # torchcam's words; every other failure stays one.
                if "not connected" not in str(error):
                    raise
                return None
            maps[name] = np.array(found[0].detach().float().cpu().numpy(), np.float32)
    return Activation(target.words, target.layer, target.number, maps)
