"""Files of other families of detectors are recognized, and the error names a use that works."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import nn

import attendet
from attendet.errors import WeightsError
from attendet.training.config import TrainConfig
from attendet.training.config_sections import DataConfig, ModelConfig
from attendet.training.training_model import build_training_model
from attendet.weights import read_checkpoint
from attendet.weights.io.other_families import other_family

# The beginning of a YOLOv8 model file, with the keys that YOLOv5's lack.
MODEL_FILE = {
    "nc": 2,
    "scales": {"n": [0.33, 0.25, 1024]},
    "scale": "n",
    "yaml_file": "yolov8n.yaml",
    "backbone": [[-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C2f", [128, True]]],
    "head": [[[2], 1, "Detect", ["nc"]]],
}
MESSAGE = r"the file has a model of the Ultralytics package \(YOLOv8, YOLO11, or a relative\), which attendet does not"
REMEDY = "attendet train --cfg MODEL --weights FILE"


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, bias=False)
        self.bn = nn.BatchNorm2d(outputs)


class Distribution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(16, 1, 1, bias=False)


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cv2 = nn.ModuleList([nn.Conv2d(32, 64, 1)])
        self.cv3 = nn.ModuleList([nn.Conv2d(32, 2, 1)])
        self.dfl = Distribution()


class DetectionModel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        # Six of the seven convolutions with stride 2 are in yolov5n, too.
        widths = [(3, 16), (16, 32), (32, 64), (64, 128), (128, 256), (64, 64), (128, 128)]
        self.model = nn.Sequential(*(Block(inputs, outputs, 3) for inputs, outputs in widths), Head())
        self.yaml = MODEL_FILE
        self.names = {0: "cat", 1: "dog"}
        self.task = "detect"


@pytest.fixture
def model() -> Iterator[DetectionModel]:
    """Return a model that is pickled as a class of the Ultralytics package."""
    home = ModuleType("ultralytics.nn.tasks")
    own = DetectionModel.__module__
    DetectionModel.__module__ = home.__name__
    vars(home)["DetectionModel"] = DetectionModel
    packages = {name: ModuleType(name) for name in ("ultralytics", "ultralytics.nn")} | {home.__name__: home}
    sys.modules.update(packages)
    yield DetectionModel()
    DetectionModel.__module__ = own
    for name in packages:
        del sys.modules[name]


def files(model: DetectionModel, folder: Path) -> dict[str, Path]:
    """Write a training checkpoint, a state dict without a model file, and return their paths."""
    paths = {"checkpoint": folder / "yolov8n.pt", "state dict": folder / "weights.pth"}
    torch.save({"epoch": 99, "model": model.half(), "train_args": {"imgsz": 640}}, paths["checkpoint"])
    torch.save(model.state_dict(), paths["state dict"])
    return paths


@pytest.mark.parametrize("kind", ["checkpoint", "state dict"])
def test_the_error_names_the_family(model: DetectionModel, tmp_path: Path, kind: str) -> None:
    path = files(model, tmp_path)[kind]
    with pytest.raises(WeightsError, match=MESSAGE) as caught:
        attendet.open(path)
    assert caught.value.remedy is not None
    assert REMEDY in caught.value.remedy
    config = TrainConfig(data=DataConfig(path="data.yaml"), model=ModelConfig(weights=str(path)))
    with pytest.raises(WeightsError, match=MESSAGE):
        build_training_model(config, ("cat", "dog"))


def test_the_remedy_works(model: DetectionModel, tmp_path: Path) -> None:
    path = files(model, tmp_path)["checkpoint"]
    weight = torch.full_like(model.model[4].get_parameter("conv.weight"), 0.5)
    model.model[4].get_parameter("conv.weight").data.copy_(weight)
    torch.save({"model": model}, path)
    detector = attendet.build("yolov5n", num_classes=2)
    report = attendet.load_weights(detector, path)
    rows = {key.split(".")[1] for key in report.kept if key.endswith("conv.weight")}
    assert rows == {"1", "3", "5", "7", "18", "21"}
    assert torch.equal(detector.state_dict()["model.7.conv.weight"], weight.float())


def test_yolov5_is_not_another_family(tmp_path: Path) -> None:
    torch.save(attendet.build("yolov5n", num_classes=2).state_dict(), tmp_path / "a.pt")
    assert other_family(read_checkpoint(tmp_path / "a.pt")) is None


def test_the_weights_of_another_network(tmp_path: Path) -> None:
    torch.save(nn.Linear(2, 3).state_dict(), tmp_path / "a.pt")
    with pytest.raises(WeightsError, match=r"load the weights into their network in Python: attendet\.load_weights"):
        attendet.open(tmp_path / "a.pt")
