"""`attendet val`: what it measures is what the run recorded, and what others measure on what it writes."""

import contextlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from faster_coco_eval import COCO, COCOeval_faster

from attendet import build, save_weights
from attendet.training.run_folder import RunFolder
from attendet.weights.io.card import Card
from tests.helpers.command import CommandResult
from tests.helpers.small_training import MODEL, train_to_find


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("val")


@pytest.fixture(scope="module")
def run(folder: Path) -> RunFolder:
    return train_to_find(folder)


@pytest.fixture(scope="module")
def data(folder: Path, run: RunFolder) -> Path:  # noqa: ARG001
    """The run's data: 8 images to train on, 5 to measure on, each with a red and a blue rectangle."""
    return folder / "wide" / "data.yaml"


def test_a_run_s_folder_says_what_it_recorded(run: RunFolder, attendet: Callable[..., CommandResult]) -> None:
    code, out, _ = attendet("val", run.path, "--json", "--device", "cpu", "--batch-size", 4)
    assert code == 0
    measured = json.loads(out)
    recorded = json.loads(run.record.read_text())["metrics"]
    assert recorded["map50"] > 0.05
    assert {key: measured[key] for key in recorded} == recorded
    assert set(measured["milliseconds_per_image"]) == {"load", "network", "nms"}


def test_what_is_written_is_scored_alike_by_others(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    code, out, _ = attendet("val", run.best, "--data", data, "--out", tmp_path, "--device", "cpu", "--json")
    assert code == 0
    metrics = json.loads(out)
    assert json.loads((tmp_path / "metrics.json").read_text()) == metrics
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "truth.json"))
        found = truth.loadRes(str(tmp_path / "detections.json"))
        scores = COCOeval_faster(truth, found, "bbox")
        scores.params.maxDets = [1, 10, 300]
        scores.evaluate()
        scores.accumulate()
    precision = scores.eval["precision"][:, :, :, 0, -1]
    assert metrics["map50"] == pytest.approx(precision[0].mean(), abs=1e-3)
    assert metrics["map50_95"] == pytest.approx(precision.mean(), abs=1e-3)


def test_weights_of_one_class_are_measured_so(
    data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    file, weights = tmp_path / "one.yaml", tmp_path / "one.safetensors"
    file.write_text(MODEL)
    save_weights(build(file, num_classes=1), weights, Card("one", MODEL, "auto", ("object",), 64))
    code, out, err = attendet("val", weights, "--data", data, "--device", "cpu", "--json")
    assert code == 0, err
    assert [(each["name"], each["objects"]) for each in json.loads(out)["per_class"]] == [("object", 10)]


def test_what_cannot_be_measured(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(f"path: {data.parent}\ntrain: train/images\nval: val/images\nnames: [red, green]\n")
    forgetful = RunFolder(tmp_path / "forgetful")
    forgetful.best.parent.mkdir(parents=True)
    shutil.copy(run.best, forgetful.best)
    record = json.loads(run.record.read_text())
    forgetful.record.write_text(json.dumps({**record, "configuration": {}}))
    for arguments, message in (
        ([run.best], "weights alone do not say on what to measure; give --data data.yaml"),
        ([forgetful.path], "the run does not say on what to measure; give --data data.yaml"),
        ([run.path, "--data", other], "class 1 of the weights is blue, and of"),
        ([tmp_path / "none"], "there is no such file"),
        ([run.path, "--half", "--device", "cpu"], "--half needs CUDA"),
        ([run.path, "--device", "tpu"], "there is no device 'tpu'"),
        ([run.path, "--split", "test"], "test"),
    ):
        code, out, err = attendet("val", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert "Traceback" not in err


def test_a_table_for_people(run: RunFolder, attendet: Callable[..., CommandResult]) -> None:
    code, out, _ = attendet("val", run.path, "--device", "cpu")
    assert code == 0
    for word in ("red", "blue", "mAP50-95", "mAP75", "per image: load"):
        assert word in out
