"""Checkpoints as the Ultralytics package saves them, with classes that cannot be imported when they are read."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
import yaml
from torch import nn

from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector

PACKAGE = "ultralytics"
# The classes of the package by the classes of attendet that have other names.
_NAMES = {"AnchorFreeDetect": "Detect"}
_HOMES = {"Conv": "conv", "DWConv": "conv", "Concat": "conv", "Detect": "head"}


class Settings(SimpleNamespace):
    """Settings of a training, pickled as `ultralytics.utils.IterableSimpleNamespace`."""


def class_path(module: nn.Module) -> str:
    """Return the path of the class under which the package would pickle a module."""
    name = _NAMES.get(type(module).__name__, type(module).__name__)
    return f"{PACKAGE}.nn.modules.{_HOMES.get(name, 'block')}.{name}"


@cache
def _kind(path: str) -> type[nn.Module]:
    home, _, name = path.rpartition(".")
    return type(name, (nn.Module,), {"__module__": home, "__qualname__": name})


def pickled(path: str) -> nn.Module:
    """Return an empty module of a class that can be imported only while it is pickled."""
    return _kind(path)()


def copied(module: nn.Module) -> nn.Module:
    """Return a module with the tensors and children of a module of attendet, of a class of the package or of torch."""
    of_torch = type(module).__module__.startswith("torch.")
    copy = deepcopy(module) if of_torch else pickled(class_path(module))
    if not of_torch:
        for name, parameter in module.named_parameters(recurse=False):
            copy.register_parameter(name, nn.Parameter(parameter.detach().clone(), parameter.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            copy.register_buffer(name, buffer.clone())
    for name, child in module.named_children():
        setattr(copy, name, copied(child))
    return copy


def network(
    detector: Detector, model: str, names: Any, *, task: str = "DetectionModel", **model_file: Any
) -> nn.Module:
    """Return the model of a checkpoint.

    Args:
        detector: The detector with its weights.
        model: Bundled name of its model file; the size is the letter after the number.
        names: The class names.
        task: Class of the model.
        model_file: Entries of the model file that replace its own.
    """
    module = pickled(f"{PACKAGE}.nn.tasks.{task}")
    module.add_module("model", nn.Sequential(*(copied(row) for row in detector.model)))
    file = yaml.safe_load(bundled_text(model))
    size = next(iter(file["scales"]))
    added = {"nc": detector.num_classes, "ch": 3, "scale": size, "yaml_file": f"{model}.yaml"}
    attributes = {
        "yaml": {**file, **added, **model_file},
        "names": names,
        "nc": detector.num_classes,
        "task": "detect",
        "inplace": True,
        "stride": torch.tensor(detector.strides),
        "args": Settings(imgsz=320, lr0=0.01),
    }
    for key, value in attributes.items():
        setattr(module, key, value)
    return module


def checkpoint(model: nn.Module, *, averaged: bool = True, half: bool = True, imgsz: int = 320) -> dict[str, Any]:
    """Return a training checkpoint; if `averaged`, `ema` holds the weights, and `model` is empty."""
    model = model.half() if half else model
    return {
        "epoch": -1,
        "best_fitness": None,
        "model": None if averaged else model,
        "ema": model if averaged else None,
        "updates": 120,
        "optimizer": None,
        "train_args": {"task": "detect", "imgsz": imgsz, "data": "coco.yaml", "save_dir": Path("runs/exp")},
        "train_metrics": {"metrics/mAP50(B)": 0.5},
        "date": "2024-05-01T12:00:00",
        "version": "8.2.0",
    }


def save(content: Any, path: Path) -> Path:
    """Write a file with torch.save, with the classes of the package importable only for so long."""
    with _importable(content), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(content, path)
    return path


def anchor_free_file(path: Path, detector: Detector, model: str, names: Any, **options: Any) -> Path:
    """Write a checkpoint of a detector."""
    return save(checkpoint(network(detector, model, names), **options), path)


@contextmanager
def _importable(content: Any) -> Iterator[None]:
    modules: dict[str, ModuleType] = {}
    kinds = {type(module) for value in content.values() if isinstance(value, nn.Module) for module in value.modules()}
    own = Settings.__module__, Settings.__qualname__
    Settings.__module__, Settings.__qualname__ = f"{PACKAGE}.utils", "IterableSimpleNamespace"
    try:
        for kind in (*kinds, Settings):
            if kind.__module__.startswith(f"{PACKAGE}."):
                parts = kind.__module__.split(".")
                for end in range(1, len(parts) + 1):
                    name = ".".join(parts[:end])
                    modules.setdefault(name, ModuleType(name))
                setattr(modules[kind.__module__], kind.__qualname__, kind)
        sys.modules.update(modules)
        yield
    finally:
        Settings.__module__, Settings.__qualname__ = own
        for name in modules:
            del sys.modules[name]
