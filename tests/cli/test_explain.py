"""`attendet explain` for images."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image

import attendet as package
from attendet.attention import create
from attendet.cli.ui.explanation_tally import ExplanationTally
from tests.helpers.calibrated_detector import photographs, write_weights
from tests.helpers.command import CommandResult


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with weights of a network with attention, and of one without."""
    folder = tmp_path_factory.mktemp("weights")
    for model in ("yolov5n_CBAM", "yolov5n"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            detector = package.build(model, num_classes=2)
        write_weights(folder / f"{model}.safetensors", detector, model=model, names=("cat", "dog"))
    return folder


@pytest.fixture
def place(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with weights, and with a folder of two photographs and one text file."""
    (tmp_path / "photos").mkdir()
    for name, pixels in zip(("b.jpg", "a.png"), photographs(), strict=True):
        Image.fromarray(pixels).resize((96, 64)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").touch()
    for file in weights.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def explain(attendet: Callable[..., CommandResult], place: Path) -> Callable[..., CommandResult]:  # noqa: ARG001
    """Run `attendet explain` with the weights that have attention."""
    return lambda *arguments: attendet("explain", "yolov5n_CBAM.safetensors", "--device", "cpu", *arguments)


def test_the_images_of_a_folder_are_explained_in_the_order_of_their_names(
    explain: Callable[..., CommandResult], place: Path
) -> None:
    done = explain("photos")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 images" in done.stdout
    assert "model.9" in done.stdout
    folder = place / "runs" / "explain" / "exp"
    assert sorted(path.name for path in folder.glob("*.png")) == ["001-a.png", "002-b.png"]
    assert (folder / "index.html").is_file()


def test_json_is_the_manifest_and_runs_are_numbered(explain: Callable[..., CommandResult], place: Path) -> None:
    for number, name in enumerate(("exp", "exp2"), start=1):
        done = explain("photos/*.jpg", "--json", "--conf-thres", "0.9")
        assert done.returncode == 0
        manifest = json.loads(done.stdout)
        assert manifest["folder"] == f"runs/explain/{name}"
        assert manifest["request"]["confidence"] == 0.9
        assert [Path(image["image"]).name for image in manifest["images"]] == ["b.jpg"]
        assert len(list((place / "runs" / "explain").iterdir())) == number


def test_images_that_cannot_be_read_are_named_and_skipped(explain: Callable[..., CommandResult], place: Path) -> None:
    (place / "broken.png").write_bytes(b"no image")
    done = explain("nowhere.jpg", "broken.png", "photos/a.png", "--out", "made")
    assert done.returncode == 1
    assert [line.split(":")[:2] for line in done.stderr.splitlines()] == [
        ["attendet", " nowhere.jpg"],
        ["attendet", " broken.png"],
    ]
    assert "1 image:" in done.stdout
    assert (place / "made" / "001-a.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "skipped", "message"),
    [
        (["nowhere.jpg"], ["nowhere.jpg"], "no image could be explained; name at least one image that can be read"),
        (["photos", "--class", "dogs"], [], "did you mean 'dog'"),
        (["photos", "--site", "model.7"], [], "did you mean 'model.9'"),
        (["photos", "--out", "photos"], [], "already exists"),
        (["photos", "--device", "abacus"], [], "abacus"),
        (["clip.mp4"], ["clip.mp4"], "no image could be explained; name at least one image that can be read"),
        (["0"], ["camera 0"], "no image could be explained; name at least one image that can be read"),
    ],
)
def test_mistakes_are_reported_and_nothing_is_written(
    explain: Callable[..., CommandResult], place: Path, arguments: list[str], skipped: list[str], message: str
) -> None:
    (place / "clip.mp4").touch()
    before = sorted(place.rglob("*"))
    done = explain(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    *named, error = done.stderr.splitlines()
    assert [line.split(": ")[1] for line in named] == skipped
    assert error.startswith("attendet: ")
    assert message in error
    written = [path for path in sorted(place.rglob("*")) if path not in before and path.is_file()]
    assert written == []


def test_sources_equal_the_sources_of_predict_except_videos_and_cameras(
    explain: Callable[..., CommandResult], place: Path
) -> None:
    (place / "list.txt").write_text("photos/b.jpg\n")
    (place / "clip.mp4").touch()
    done = explain("list.txt", "clip.mp4", "7")
    assert done.returncode == 1
    video, camera = done.stderr.splitlines()
    assert video.startswith("attendet: clip.mp4: attention cannot be explained in a video")
    assert camera.startswith("attendet: camera 7: attention cannot be explained in a camera")
    assert "1 image:" in done.stdout
    assert [path.name for path in (place / "runs/explain/exp").glob("*.png")] == ["001-b.png"]


def test_rotated_and_letterboxed_photographs_are_explained_as_they_are_displayed(
    explain: Callable[..., CommandResult], place: Path
) -> None:
    # The same photograph, 64 wide and 96 high, once stored upright and once rotated by a quarter turn.
    upright = Image.open(place / "photos" / "a.png").rotate(90, expand=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.save(place / "upright.png")
    upright.rotate(90, expand=True).save(place / "turned.png", exif=exif)
    options = ["--conf-thres", "0.001", "--iou-thres", "0.01", "--imgsz", "320"]
    done = explain("upright.png", "turned.png", "--json", *options)
    assert done.returncode == 0
    one, other = json.loads(done.stdout)["images"]
    for entry in (one, other):
        assert (entry["width"], entry["height"]) == (64, 96)
        # 96 pixels become 320, and 64 become 213 1/3. With 16 pixels of gray, the canvas has 352x256 pixels.
        left, top, right, bottom = entry["extent"]
        assert (right - left, bottom - top) == pytest.approx((256 * 96 / 320, 352 * 96 / 320), abs=0.5)
        assert (left + right, top + bottom) == pytest.approx((64, 96), abs=1)
        for found in entry["with_attention"]["detections"]:
            x1, y1, x2, y2 = found["xyxy"]
            assert 0 <= x1 < x2 <= 64
            assert 0 <= y1 < y2 <= 96
    assert one["with_attention"] == other["with_attention"]
    assert one["with_attention"]["detections"]
    folder = place / "runs/explain/exp"
    with np.load(folder / "001-upright.npz") as first, np.load(folder / "002-turned.npz") as second:
        assert first["model.9/spatial"].shape == (11, 8)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_weights_and_images_as_options(attendet: Callable[..., CommandResult], place: Path) -> None:
    weights = place / "yolov5n_CBAM.safetensors"
    for number, arguments in enumerate(
        (
            ("--weights", weights, "photos/b.jpg"),
            (weights, "--source", "photos/b.jpg"),
            ("photos/b.jpg", f"model={weights}"),
        )
    ):
        done = attendet("explain", *arguments, "--device", "cpu", "--out", f"out{number}")
        assert done.returncode == 0, done.stderr
        assert f"results: out{number}; open out{number}/index.html" in done.stdout
        assert (place / f"out{number}" / "001-b.png").is_file()


def test_a_network_without_attention(attendet: Callable[..., CommandResult], place: Path) -> None:
    done = attendet("explain", place / "yolov5n.safetensors", "photos", "--device", "cpu")
    assert done.returncode == 2
    assert done.stderr.startswith("attendet: the network (Detector) has no attention modules; ")
    assert done.stderr.count("\n") == 1


def test_the_table_lists_the_first_images_and_counts_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    (explanation,) = package.explain(create("se", 16, reduction=2), torch.rand(1, 16, 4, 4))
    tally = ExplanationTally()
    assert len(list(tally.collect([explanation] * 42))) == 42
    tally.print()
    lines = capsys.readouterr().out.splitlines()
    # Each image has one module, and one note because the network has neither detections nor classes.
    assert sum(" SqueezeExcite " in line for line in lines) == 40
    assert sum("neither detections nor class scores" in line for line in lines) == 40
    assert "and 2 more rows: the page lists all" in lines
    assert "and 2 more notes: the page lists all" in lines
    assert lines[-1].startswith("42 images")
