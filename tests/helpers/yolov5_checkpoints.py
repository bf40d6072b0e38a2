"""A detector as the original YOLOv5 pickles it: the same tensors, in classes that are gone when it is read."""

from pathlib import Path
from typing import Any

import yaml
from torch import nn

from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector
from tests.helpers.foreign_checkpoints import DetectionModel, checkpoint, save


class Bare(nn.Module):
    """Holds what a module holds, and computes nothing."""


def bare(module: nn.Module) -> nn.Module:
    twin = Bare()
    for name, parameter in module.named_parameters(recurse=False):
        twin.register_parameter(name, nn.Parameter(parameter.detach().clone()))
    for name, buffer in module.named_buffers(recurse=False):
        twin.register_buffer(name, buffer.clone())
    for name, child in module.named_children():
        twin.add_module(name, bare(child))
    return twin


def yolov5_file(
    path: Path, detector: Detector, model: str, names: Any, *, half: bool = True, averaged: bool = True, **rest: Any
) -> Path:
    """Write a training checkpoint; with `averaged` the weights are those of `ema`, and those of `model` are zero."""
    pickled = DetectionModel()
    pickled.model = bare(detector).model
    pickled.yaml = {**yaml.safe_load(bundled_text(model)), "nc": detector.num_classes, "ch": 3}
    pickled.names, pickled.nc = names, detector.num_classes
    # Its optimizer takes a step, which is not for our tensors.
    content = {**checkpoint(bare(pickled)), "model": pickled}
    if averaged:
        content["ema"] = pickled
        content["model"] = bare(pickled)
        for parameter in content["model"].parameters():
            nn.init.zeros_(parameter)
    if half:
        pickled.half()
    return save({**content, **rest}, path)
