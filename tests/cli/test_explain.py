"""`attendet explain` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images
from typer.testing import CliRunner

import attendet
from attendet.cli.main import app
from attendet.errors import AttendetError, DataError, OptionError, OutputError, UnknownNameError
from attendet.graph.bundled import bundled_text
from attendet.model.card import Card


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with weights, and a folder of two photographs and a file that is none."""
    photographs = [np.array(image, np.uint8) for image in load_sample_images().images]
    (tmp_path / "photos").mkdir()
    for name, pixels in zip(("b.jpg", "a.png"), photographs, strict=True):
        Image.fromarray(pixels).resize((96, 64)).save(tmp_path / "photos" / name)
    (tmp_path / "photos" / "notes.md").touch()
    for model in ("yolov5n_CBAM", "yolov5n"):
        card = Card(model, bundled_text(model), "auto", ("cat", "dog"), 96)
        attendet.save_weights(attendet.build(model, classes=2), tmp_path / f"{model}.safetensors", card)
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


def test_a_network_without_attention_says_so(place: Path) -> None:
    done = CliRunner().invoke(app, ["explain", str(place / "yolov5n.safetensors"), "photos", "--device", "cpu"])
    assert isinstance(done.exception, OptionError)
    assert "there is no attention" in str(done.exception)
