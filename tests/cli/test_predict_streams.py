"""`attendet predict` on several streams at the same time."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

import attendet as package
from attendet.errors import AttendetWarning, DataError, OptionError
from attendet.prediction.session import FrameDetections
from tests.helpers.calibrated_detector import calibrated_detector, write_weights
from tests.helpers.command import CommandResult, run_and_interrupt
from tests.helpers.videos import write_video
from tests.prediction.stream_servers import HttpRequest, free_port, http_server


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    run = tmp_path_factory.mktemp("run")
    write_weights(run / "weights" / "best.safetensors", calibrated_detector())
    return str(run)


def camera(request: HttpRequest) -> None:
    request.send_jpegs(itertools.cycle(range(256)), pause=lambda: time.sleep(0.02))


def test_two_cameras_are_watched_until_an_interruption(weights: str, tmp_path: Path) -> None:
    with http_server({"/east": camera, "/west": camera}) as server:
        (tmp_path / "streams.txt").write_text(
            f"http://admin:geheim@{server.place}/east\nhttp://admin:geheim@{server.place}/west?key=geheim # the gate\n"
            f"rtsp://admin:geheim@127.0.0.1:{free_port()}/gone\n"
        )
        run = tmp_path / "runs" / "predict" / "exp"
        arguments = (
            "predict",
            weights,
            "streams.txt",
            "--save-csv",
            "--save-json",
            "--conf",
            "0.001",
            "--device",
            "cpu",
        )

        def both_began() -> bool:
            return len(list(run.rglob("*.mp4"))) == 2

        code, out, err = run_and_interrupt(arguments, tmp_path, when=both_began)
    assert code == 130, err
    assert " of 2 videos: " in out
    assert "/gone: the stream cannot be opened: Connection refused" in err
    videos = sorted(run.glob("*.mp4"))
    host = server.place.replace(":", "_")
    assert [path.name for path in videos] == [f"{host}_east.mp4", f"{host}_west.mp4"]
    assert all(cv2.VideoCapture(str(path)).read()[0] for path in videos), "they can be played"
    written = out + err + "".join(path.read_text() for path in (run / "predictions.csv", run / "predictions.json"))
    assert "geheim" not in written
    assert "admin" not in written
    assert f"http://{server.place}/west?key=…" in written


def test_numbers_after_classes_are_not_cameras(
    weights: str, attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    write_video(tmp_path / "a.mp4", count=2)
    done = attendet("predict", weights, "--classes", "0", "1", "--nosave", "--device", "cpu", "a.mp4")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 frames of 1 video" in done.stdout
    done = attendet("predict", weights, "a.mp4", "--nosave", "--classes", "0", "1", "--device", "cpu")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_source_in_python_yields_frames_with_detections(weights: str, tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", count=3)
    predictor = package.Predictor(weights, device="cpu", confidence=0.3)
    with http_server({"/b.mp4": lambda request: request.send((tmp_path / "a.mp4").read_bytes())}) as server:
        sources = [str(tmp_path / "a.mp4"), f"http://{server.place}/b.mp4"]
        found = list(package.predict(predictor, source=sources))
    assert all(isinstance(each, FrameDetections) for each in found)
    assert [(each.frame.stem, each.frame.number) for each in found] == [(n, k) for n in "ab" for k in (1, 2, 3)]
    for (frame, detections), (_, others) in zip(found[:3], found[3:], strict=True):
        assert len(detections) == len(predictor(frame.image)) == len(others)


def test_sources_in_python_that_cannot_be_read_are_warnings_and_then_an_error(weights: str) -> None:
    address = f"http://me:geheim@127.0.0.1:{free_port()}/x"
    with (
        pytest.warns(
            AttendetWarning, match="opened: Connection refused|nowhere.jpg: file or folder not found"
        ) as warned,
        pytest.raises(DataError, match="no source could be read"),
    ):
        list(package.predict(weights, source=[address, "nowhere.jpg"]))
    assert len(warned) == 2
    assert not [each for each in warned if "geheim" in str(each.message)]
    with pytest.raises(OptionError, match="exactly one of `images` and `source`"):
        package.predict(weights)  # pyright: ignore[reportCallIssue]
    with pytest.raises(OptionError, match="`images` must be files, got the address of a stream; give it as source"):
        package.predict(weights, address)
