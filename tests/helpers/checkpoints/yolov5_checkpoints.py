"""Checkpoints as the original YOLOv5 saves them, pickled with classes that cannot be imported when they are read."""

import argparse
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector

MODEL_FILE = {
    "nc": 2,
    "depth_multiple": 0.33,
    "anchors": [[10, 13, 16, 30], [30, 61, 62, 45]],
    "backbone": [[-1, 1, "Conv", [8, 3, 2]], [-1, 1, "C3", [8, False]]],
    "head": [[[-1, 0], 1, "Concat", [1]], [-1, 1, "Detect", ["nc", "anchors"]]],
}


class Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.act = nn.SiLU()


class Detect(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.m = nn.ModuleList([nn.Conv2d(8, 21, 1), nn.Conv2d(8, 21, 1)])
        self.register_buffer("anchors", torch.arange(12.0).reshape(2, 3, 2))
        self.register_buffer("stale", torch.ones(3), persistent=False)
        # Expanded, as after validation: larger than their storage.
        self.grid = [torch.zeros(1, 1, 1, 1, 2).expand(1, 3, 80, 80, 2)]
        self.stride = torch.tensor([8.0, 16.0])


class DetectionModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.model: nn.Module = nn.Sequential(Conv(3, 8), Conv(8, 8), Detect())
        self.yaml = deepcopy(MODEL_FILE)
        self.names: Any = ["red cell", "梨"]
        self.nc = 2
        self.hyp = {"lr0": 0.01, "fl_gamma": 0.0}
        self.stride = torch.tensor([8.0, 16.0])


@contextmanager
def packages() -> Iterator[None]:
    """Make the classes members of `models.common` and `models.yolo` while they are pickled."""
    common, yolo = ModuleType("models.common"), ModuleType("models.yolo")
    homes = {Conv: common, Detect: yolo, DetectionModel: yolo}
    modules = {"models": ModuleType("models"), "models.common": common, "models.yolo": yolo}
    own = {kind: kind.__module__ for kind in homes}
    sys.modules.update(modules)
    try:
        for kind, home in homes.items():
            setattr(home, kind.__name__, kind)
            kind.__module__ = home.__name__
        yield
    finally:
        for kind, module in own.items():
            kind.__module__ = module
        for name in modules:
            del sys.modules[name]


def yolov5(seed: int = 0) -> DetectionModel:
    torch.manual_seed(seed)
    model = DetectionModel()
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.randn_like(tensor))
    return model


def checkpoint(model: nn.Module, ema: nn.Module | None = None) -> dict[str, Any]:
    """Return a training checkpoint with optimizer state, options, and metadata."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return {
        "epoch": 7,
        "best_fitness": np.array([0.625]),
        "model": model,
        "ema": ema,
        "updates": 120,
        "optimizer": optimizer.state_dict(),
        "opt": {"weights": Path("/runs/yolov5n.pt"), "imgsz": 640, "cache": None, "save_dir": Path("runs/exp")},
        "git": {"remote": None, "branch": "master"},
        "date": "2023-05-01T12:00:00",
    }


def save(content: Any, path: Path, *, zipped: bool = True) -> Path:
    with packages(), warnings.catch_warnings():
        # The legacy format asks for the source code of every class and warns where it finds none.
        warnings.simplefilter("ignore")
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def same(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Return whether keys, their order, dtypes, strides and bits are the same."""
    return list(tensors) == list(expected) and all(
        tensors[key].dtype == value.dtype
        and tensors[key].stride() == value.stride()
        and tensors[key].shape == value.shape
        and torch.equal(tensors[key], value)
        and not tensors[key].requires_grad
        for key, value in expected.items()
    )


def namespace(**options: Any) -> argparse.Namespace:
    return argparse.Namespace(**options)


class Bare(nn.Module):
    """Holds the tensors and children of a module, without its code."""


def bare(module: nn.Module) -> nn.Module:
    bare_module = Bare()
    for name, parameter in module.named_parameters(recurse=False):
        bare_module.register_parameter(name, nn.Parameter(parameter.detach().clone()))
    for name, buffer in module.named_buffers(recurse=False):
        bare_module.register_buffer(name, buffer.clone())
    for name, child in module.named_children():
        bare_module.add_module(name, bare(child))
    return bare_module


def yolov5_file(
    path: Path, detector: Detector, model: str, names: Any, *, half: bool = True, averaged: bool = True, **rest: Any
) -> Path:
    """Write a training checkpoint; if `averaged`, `ema` holds the weights, and the weights of `model` are zero."""
    pickled = DetectionModel()
    pickled.model = bare(detector.model)
    pickled.yaml = {**yaml.safe_load(bundled_text(model)), "nc": detector.num_classes, "ch": 3}
    pickled.names, pickled.nc = names, detector.num_classes
    # `checkpoint` takes an optimizer step, which must not change the weights of `pickled`.
    content = {**checkpoint(bare(pickled)), "model": pickled}
    if averaged:
        content["ema"] = pickled
        content["model"] = bare(pickled)
        for parameter in content["model"].parameters():
            nn.init.zeros_(parameter)
    if half:
        pickled.half()
    return save({**content, **rest}, path)
