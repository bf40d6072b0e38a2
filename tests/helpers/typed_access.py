"""Typed access to submodules and tensors: to a type checker, an attribute of a module is `Tensor | Module`."""

from typing import TypeVar

from torch import Tensor, nn

from attendet.blocks import Detect
from attendet.models.detector import Detector
from attendet.prediction.predictor import Predictor
from attendet.runtimes.torch_runtime import TorchRuntime

Value = TypeVar("Value")
Kind = TypeVar("Kind", bound=nn.Module)


def not_none(value: Value | None) -> Value:
    """Return a value after checking that it is not None."""
    assert value is not None
    return value


def submodule(model: nn.Module, path: str, kind: type[Kind]) -> Kind:
    """Return the module at a path after checking its class."""
    found = model.get_submodule(path)
    assert isinstance(found, kind)
    return found


def tensor(model: nn.Module, path: str) -> Tensor:
    """Return the parameter or buffer at a path."""
    owner, _, name = path.rpartition(".")
    found = getattr(model.get_submodule(owner), name)
    assert isinstance(found, Tensor)
    return found


def gradient(of: Tensor) -> Tensor:
    """Return the gradient of a tensor after checking that there is one."""
    return not_none(of.grad)


def head_convolutions(detector: Detector) -> list[nn.Conv2d]:
    """Return the convolution of each level of a detector's head."""
    assert isinstance(detector.head, Detect)
    return [submodule(detector.head.m, name, nn.Conv2d) for name, _ in detector.head.m.named_children()]


def detector_of(predictor: Predictor) -> Detector:
    """Return the detector that torch runs for a predictor."""
    assert isinstance(predictor.runtime, TorchRuntime)
    return predictor.runtime._detector


def anchors_of(detector: Detector) -> Tensor:
    """Return the anchors of a detector in pixels, (levels, anchors, 2)."""
    assert isinstance(detector.head, Detect)
    return detector.head.anchors_in_pixels()
