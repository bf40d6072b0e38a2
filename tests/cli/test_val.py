"""`attendet val`: its metrics equal the record of the run, and COCO's tool on the written files."""

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
from attendet.weights.io.model_card import ModelCard
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
    """Return the run's data: 8 training images and 5 validation images, each with a red and a blue rectangle."""
    return folder / "wide" / "data.yaml"


def test_the_metrics_of_a_run_equal_its_record(run: RunFolder, attendet: Callable[..., CommandResult]) -> None:
    code, out, _ = attendet("val", run.path, "--json", "--device", "cpu", "--batch-size", 4)
    assert code == 0
    measured = json.loads(out)
    recorded = json.loads(run.record.read_text())["metrics"]
    assert recorded["map50"] > 0.05
    assert {key: measured[key] for key in recorded} == recorded
    assert set(measured["milliseconds_per_image"]) == {"load", "network", "nms"}


def test_coco_scores_the_written_files_alike(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    code, out, _ = attendet("val", run.best, "--data", data, "--out", "results", "--device", "cpu", "--json")
    assert code == 0
    metrics = json.loads(out)
    assert json.loads((tmp_path / "results" / "metrics.json").read_text()) == metrics
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(tmp_path / "results" / "truth.json"))
        found = truth.loadRes(str(tmp_path / "results" / "detections.json"))
        scores = COCOeval_faster(truth, found, "bbox")
        scores.params.maxDets = [1, 10, 300]
        scores.evaluate()
        scores.accumulate()
    precision = scores.eval["precision"][:, :, :, 0, -1]
    assert metrics["map50"] == pytest.approx(precision[0].mean(), abs=1e-3)
    assert metrics["map50_95"] == pytest.approx(precision.mean(), abs=1e-3)


def test_detections_have_the_ids_of_the_coco_file(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    code, _, err = attendet("data", "convert", data, "--out", "converted", "--to", "coco")
    assert code == 0, err
    file = next((tmp_path / "converted").rglob("val.json"))
    content = json.loads(file.read_text())
    images = {entry["id"]: 900 - 7 * entry["id"] for entry in content["images"]}
    categories = {1: 44, 2: 18}
    for entry in content["images"]:
        entry["id"] = images[entry["id"]]
    for entry in content["categories"]:
        entry["id"] = categories[entry["id"]]
    for entry in content["annotations"]:
        entry |= {"image_id": images[entry["image_id"]], "category_id": categories[entry["category_id"]]}
    file.write_text(json.dumps(content))
    names = "names: [red, blue]\n"
    (tmp_path / "ids.yaml").write_text(f"path: converted\ntrain: {file}\nval: {file}\nformat: coco\n{names}")
    code, out, err = attendet("val", run.best, "--data", "ids.yaml", "--out", "results", "--device", "cpu", "--json")
    assert code == 0, err
    detections = json.loads((tmp_path / "results" / "detections.json").read_text())
    assert {each["image_id"] for each in detections} == set(images.values())
    assert {each["category_id"] for each in detections} == {18, 44}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(file))
        scores = COCOeval_faster(truth, truth.loadRes(detections), "bbox")
        scores.params.maxDets = [1, 10, 300]
        scores.evaluate()
        scores.accumulate()
    assert json.loads(out)["map50"] == pytest.approx(scores.eval["precision"][0, :, :, 0, -1].mean(), abs=1e-3)
    stated = json.loads((tmp_path / "results" / "truth.json").read_text())
    assert {each["id"]: each["name"] for each in stated["categories"]} == {44: "red", 18: "blue"}
    assert {each["image_id"] for each in stated["annotations"]} == set(images.values())


