"""Data sets converted to another format: through all formats and back, links and copies, and what is refused."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from faster_coco_eval import COCO
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attendet.data.conversion import convert, unique_names
from attendet.data.records import ImageRecord, ImageRecords, ProblemKind, Split
from attendet.errors import DataError, OptionError, OutputError, UnknownNameError
from tests.data.conversion_cases import FORMATS, read, record, whole_pixels
from tests.helpers.data_sets import write_image
from tests.helpers.typed_access import not_none

NAMES = ("red cell", "müll & <Glas>", "梨", "on")


@pytest.fixture
def splits(tmp_path: Path) -> list[Split]:
    """Images of one name in two folders, names with spaces and of other scripts, background, boxes of any digits."""
    root = tmp_path / "source"
    left = write_image(root / "left" / "1.png", (64, 48), 1)
    right = write_image(root / "right" / "1.png", (333, 77), 2)
    spaced = write_image(root / "left" / "photo 1.png", (100, 100), 3)
    other = write_image(root / "left" / "яблоко & pear.png", (640, 480), 4)
    held = write_image(root / "held" / "1.png", (50, 70), 5)
    train = [
        record(left, [(1, 2, 30, 40), (1 / 3, 2 / 3, 10.123456789, 47.9)], [0, 3]),
        record(right, [(0, 0, 333, 77), (300.1, 70.7, 333, 77)], [2, 1]),
        record(spaced),
        record(other, [(-3.5, 10, 20, 482)], [1]),
    ]
    return [
        Split("train", NAMES, ImageRecords(train)),
        Split("val", NAMES, ImageRecords([record(held, [(1, 1, 2, 3)], [2])])),
    ]


def objects(split: Split) -> dict[bytes, tuple[Any, ...]]:
    """Return what is known of each image, by its content: names may change, and a folder has an order of its own."""
    return {
        item.image.read_bytes(): (
            item.width,
            item.height,
            item.classes.tolist(),
            item.boxes.tolist(),
            item.crowd.tolist(),
        )
        for item in split.records
    }


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_nothing_is_lost_on_the_way_through_any_two_formats(
    splits: list[Split], tmp_path: Path, first: str, second: str
) -> None:
    folder = tmp_path / "0"
    convert(splits, first, folder)
    trips = [read(folder)]
    for trip, to in enumerate((second, first, second, first), start=1):
        folder = tmp_path / str(trip)
        convert([*trips[-1].values()], to, folder)
        trips.append(read(folder))
    for split in splits:
        for trip in trips:
            assert trip[split.name].names == NAMES
            assert {problem.kind for problem in trip[split.name].problems} <= {ProblemKind.OUTSIDE, ProblemKind.SLIVER}
            expected, found = objects(split), objects(trip[split.name])
            assert expected.keys() == found.keys()
            for image, (*facts, boxes, crowd) in expected.items():
                assert [*found[image][:3], found[image][4]] == [*facts, crowd]
                np.testing.assert_allclose(found[image][3], boxes, rtol=0, atol=1e-8)
        # From the second time on, to the last bit.
        assert objects(trips[1][split.name]) == objects(trips[3][split.name])
        assert objects(trips[2][split.name]) == objects(trips[4][split.name])


def test_crowds_stay_in_coco_and_are_refused_elsewhere(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    split = Split("val", ("cat",), ImageRecords([record(image, [(1, 2, 30, 40), (5, 5, 9, 9)], [0, 0], crowd=True)]))
    convert([split], "coco", tmp_path / "coco")
    document = COCO(str(tmp_path / "coco" / "annotations" / "val.json"))
    found = [(entry["bbox"], entry["iscrowd"]) for entry in document.loadAnns(document.getAnnIds())]
    assert found == [([1, 2, 29, 38], 1), ([5, 5, 4, 4], 0)]
    again = read(tmp_path / "coco")["val"]
    assert again.records.crowd.tolist() == [True, False]
    for to in ("yolo", "voc"):
        with pytest.raises(OptionError, match="1 box is marked as crowd"):
            convert([again], to, tmp_path / to)
        assert not (tmp_path / to).exists()
        kept = convert([again], to, tmp_path / to, crowd="keep")
        dropped = convert([again], to, tmp_path / f"{to}-dropped", crowd="drop")
        assert (kept.objects, kept.left_out, dropped.objects, dropped.left_out) == (2, 0, 1, 1)
        left = read(tmp_path / f"{to}-dropped")["val"].records.boxes
        np.testing.assert_allclose(left, [[5, 5, 9, 9]], atol=1e-8)


def test_boxes_further_outside_than_yolo_can_say(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (100, 50))
    boxes = [(-150, 10, 20, 30), (200, 0, 300, 40), (10, 10, 20, 20), (90, 0, 104, 50)]
    split = Split("train", ("cat",), ImageRecords([record(image, boxes, [0, 0, 0, 0])]))
    done = convert([split], "yolo", tmp_path / "yolo")
    assert (done.cut, done.left_out, done.objects) == (1, 1, 3)
    found = read(tmp_path / "yolo")["train"].records.boxes
    np.testing.assert_allclose(found, [(0, 10, 20, 30), (10, 10, 20, 20), (90, 0, 104, 50)], atol=1e-8)
    for to in ("coco", "voc"):
        done = convert([split], to, tmp_path / to)
        assert (done.cut, done.left_out) == (0, 0)
        assert read(tmp_path / to)["train"].records.boxes.tolist() == [list(map(float, box)) for box in boxes]


@pytest.mark.parametrize("to", FORMATS)
def test_labels_of_turned_images_are_about_the_image_as_shown(tmp_path: Path, to: str) -> None:
    image = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (80, 40)).save(image, exif=exif)
    box = np.array([[5.0, 50.0, 30.0, 70.0]])
    split = Split("train", ("cat",), ImageRecords([ImageRecord(image, 40, 80, box, np.array([0]), np.array([False]))]))
    convert([split], to, tmp_path / to)
    (written,) = (tmp_path / to).rglob("turned.jpg")
    assert written.read_bytes() == image.read_bytes()
    assert not_none(cv2.imread(str(written))).shape == (80, 40, 3)
    found = read(tmp_path / to)["train"]
    assert [problem.kind for problem in found.problems] == [ProblemKind.ROTATED]
    np.testing.assert_allclose(found.records.boxes, box, atol=1e-8)


def test_files_are_linked_or_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = whole_pixels(tmp_path)
    counts = []
    assert convert([split], "yolo", tmp_path / "a", progress=lambda *step: counts.append(step)).copied == 0
    assert counts == [(1, 3), (2, 3), (3, 3)]
    assert (tmp_path / "a/images/train/0.png").stat().st_nlink == 2
    assert convert([split], "yolo", tmp_path / "b", files="copy").copied == 3
    assert (tmp_path / "b/images/train/0.png").stat().st_nlink == 1

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert convert([split], "voc", tmp_path / "c").copied == 3
    with pytest.raises(OutputError, match="cross-device"):
        convert([split], "voc", tmp_path / "d", files="link")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "d"))]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    split = whole_pixels(tmp_path)
    (tmp_path / "there").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        convert([split], "yolo", tmp_path / "there")
    with pytest.raises(UnknownNameError, match="'yolo'"):
        convert([split], "yol", tmp_path / "out")
    with pytest.raises(DataError, match="two classes are called 'cat'"):
        convert([Split("train", ("cat", "cat"), split.records)], "voc", tmp_path / "out")
    hidden = write_image(tmp_path / "source" / ".hidden.png")
    with pytest.raises(DataError, match="begins with a space or a dot"):
        convert([Split("train", ("cat",), ImageRecords([record(hidden)]))], "yolo", tmp_path / "out")
    split.records[2].image.unlink()
    with pytest.raises(DataError, match="the image has gone"):
        convert([split], "coco", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source", "there"]


@pytest.mark.parametrize("folder", [".a", " a", "a\u202e"])
@pytest.mark.parametrize("to", FORMATS)
def test_no_name_is_made_of_folders_that_readers_would_pass_over(tmp_path: Path, to: str, folder: str) -> None:
    images = [write_image(tmp_path / "source" / each / "1.png") for each in (folder, "b")]
    split = Split("train", ("cat",), ImageRecords(map(record, images)))
    with pytest.raises(DataError, match="rename it, or the folders that it lies in"):
        convert([split], to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    # Where its name is its own, nobody sees what its folder is called.
    convert([Split("train", ("cat",), ImageRecords([record(images[0])]))], to, tmp_path / "out")
    assert len(read(tmp_path / "out")["train"].records) == 1


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "a/c"]),
            st.sampled_from(["1", "2", "A", "a", "a_1", "c_a"]),
            st.sampled_from([".jpg", ".png"]),
        ),
        max_size=30,
    )
)
def test_names_never_collide(parts: list[tuple[str, str, str]]) -> None:
    images = [Path("/root", folder, stem + suffix) for folder, stem, suffix in parts]
    names = unique_names(images)
    assert len({Path(name).stem.lower() for name in names}) == len(names)
    for image, name in zip(images, names, strict=True):
        assert Path(name).suffix == image.suffix
        assert "/" not in name
        if sum(other.stem.lower() == image.stem.lower() for other in images) == 1:
            assert image.stem in name
