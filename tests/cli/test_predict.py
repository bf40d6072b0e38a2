"""`attendet predict`, run as a user runs it."""

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


def test_everything_of_a_folder(predict: Callable[..., CommandResult], tmp_path: Path, weights: str) -> None:
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
    # Where JSON goes to standard output, words go elsewhere.
    assert f"2 images: {len(table)} detections" in err
    assert f"written to {Path('runs/predict/exp')}" in err


def test_the_next_run_has_its_own_folder(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    assert predict("photos/temple.png")[0] == 0
    code, out, _ = predict("photos/*.jpg")
    assert code == 0
    assert "1 image: " in out
    assert "ms per image: read " in out
    assert "written to runs/predict/exp2" in out
    assert predict("photos", "--exist-ok", "--project", "mine", "--name", "cells")[0] == 0
    assert predict("photos", "--exist-ok", "--project", "mine", "--name", "cells")[0] == 0
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["cells"]


def test_what_cannot_be_read_is_named_and_the_exit_code_says_so(
    predict: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "photos" / "broken.jpg").write_bytes((tmp_path / "photos" / "flower.jpg").read_bytes()[:3000])
    (tmp_path / "photos" / "empty.png").touch()
    code, out, err = predict("photos", "nowhere", "5")
    assert code == 1
    assert "2 images: " in out
    assert "could not be read or written, or not to the end: 4, named above" in out
    for said in ("photos/broken.jpg: ", "photos/empty.png: ", "nowhere: there is no such file", "camera 5: "):
        assert f"attendet: {said}" in err
    code, out, err = predict("photos/broken.jpg", "nowhere", "--json", "--name", "nothing")
    assert (code, out) == (2, "")
    assert "nothing could be used" in err
    assert not (tmp_path / "runs" / "predict" / "nothing").exists()


def test_nothing_is_written_that_was_not_asked_for(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
    code, out, _ = predict("photos", "--nosave")
    assert code == 0
    assert "written" not in out
    assert not (tmp_path / "runs").exists()


def test_a_video_comes_out_as_long_and_as_large(predict: Callable[..., CommandResult], tmp_path: Path) -> None:
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
    sure = seen("--conf-thres", "0.5")
    assert len(sure) == sum(entry["score"] > 0.5 for entry in everything)
    assert min(entry["score"] for entry in sure) >= 0.5
    assert seen("--imgsz", "64") != everything


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--half"], "half precision on cpu"),
        (["--save-conf"], "--save-conf without --save-txt; give both"),
        (["--classes", "dgo"], "there is no class 'dgo'"),
        (["--conf-thres", "25"], "confidence is 25"),
        (["--batch-size", "0"], "Invalid value"),
        (["--line-thickness", "0"], "give at least 1"),
        (["--project", "photos/temple.png"], "cannot be written"),
        (["--savetxt"], "No such option"),
    ],
)
def test_a_users_mistake_is_one_message_and_exit_code_2(
    predict: Callable[..., CommandResult], args: list[str], message: str
) -> None:
    code, _, err = predict("photos", *args)
    assert code == 2
    assert message in err
    assert "Traceback" not in err


def test_paths_from_standard_input_and_a_name_that_is_no_utf8(weights: str, tmp_path: Path) -> None:
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
    assert b"attendet: gone?.png: there is no such file" in done.stderr
    run = os.fsencode(tmp_path / "runs" / "predict" / "exp")
    assert sorted(os.listdir(run)) == [b"caf\xe9.png", b"first.png", b"predictions.csv"]  # noqa: PTH208 (bytes)
    assert b"\ncaf\xe9.png,," in Path(os.fsdecode(run), "predictions.csv").read_bytes()


def test_what_its_format_cannot_hold_is_named_and_the_exit_code_says_so(
    predict: Callable[..., CommandResult], tmp_path: Path
) -> None:
    # A name may lie about the format, and is that of the result all the same.
    Image.new("RGB", (16_384, 8)).save(tmp_path / "photos" / "broad.webp", "PNG")
    code, out, err = predict("photos", "--save-txt")
    assert code == 1
    assert "3 images: " in out
    assert "could not be read or written, or not to the end: 1, named above" in out
    assert "broad.webp: the format cannot hold 16384×8 pixels" in err
    run = tmp_path / "runs" / "predict" / "exp"
    assert {path.name for path in run.iterdir()} == {"temple.png", "flower.jpg", "labels"}
    assert len(list((run / "labels").iterdir())) == 3


def test_an_interruption_before_the_first_frame(
    predict: Callable[..., CommandResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(path: str) -> None:  # noqa: ARG001
        raise KeyboardInterrupt

    monkeypatch.setattr("attendet.prediction.input_frames.read_image", wait)
    code, out, _ = predict("photos")
    assert code == 130
    assert "0 images: 0 detections" in out
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("stride", [1, 3, 20])
def test_the_bar_of_a_video_ends_at_its_end(stride: int) -> None:
    watch = PredictionProgress(expected=1, stride=stride)
    source = MediaSource(MediaKind.VIDEO, "film.mp4")
    for number in range(1, 11, stride):
        moment = VideoTimestamp(number, number - 1, Fraction(25), 10)
        watch.advance(InputFrame(source, "film", np.zeros((1, 1, 3), np.uint8), moment))
    assert watch.progress.tasks[0].completed == pytest.approx(1)


def test_an_interrupted_run_keeps_what_it_has_done(weights: str, tmp_path: Path) -> None:
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
