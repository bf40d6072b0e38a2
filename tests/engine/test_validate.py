"""`attendet val`: what it measures is what the run recorded, and what others measure on what it writes."""

import contextlib
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from faster_coco_eval import COCO, COCOeval_faster

from attendet.cli import main as entry
from attendet.data.source import open_source, read_split
from attendet.data.usable import usable
from attendet.engine.run import RunFolder
from attendet.engine.train import train
from attendet.engine.validate import validate
from attendet.model import open_detector
from tests.engine.conftest import Listener, small, write_set


@pytest.fixture(scope="module")
def wide_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of 96x64 pixels, which 64 shrinks."""
    return write_set(tmp_path_factory.mktemp("wide"), train=8, val=5, size=(96, 64))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, wide_data: Path, model: Path) -> RunFolder:
    """A run that is long enough to find something, with its pictures."""
    still = {f"augment__{name}": 0 for name in ("mosaic", "scale", "translate", "hsv_h", "hsv_s", "hsv_v")}
    config = small(
        wide_data,
        model,
        tmp_path_factory.mktemp("runs"),
        schedule__epochs=40,
        optimizer__name="AdamW",
        optimizer__lr0=0.01,
        validation__every_epoch=False,
        **still,
    )
    return train(config, Listener())[0]


@pytest.fixture
def attendet(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    def call(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["attendet", *map(str, args)])
        code: object = 0
        try:
            entry.run()
        except SystemExit as stop:
            code = stop.code
        output = capsys.readouterr()
        return int(str(code or 0)), output.out, output.err

    return call


def test_a_run_s_folder_says_what_it_recorded(run: RunFolder, attendet: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = attendet("val", run.path, "--json", "--device", "cpu", "--batch-size", 4)
    assert code == 0
    measured = json.loads(out)
    recorded = json.loads(run.record.read_text())["metrics"]
    assert recorded["map50"] > 0.05
    assert {key: measured[key] for key in recorded} == recorded
    assert set(measured["milliseconds_per_image"]) == {"load", "network", "nms"}


def test_every_picture_is_there(run: RunFolder) -> None:
    names = {path.stem for path in (run.path / "pictures").iterdir()}
    assert {"results", "precision_recall", "f1", "confusion_matrix", "labels", "training_batch", "predictions"} == names


def test_nothing_depends_on_the_batch_size(run: RunFolder, wide_data: Path) -> None:
    detector, _ = open_detector(run.best)
    split = usable(read_split(open_source(str(wide_data)), "val"))
    one, many = (validate(detector, split, 64, batch_size=size) for size in (1, 5))
    assert [record.image for record in one.records] == [record.image for record in many.records]
    for first, second in zip(one.detections, many.detections, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-4, atol=1e-3)
    assert one.metrics.map50 == pytest.approx(many.metrics.map50, abs=1e-6)
    assert one.metrics.map50_95 == pytest.approx(many.metrics.map50_95, abs=1e-3)


def test_boxes_are_in_pixels_of_the_image(run: RunFolder, wide_data: Path) -> None:
    """The most confident box of each image lies on the paint of its class."""
    detector, _ = open_detector(run.best)
    split = usable(read_split(open_source(str(wide_data)), "train"))
    measured = validate(detector, split, 64)
    best = [found[found[:, 4].argmax()] for found in measured.detections]
    shares = []
    for record, (x1, y1, x2, y2, _, category) in zip(measured.records, (box.tolist() for box in best), strict=True):
        assert 0 <= x1 < x2 <= 96
        assert 0 <= y1 < y2 <= 64
        true = record.boxes[record.classes == category][0]
        both = np.minimum(true[2:], [x2, y2]) - np.maximum(true[:2], [x1, y1])
        inside = both.clip(0).prod()
        shares.append(inside / ((x2 - x1) * (y2 - y1) + (true[2:] - true[:2]).prod() - inside))
    assert np.mean(shares) > 0.4


def test_what_is_written_is_scored_alike_by_others(
    run: RunFolder, attendet: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, out, _ = attendet(
        "val", run.best, "--data", wide_data_of(run), "--out", tmp_path, "--device", "cpu", "--json"
    )
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


def wide_data_of(run: RunFolder) -> str:
    return json.loads(run.record.read_text())["configuration"]["data"]["path"]


def test_what_cannot_be_measured(
    run: RunFolder, attendet: Callable[..., tuple[int, str, str]], tmp_path: Path, wide_data: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(f"path: {wide_data.parent}\ntrain: train/images\nval: val/images\nnames: [red, green]\n")
    for arguments, message in (
        ([run.best], "weights alone do not say on what to measure; give --data data.yaml"),
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


def test_a_table_for_people(run: RunFolder, attendet: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = attendet("val", run.path, "--device", "cpu")
    assert code == 0
    for word in ("red", "blue", "mAP50-95", "mAP75", "per image: load"):
        assert word in out
