"""`attendet predict`."""

import csv
import json
import os
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from attendet import Predictor
from attendet.cli.ui.prediction_progress import PredictionProgress
from attendet.prediction.input_frames import InputFrame
from attendet.prediction.sources import MediaKind, MediaSource
from attendet.prediction.video import VideoTimestamp
from tests.helpers.calibrated_detector import calibrated_detector, photographs, write_weights
from tests.helpers.command import COMMAND, CommandResult, run_and_interrupt
from tests.helpers.videos import read_with_opencv, write_video


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = tmp_path_factory.mktemp("run")
    write_weights(run / "weights" / "best.safetensors", calibrated_detector())
    return str(run)


@pytest.fixture
def predict(weights: str, attendet: Callable[..., CommandResult], tmp_path: Path) -> Callable[..., CommandResult]:
    """Run `attendet predict WEIGHTS …` in a folder with photos/temple.png and photos/flower.jpg."""
    (tmp_path / "photos").mkdir()
    for name, image in zip(("temple.png", "flower.jpg"), photographs(), strict=True):
        Image.fromarray(image).save(tmp_path / "photos" / name)
    return lambda *arguments: attendet("predict", weights, *arguments, "--device", "cpu")


def test_all_outputs_of_a_folder(predict: Callable[..., CommandResult], tmp_path: Path, weights: str) -> None:
    code, out, err = predict(
        "photos", "--save-txt", "--save-conf", "--save-crop", "--save-csv", "--save-json", "--json", "--batch-size", "2"
    )
    assert code == 0
    run = tmp_path / "runs" / "predict" / "exp"
    written = {path.name for path in run.iterdir()}
    assert written == {"temple.png", "flower.jpg", "labels", "crops", "predictions.csv", "predictions.json"}
    printed = json.loads(out)
    assert printed == json.loads((run / "predictions.json").read_text())
    with (run / "predictions.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    lines = (run / "labels" / "temple.txt").read_text().splitlines()
    expected = Predictor(weights, device="cpu")(tmp_path / "photos" / "temple.png")
    assert len(lines) == len(expected) > 5
    assert [entry["file_name"] for entry in printed].count("photos/temple.png") == len(expected)
    assert len(table) == len(printed) == len(list((run / "crops").rglob("*.*")))
    boxes = [[float(row[side]) for side in ("x1", "y1", "x2", "y2")] for row in table if "temple" in row["image"]]
    np.testing.assert_allclose(boxes, expected.xyxy, atol=0.02)
    with Image.open(run / "temple.png") as drawn:
        assert drawn.size == (640, 427)
    # JSON has standard output for itself.
    assert f"2 images: {len(table)} detections" in err
    assert "results: runs/predict/exp\n" in err


def test_each_run_has_its_own_folder(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    assert predict("photos/temple.png")[0] == 0
    code, out, _ = predict("photos/*.jpg")
    assert code == 0
    assert "1 image: " in out
    assert "ms per image: read " in out
    assert "results: runs/predict/exp2\n" in out
    assert predict("photos", "--exist-ok", "--project", "mine", "--name", "cells")[0] == 0
    assert predict("photos", "--exist-ok", "--project", "mine", "--name", "cells")[0] == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["cells"]


def test_out_names_the_folder_exactly(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    assert predict("photos", "--out", "mine/cells")[0] == 0
    assert {path.name for path in (tmp_path / "mine" / "cells").iterdir()} == {"temple.png", "flower.jpg"}
    code, out, err = predict("photos", "--out", "mine/cells")
    assert (code, out, err) == (2, "", "attendet: mine/cells: already exists; choose another name\n")
    assert predict("photos", "--out", "mine/cells", "--exist-ok")[0] == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["cells"]


def test_weights_and_sources_are_arguments_or_options(
    weights: str, attendet: Callable[..., CommandResult], predict: Callable[..., CommandResult]
) -> None:
    options = ("--nosave", "--json", "--device", "cpu")
    expected = predict("photos", "--nosave", "--json").stdout
    assert len(json.loads(expected)) > 5
    for arguments in (
        ("--weights", weights, "--source", "photos"),
        ("--weights", weights, "photos"),
        ("photos", "--weights", weights),
        (weights, "--source", "photos"),
        (f"model={weights}", "source=photos"),
    ):
        assert attendet("predict", *arguments, *options).stdout == expected


def test_inputs_that_cannot_be_read_are_named_and_skipped(
    predict: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "photos" / "broken.jpg").write_bytes((tmp_path / "photos" / "flower.jpg").read_bytes()[:3000])
    (tmp_path / "photos" / "empty.png").touch()
    code, out, err = predict("photos", "nowhere", "5")
    assert code == 1
    assert "2 images: " in out
    assert "4 inputs or outputs skipped or incomplete, named above" in out
    for place in ("photos/broken.jpg: ", "photos/empty.png: ", "nowhere: ", "camera 5: "):
        assert f"attendet: {place}" in err
    code, out, err = predict("photos/broken.jpg", "nowhere", "--json", "--name", "nothing")
    assert (code, out) == (2, "")
    remedy = "name images, videos, folders, addresses of streams, or a camera's number"
    assert f"attendet: no input could be read; {remedy}\n" in err
    assert not (tmp_path / "runs" / "predict" / "nothing").exists()


def test_jpeg_files_without_an_end_marker_are_read_and_counted(
    predict: Callable[..., CommandResult], tmp_path: Path
) -> None:
    whole = (tmp_path / "photos" / "flower.jpg").read_bytes()
    (tmp_path / "photos" / "unfinished.jfif").write_bytes(whole[:-2])
    (tmp_path / "photos" / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    code, out, err = predict("photos", "--nosave")
    assert code == 1
    assert "3 images: " in out
    assert "1 JPEG file without an end marker, read nevertheless" in out
    assert "truncated.jpg: the image cannot be decoded: the file is truncated" in err
    assert "unfinished" not in err


def test_nosave_writes_nothing(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    code, out, _ = predict("photos", "--nosave")
    assert code == 0
    assert "results:" not in out
    assert not (tmp_path / "runs").exists()


def test_an_annotated_video_keeps_its_length_and_size(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    write_video(tmp_path / "walk.avi", codec="mpeg4")
    code, out, _ = predict("walk.avi", "photos/temple.png", "--save-csv", "--batch-size", "5", "--conf-thres", "0.3")
    assert code == 0
    assert "1 image, 12 frames of 1 video: " in out
    run = tmp_path / "runs" / "predict" / "exp"
    frames, rate = read_with_opencv(run / "walk.mp4")
    assert (len(frames), rate, frames[0].shape) == (12, 25, (96, 160, 3))
    with (run / "predictions.csv").open(newline="") as file:
        numbers = {row["frame"] for row in csv.DictReader(file) if row["image"] == "walk.avi"}
    assert numbers == {str(number) for number in range(1, 13)}
    assert predict("walk.avi", "--vid-stride", "4")[0] == 0
    frames, rate = read_with_opencv(run.with_name("exp2") / "walk.mp4")
    assert (len(frames), rate) == (3, 6.25)


def test_classes_and_thresholds(predict: Callable[..., CommandResult]) -> None:
    def seen(*args: str) -> list[dict]:
        code, out, _ = predict("photos/temple.png", "--nosave", "--json", *args)
        assert code == 0
        return json.loads(out)

    everything = seen()
    assert {entry["category_name"] for entry in everything} == {"cat", "white dog"}
    assert {entry["category_id"] for entry in seen("--classes", "white dog")} == {2}  # as in COCO, from 1
    assert seen("--classes", "1,cat", "--classes", "0", "--max-det", "3") == everything[:3]
    assert seen("--classes", "0", "1", "--max-detections", "3") == everything[:3]
    assert seen("--classes", "1") == seen("--classes", "white dog") != everything
    for flag in ("--conf-thres", "--conf"):
        sure = seen(flag, "0.5")
        assert len(sure) == sum(entry["score"] > 0.5 for entry in everything)
        assert min(entry["score"] for entry in sure) >= 0.5
    assert seen("--iou", "0.1") == seen("--iou-thres", "0.1") == seen("iou=0.1")
    assert seen("--imgsz", "64") == seen("--img", "64", "64") != everything


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--half"], "`half` needs a GPU, got the device 'cpu'; leave it out"),
        (["--save-conf"], "--save-conf has no effect without --save-txt; give both"),
        (["--classes", "dgo"], "unknown class 'dgo'"),
        (["--conf-thres", "25"], "invalid value for '--conf' / '--conf-thres'"),
        (["--batch-size", "0"], "invalid value for '--batch-size' / '--batch'"),
        (["--line-thickness", "0"], "invalid value for '--line-thickness'"),
        (["--batch-size", "4", "8"], "`--batch-size` takes one value, got 4 8"),
        (["--imgsz", "320", "640"], "`--imgsz` takes one value, got 320 640; give the longer side only"),
        (["--out", "a", "--name", "b"], "--name cannot be combined with --out"),
        (["--data", "nowhere.yaml"], "nowhere.yaml: data set not found"),
        (["--view-img"], "attendet predict does not support --view-img; no window is opened"),
        (["--project", "photos/temple.png"], "cannot be written"),
        (["--savetxt"], "attendet predict has no option --savetxt; did you mean --save-txt?"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_code_2(
    predict: Callable[..., CommandResult], args: list[str], message: str
) -> None:
    code, _, err = predict("photos", *args)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1


def test_data_checks_the_class_names(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    for names in ("[cat, white dog]", "[cat, dog]", "[cat]"):
        (tmp_path / "data.yaml").write_text(f"train: photos\nnames: {names}\n")
        done = predict("photos", "--data", "data.yaml", "--nosave")
        assert done.returncode == (0 if "white" in names else 2)
    assert done.stderr.startswith(
        "attendet: class 1 of data.yaml must be 'white dog', as in the weights, got 'missing'; "
    )


def test_paths_from_standard_input_and_a_name_that_is_not_utf8(weights: str, tmp_path: Path) -> None:
    for name in (b"first.png", b"caf\xe9.png"):
        Image.fromarray(photographs()[0][:96, :128]).save(tmp_path / os.fsdecode(name))
    done = subprocess.run(  # noqa: S603
        [COMMAND, "predict", weights, "-", "--save-csv", "--device", "cpu"],
        input=b"first.png\ncaf\xe9.png\ngone\xe9.png\n",
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1, done.stderr
    assert b"2 images: " in done.stdout
    assert b"attendet: gone?.png: " in done.stderr
    run = os.fsencode(tmp_path / "runs" / "predict" / "exp")
    assert sorted(os.listdir(run)) == [b"caf\xe9.png", b"first.png", b"predictions.csv"]  # noqa: PTH208 (bytes)
    assert b"\ncaf\xe9.png,," in Path(os.fsdecode(run), "predictions.csv").read_bytes()


def test_an_image_that_its_format_cannot_hold_is_named(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    # The name decides the format of the result, although it is wrong about the format of the input.
    Image.new("RGB", (16_384, 8)).save(tmp_path / "photos" / "broad.webp", "PNG")
    code, out, err = predict("photos", "--save-txt")
    assert code == 1
    assert "3 images: " in out
    assert "1 input or output skipped or incomplete, named above" in out
    assert "broad.webp: the file format cannot hold 16384x8 pixels" in err
    run = tmp_path / "runs" / "predict" / "exp"
    assert {path.name for path in run.iterdir()} == {"temple.png", "flower.jpg", "labels"}
    assert len(list((run / "labels").iterdir())) == 3


def test_an_interruption_before_the_first_frame(
    predict: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("attendet.prediction.input_frames.decode_image", wait)
    code, out, _ = predict("photos")
    assert code == 130
    assert "0 images: 0 detections" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("stride", [1, 3, 20])
def test_the_progress_of_a_video_reaches_its_last_frame(stride: int) -> None:
    progress = PredictionProgress(expected=1, stride=stride)
    source = MediaSource(MediaKind.VIDEO, "film.mp4")
    for number in range(1, 11, stride):
        moment = VideoTimestamp(number, number - 1, Fraction(25), 10)
        progress.advance(InputFrame(source, "film", np.zeros((1, 1, 3), np.uint8), moment))
    assert progress.bar.tasks[0].completed == pytest.approx(1)


def test_an_interrupted_run_keeps_its_results(weights: str, tmp_path: Path) -> None:
    write_video(tmp_path / "long.mp4", count=4)
    (tmp_path / "list.txt").write_text("long.mp4\n" * 2000)
    run = tmp_path / "runs" / "predict" / "exp"
    arguments = ("predict", weights, "list.txt", "--save-csv", "--device", "cpu")
    code, out, err = run_and_interrupt(arguments, tmp_path, when=(run / "long.mp4").exists)
    assert code == 130, err
    assert " frames of " in out
    names = sorted(path.name for path in run.iterdir())
    assert "predictions.csv" in names
    assert not [name for name in names if name.startswith(".")]
    for path in run.glob("*.mp4"):
        assert cv2.VideoCapture(str(path)).read()[0], f"{path.name} can be played"
    with (run / "predictions.csv").open(newline="") as file:
        assert all(None not in row.values() for row in csv.DictReader(file))
