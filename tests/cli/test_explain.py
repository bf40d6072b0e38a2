"""`attendet explain` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from sklearn.datasets import load_sample_images
from typer.testing import CliRunner

import attendet
from attendet.cli.main import app
from attendet.errors import AttendetError, DataError, OptionError, OutputError, UnknownNameError
from attendet.graph.bundled import bundled_text
from attendet.model.card import Card


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of weights with attention, and without."""
    folder = tmp_path_factory.mktemp("weights")
    for model in ("yolov5n_CBAM", "yolov5n"):
        card = Card(model, bundled_text(model), "auto", ("cat", "dog"), 96)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            attendet.save_weights(attendet.build(model, classes=2), folder / f"{model}.safetensors", card)
    return folder


@pytest.fixture
def place(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights, and a folder of two photographs and a file that is none."""
    photographs = [np.array(image, np.uint8) for image in load_sample_images().images]
    (tmp_path / "photos").mkdir()
    for name, pixels in zip(("b.jpg", "a.png"), photographs, strict=True):
        Image.fromarray(pixels).resize((96, 64)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").touch()
    for file in weights.iterdir():
        (tmp_path / file.name).symlink_to(file)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def explain(*arguments: str) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(app, ["explain", "yolov5n_CBAM.safetensors", "--device", "cpu", *arguments])
    return done.exit_code, done.stdout, done.exception


def test_a_folder_is_explained_in_the_order_of_names(place: Path) -> None:
    code, out, _ = explain("photos")
    assert code == 0
    assert "2 images" in out
    assert "model.9" in out
    folder = place / "runs" / "explain" / "exp"
    assert sorted(path.name for path in folder.glob("*.png")) == ["001-a.png", "002-b.png"]
    assert (folder / "index.html").is_file()


def test_json_is_the_manifest_and_runs_have_numbers(place: Path) -> None:
    for number, name in enumerate(("exp", "exp2"), start=1):
        code, out, _ = explain("photos/*.jpg", "--json", "--conf-thres", "0.9")
        assert code == 0
        told = json.loads(out)
        assert told["folder"] == f"runs/explain/{name}"
        assert told["question"]["thresholds"]["confidence"] == 0.9
        assert [Path(image["image"]).name for image in told["images"]] == ["b.jpg"]
        assert len(list((place / "runs" / "explain").iterdir())) == number


def test_what_cannot_be_read_is_named_and_left_out(place: Path) -> None:
    code, out, _ = explain("nowhere.jpg", "photos/a.png", "--out", "made")
    assert code == 1
    assert "1 image" in out
    assert (place / "made" / "001-a.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["nowhere.jpg"], DataError, "no image to explain"),
        (["photos", "--class", "dogs"], UnknownNameError, "did you mean 'dog'"),
        (["photos", "--site", "model.7"], UnknownNameError, r"model\.9"),
        (["photos", "--out", "photos"], OutputError, "it exists"),
        (["photos", "--device", "abacus"], OptionError, "abacus"),
        (["clip.mp4"], DataError, "no image to explain"),
        (["0"], DataError, "no image to explain"),
    ],
)
def test_mistakes_are_told_and_leave_nothing(
    place: Path, arguments: list[str], kind: type[AttendetError], words: str
) -> None:
    before = sorted(place.rglob("*"))
    code, _, error = explain(*arguments)
    assert code == 1  # `run` makes it 2, without a traceback
    assert isinstance(error, kind)
    with pytest.raises(kind, match=words):
        raise error
    left = [path for path in sorted(place.rglob("*")) if path not in before and path.is_file()]
    assert left == []


def test_what_predict_reads_is_read_and_videos_and_cameras_are_left_out(place: Path) -> None:
    (place / "list.txt").write_text("photos/b.jpg\n")
    (place / "clip.mp4").touch()
    code, out, _ = explain("list.txt", "clip.mp4", "7")
    assert code == 1
    assert "1 image" in out
    assert [path.name for path in (place / "runs/explain/exp").glob("*.png")] == ["001-b.png"]


def test_turned_and_letterboxed_photographs_are_explained_as_they_are_shown(place: Path) -> None:
    # The same photograph, 64 wide and 96 high, once stored as shown and once lying on its side.
    upright = Image.open(place / "photos" / "a.png").rotate(90, expand=True)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    upright.save(place / "upright.png")
    upright.rotate(90, expand=True).save(place / "turned.png", exif=exif)
    options = ["--conf-thres", "0.001", "--iou-thres", "0.01", "--imgsz", "320"]
    code, out, _ = explain("upright.png", "turned.png", "--json", *options)
    assert code == 0
    one, other = json.loads(out)["images"]
    for told in (one, other):
        assert (told["width"], told["height"]) == (64, 96)
        # 96 pixels become 320, and 64 become 213 1/3 between padding, on a canvas of 224.
        left, top, right, bottom = told["extent"]
        assert (top, bottom) == (pytest.approx(0, abs=0.5), pytest.approx(96, abs=0.5))
        assert right - left == pytest.approx(224 * 96 / 320, abs=0.5)
        assert left + right == pytest.approx(64, abs=1)
        for found in told["with_attention"]["detections"]:
            x1, y1, x2, y2 = found["xyxy"]
            assert 0 <= x1 < x2 <= 64
            assert 0 <= y1 < y2 <= 96
    assert one["with_attention"] == other["with_attention"]
    assert one["with_attention"]["detections"]
    folder = place / "runs/explain/exp"
    with np.load(folder / "001-upright.npz") as first, np.load(folder / "002-turned.npz") as second:
        assert first["model.9/spatial"].shape == (10, 7)
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])


def test_a_network_without_attention_says_so(place: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(place / "yolov5n.safetensors"), "photos", "--device", "cpu"])
    assert isinstance(done.exception, OptionError)
    assert "there is no attention" in str(done.exception)
