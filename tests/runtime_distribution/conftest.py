"""The exported detector of these tests, and its weights; written once for all workers."""

import fcntl
from pathlib import Path

import pytest

from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import calibrated_detector, write_weights
from tests.runtime_distribution.exported_files import IMGSZ, export_detector

RUNTIME = Path(__file__).parents[2] / "runtime"


@pytest.fixture(scope="session")
def detector() -> Detector:
    return calibrated_detector()


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Return a folder of all workers."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "runtime-distribution"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def weights(shared_folder: Path, detector: Detector) -> Path:
    """Return the weights file of the detector, from which attendet predicts."""
    path = shared_folder / "weights.safetensors"
    with (shared_folder / "weights.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return path if path.exists() else write_weights(path, detector, IMGSZ)


@pytest.fixture(scope="session")
def onnx_file(shared_folder: Path, detector: Detector) -> Path:
    """Return the detector as an ONNX file."""
    pytest.importorskip("onnxscript")
    path = shared_folder / "detector.onnx"
    with (shared_folder / "onnx.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return path if path.exists() else export_detector(detector, path)
