"""A trained detector, its images, and its float32 ONNX file."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import attendet
from attendet.data.reading import data_source
from attendet.data.records import Split
from attendet.evaluation.validation import validate
from attendet.exporting.export_options import ExportOptions
from attendet.exporting.graph_source import GraphSource
from attendet.exporting.quantization import CalibrationImages
from attendet.exporting.subject import ExportSubject
from attendet.runtimes import FileDescription
from attendet.runtimes.network_description import describe_detector
from attendet.runtimes.runtime_files import open_file
from tests.helpers.small_training import write_set

WEIGHTS = Path(__file__).parents[1] / "weights" / "rectangles.safetensors"
IMGSZ = 64


@pytest.fixture(scope="session")
def splits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Split]:
    """Return the images that the detector was trained on, and others."""
    source = data_source.open(write_set(tmp_path_factory.mktemp("rectangles") / "set", train=96, val=48, size=(96, 64)))
    return {name: source.read(name) for name in ("train", "val")}


@pytest.fixture(scope="session")
def calibration(splits: dict[str, Split]) -> CalibrationImages:
    return CalibrationImages(splits["train"], IMGSZ, stride=32, count=32)


@pytest.fixture(scope="session")
def subject() -> ExportSubject:
    opened = attendet.open(WEIGHTS)
    return ExportSubject(opened.detector, describe_detector(opened.detector, opened.card), "rectangles")


@pytest.fixture(scope="session")
def onnx_file(subject: ExportSubject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    return GraphSource(subject, ExportOptions(), IMGSZ, torch.float32, tmp_path_factory.mktemp("float")).onnx_file


@pytest.fixture(scope="session")
def description(subject: ExportSubject) -> FileDescription:
    return subject.description


@pytest.fixture(scope="session")
def map_in_torch(subject: ExportSubject, splits: dict[str, Split]) -> float:
    assert isinstance(subject.network, attendet.Detector)
    return validate(subject.network, splits["val"], IMGSZ).metrics.map50_95


@pytest.fixture(scope="session")
def map_of(splits: dict[str, Split]) -> Callable[[Path], float]:
    """Return a function that measures the mAP50-95 of a file with its own runtime."""
    return lambda path: validate(open_file(path, "cpu"), splits["val"], IMGSZ).metrics.map50_95
