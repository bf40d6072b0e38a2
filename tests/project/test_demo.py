"""The data set of `make demo` has the stated properties, and the demo fails if the detector fails."""

import json
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import supervision as sv
from sklearn.datasets import load_sample_images
from sklearn.neighbors import KNeighborsClassifier

from tests.helpers.data_sets import digits
from tests.helpers.tools import load_tool

IMAGES = {"train": 12, "val": 6}


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    return load_tool("demo")


@pytest.fixture(scope="module")
def written(demo, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    demo.write(folder, IMAGES)
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def scene_and_inks(demo, monkeypatch, material, number):
    """Return a scene, and for each of its objects the ink (SIDE, SIDE) that was painted for it."""
    inks, paint = [], demo.paint
    with monkeypatch.context() as patch:
        patch.setattr(demo, "paint", lambda canvas, ink, generator: (inks.append(ink), paint(canvas, ink, generator)))
        return demo.scene(material, np.random.default_rng(number)), inks


@pytest.mark.parametrize("split", IMAGES)
def test_another_reader_reads_the_set(written, split):
    dataset = sv.DetectionDataset.from_yolo(
        str(written / "images" / split), str(written / "labels" / split), str(written / "data.yaml")
    )
    assert dataset.classes == [str(digit) for digit in range(10)]
    assert len(dataset) == IMAGES[split]
    for _, image, found in dataset:
        assert image.shape == (320, 320, 3)
        assert len(found) >= 1
        assert (found.xyxy >= -0.01).all()
        assert (found.xyxy <= 320.01).all()


def test_the_same_seed_gives_the_same_files(demo, written, tmp_path):
    demo.write(tmp_path / "again", IMAGES)
    demo.write(tmp_path / "other", IMAGES, seed=1)
    assert bytes_of(tmp_path / "again") == bytes_of(written)
    assert bytes_of(tmp_path / "other") != bytes_of(written)


def test_the_splits_share_no_digit_and_no_region_of_a_photograph(demo):
    train, val = demo.materials()["train"], demo.materials()["val"]
    assert not {digit.tobytes() for digit in train.digits} & {digit.tobytes() for digit in val.digits}
    assert len(train.digits) + len(val.digits) == len(digits()[0])
    for whole, left, right in zip(load_sample_images().images, val.photographs, train.photographs, strict=True):
        np.testing.assert_array_equal(np.rint(np.concatenate([left, right], axis=1) * 255), whole)


@pytest.mark.parametrize("split", IMAGES)
def test_boxes_hold_the_ink_and_nothing_else(demo, monkeypatch, split):
    material = demo.materials()[split]
    for number in range(5):
        scene, inks = scene_and_inks(demo, monkeypatch, material, number)
        for box, ink in zip(scene.boxes, inks, strict=True):
            rows, columns = np.nonzero(ink.max(1) > 0.3)[0], np.nonzero(ink.max(0) > 0.3)[0]
            assert box.tolist() == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
            # Light colors: one channel is full, but where the glow of a neighbor reaches.
            assert np.median(scene.image[ink == 1].max(1)) == 255


def test_a_classifier_reads_the_digits_as_labeled(demo, monkeypatch):
    def grid(ink):
        rows, columns = np.nonzero(ink.max(1) > 0.3)[0], np.nonzero(ink.max(0) > 0.3)[0]
        return cv2.resize(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (8, 8)).ravel()

    material = demo.materials()["train"]
    classifier = KNeighborsClassifier(3).fit([grid(digit) for digit in material.digits], material.classes)
    read, labeled = [], []
    for number in range(12):
        scene, inks = scene_and_inks(demo, monkeypatch, material, number)
        read += [classifier.predict([grid(ink)])[0] for ink in inks]
        labeled += scene.classes.tolist()
    # Enlarging has changed the strokes a little; a wrong label would be right one time in ten.
    assert np.mean(np.array(read) == labeled) > 0.9


def report_of(demo, folder: Path, map50: float) -> bool:
    for name in demo.PICTURES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "val" / "metrics.json").write_text(json.dumps({"map50": map50}))
    return demo.report(folder)


def test_the_report_names_every_picture_and_the_result(demo, tmp_path, capsys):
    assert report_of(demo, tmp_path, 0.71)
    output = capsys.readouterr().out
    assert "0.710" in output
    assert all(str(tmp_path / name) in output for name in demo.PICTURES)


def test_a_detector_that_finds_too_little_fails_the_demo(demo, tmp_path, monkeypatch):
    assert not report_of(demo, tmp_path, 0.59)
    monkeypatch.setattr("sys.argv", ["demo.py", "report", str(tmp_path)])
    with pytest.raises(SystemExit, match=r"mAP50 must be at least 0\.6"):
        demo.main()


def test_a_picture_that_is_missing_fails_the_demo(demo, tmp_path):
    report_of(demo, tmp_path, 0.9)
    (tmp_path / "found" / "000.jpg").unlink()
    with pytest.raises(SystemExit, match=r"000\.jpg is missing"):
        demo.report(tmp_path)
