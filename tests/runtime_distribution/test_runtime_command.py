"""The command `attendet-runtime`: its files, its output, and its exit codes."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet_runtime.command import main
from attendet_runtime.detector import Detector
from attendet_runtime.drawing import draw_detections
from tests.helpers.calibrated_detector import photographs
from tests.runtime_distribution.exported_files import baked_description, small_description, write_constant_graph
from tests.runtime_distribution.test_detecting import BAKED
from tests.runtime_distribution.test_maps import MAP, file_with_maps, site_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with two photographs, a file, and one with maps."""
    monkeypatch.chdir(tmp_path)
    for name, photograph in zip(["temple.png", "flower.png"], photographs(), strict=True):
        Image.fromarray(photograph).save(name)
    Path("other").mkdir()
    Image.fromarray(photographs()[0]).save("other/temple.png")
    write_constant_graph(Path("best.onnx"), {"detections": BAKED}, baked_description())
    file_with_maps(Path("maps.onnx"))
    return tmp_path


def test_annotated_images_are_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["best.onnx", "temple.png", "flower.png", "other/temple.png"]) == 0
    out, err = capsys.readouterr()
    assert out == "3 images: 6 detections\n  white dog: 3\n  cat: 3\nresults: runs/attendet-runtime/exp\n"
    assert err == ""
    run = folder / "runs" / "attendet-runtime" / "exp"
    assert sorted(path.name for path in run.iterdir()) == ["flower.png", "temple.png", "temple_2.png"]
    detector = Detector("best.onnx")
    expected = draw_detections(photographs()[1], detector(photographs()[1]), detector.names)
    np.testing.assert_array_equal(np.array(Image.open(run / "flower.png")), expected)


def test_nothing_is_overwritten(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("", "2", "3"):
        assert main(["best.onnx", "temple.png"]) == 0
        assert f"results: runs/attendet-runtime/exp{number}\n" in capsys.readouterr().out
    assert main(["best.onnx", "temple.png", "--out", "found"]) == 0
    before = (folder / "found" / "temple.png").stat().st_mtime_ns
    capsys.readouterr()
    assert main(["best.onnx", "temple.png", "--out", "found"]) == 2
    assert capsys.readouterr().err == "found: already exists; choose another folder\n"
    assert (folder / "found" / "temple.png").stat().st_mtime_ns == before


def test_json_has_the_detections_in_pixels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["best.onnx", "temple.png", "--json", "--no-save", "--classes", "0,1"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out) == [{"image": "temple.png", "detections": Detector("best.onnx")("temple.png").to_list()}]
    assert err.startswith("1 image: 2 detections\n")
    assert not (folder / "runs").exists()


def test_images_that_cannot_be_read_are_named_and_skipped(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text.jpg").write_text("text")
    assert main(["best.onnx", "no.jpg", "temple.png", "text.jpg"]) == 1
    out, err = capsys.readouterr()
    assert [line.partition(":")[0] for line in err.splitlines()] == ["no.jpg", "text.jpg"]
    assert out.startswith("1 image: ")
    assert main(["best.onnx", "no.jpg", "--json"]) == 2
    out, err = capsys.readouterr()
    assert json.loads(out) == []
    assert err.endswith("no image could be read\n")
    assert sorted(path.name for path in (folder / "runs" / "attendet-runtime").iterdir()) == ["exp"]


def test_maps_are_pictures_next_to_the_image(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["maps.onnx", "temple.png", "--maps", "--out", "found"]) == 0
    assert sorted(path.name for path in (folder / "found").iterdir()) == ["temple.png", "temple_model.9.gate.png"]
    with Image.open(folder / "found" / "temple_model.9.gate.png") as picture:
        assert picture.size == (640, 427)
    assert "results: found" in capsys.readouterr().out


def test_paths_in_the_file_do_not_lead_out_of_the_folder(folder: Path) -> None:
    site = site_of(spatial="spatial").model_copy(update={"path": "../../up/" + "x" * 5000})
    description = small_description(outputs=("predictions", "spatial"), gates=(site,))
    outputs = {"predictions": np.zeros((3, 6), np.float32), "spatial": MAP}
    write_constant_graph(Path("hostile.onnx"), outputs, description)
    assert main(["hostile.onnx", "temple.png", "--maps", "--out", "found"]) == 0
    written = sorted(path.name for path in (folder / "found").iterdir())
    assert written == ["temple.png", "temple_.._.._up_" + "x" * 91 + ".png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: FILE, IMAGE"),
        (["best.onnx"], "the following arguments are required: IMAGE"),
        (["no.onnx", "temple.png"], "no.onnx: file not found"),
        (["temple.png", "temple.png"], "temple.png: the file must be an ONNX file, got the ending '.png'"),
        (["best.onnx", "temple.png", "--conf", "high"], "argument --conf: invalid float value: 'high'"),
        (["best.onnx", "temple.png", "--conf", "2"], "`confidence` must be a number from 0 to 1, got 2.0"),
        (["best.onnx", "temple.png", "--conf", "0.1"], "`confidence` must be at least 0.25, as in the file"),
        (["best.onnx", "temple.png", "--iou", "0.7"], "`iou` must be 0.45, as in the file"),
        (["best.onnx", "temple.png", "--max-det", "5"], "`max_detections` must be at most 4, as in the file"),
        (["best.onnx", "temple.png", "--agnostic-nms"], "`agnostic` must be False, as in the file"),
        (["best.onnx", "temple.png", "--classes", "bird"], "`classes` must be names or indices of classes, got 'bird'"),
        (["best.onnx", "temple.png", "--maps"], "best.onnx: --maps needs a file with maps"),
        (["maps.onnx", "temple.png", "--maps", "--no-save"], "--no-save must be left out with --maps and --out"),
        (["best.onnx", "temple.png", "--font", "best.onnx"], "best.onnx: the font must be a TrueType or OpenType file"),
        (["best.onnx", "temple.png", "--out", "best.onnx/x"], "best.onnx/x: cannot be written: File exists"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message)
    assert err.count("\n") == 1
    assert not (folder / "runs").exists()


def test_a_picture_that_cannot_be_written_leaves_no_file(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", fail)
    assert main(["best.onnx", "temple.png", "--out", "found"]) == 2
    assert "temple.png: cannot be written: [Errno 28] No space left on device" in capsys.readouterr().err
    assert list((folder / "found").iterdir()) == []