def test_weights_of_one_class_are_validated_with_one_class(
    data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    file, weights = tmp_path / "one.yaml", tmp_path / "one.safetensors"
    file.write_text(MODEL)
    save_weights(build(file, num_classes=1), weights, ModelCard("one", MODEL, "auto", ("object",), 64))
    code, out, err = attendet("val", weights, "--data", data, "--device", "cpu", "--json")
    assert code == 0, err
    assert [(each["name"], each["objects"]) for each in json.loads(out)["per_class"]] == [("object", 10)]


def test_mistakes_are_reported_in_one_line(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(f"path: {data.parent}\ntrain: train/images\nval: val/images\nnames: [red, green]\n")
    without_data = RunFolder(tmp_path / "without_data")
    without_data.best.parent.mkdir(parents=True)
    shutil.copy(run.best, without_data.best)
    record = json.loads(run.record.read_text())
    without_data.record.write_text(json.dumps({**record, "configuration": {}, "digest": ""}))
    for arguments, message in (
        ([], "no weights are given; name the folder of a run or a weights file"),
        ([run.best], "no data set is given, and a weights file does not name one; give --data data.yaml"),
        ([without_data.path], "without_data does not name its data set"),
        ([run.path, "--data", other], "other.yaml must be 'blue', as in the weights, got 'green'; name the classes"),
        ([tmp_path / "none"], "none: weights file not found"),
        ([run.path, run.best], "unexpected argument"),
        ([run.path, "--weights", run.best], "weights must be one file, got"),
        ([run.path, "--data", "nowhere.yaml"], "nowhere.yaml: data set not found"),
        ([run.path, "--half", "--device", "cpu"], "`half` needs a GPU"),
        ([run.path, "--out", run.path], "already exists"),
        ([run.path, "--out", "a", "--project", "b"], "--project cannot be combined with --out"),
        ([run.path, "--batch-size", "4", "8"], "`--batch-size` takes one value, got 4 8"),
        ([run.path, "--task", "speed"], "invalid value for '--split' / '--task': 'speed' is not one of"),
        ([run.path, "--save-txt"], "attendet val does not support --save-txt; --save-json writes all detections"),
        ([run.path, "--device", "tpu"], "`device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got 'tpu'"),
        ([run.path, "--split", "test"], "test"),
    ):
        code, out, err = attendet("val", *arguments)
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1


def test_the_table(run: RunFolder, attendet: Callable[..., CommandResult]) -> None:
    code, out, _ = attendet("val", run.path, "--device", "cpu")
    assert code == 0
    for word in ("red", "blue", "mAP50-95", "mAP75", "per image: load"):
        assert word in out


def test_weights_and_folders_as_yolov5_names_them(
    run: RunFolder, data: Path, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    common = ("--data", data, "--device", "cpu", "--json")
    expected = json.loads(attendet("val", run.best, *common).stdout)
    assert not (tmp_path / "runs").exists()
    for weights in (("--weights", run.best), (f"model={run.best}",)):
        measured = json.loads(attendet("val", *weights, *common, "--save-json").stdout)
        assert {**measured, "milliseconds_per_image": 0} == {**expected, "milliseconds_per_image": 0}
    assert attendet("val", run.best, *common, "--project", "mine", "--name", "a")[0] == 0
    folders = {"runs/val/exp", "runs/val/exp2", "mine/a"}
    assert {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("detections.json")} == folders
    _, out, _ = attendet("val", run.best, "--data", data, "--device", "cpu", "--out", "mine/a", "--exist-ok")
    assert out.splitlines()[-1] == "results: mine/a"


def test_thresholds_have_the_names_of_yolov5_and_short_ones(
    run: RunFolder, attendet: Callable[..., CommandResult]
) -> None:
    results = [
        json.loads(attendet("val", run.path, "--device", "cpu", "--json", *names).stdout)["map50"]
        for names in (
            ("--conf-thres", "0.3", "--iou-thres", "0.3", "--max-det", "1"),
            ("--conf", "0.3", "--iou", "0.3", "--max-detections", "1"),
            ("conf=0.3", "iou=0.3", "max_det=1"),
            (),
        )
    ]
    assert results[0] == results[1] == results[2] != results[3]
