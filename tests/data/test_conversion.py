"""Conversion of data sets: through all formats and back, links and copies, losses, and refused conversions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from faster_coco_eval import COCO
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attendet.data.conversion import ConversionResult, convert, unique_names, write_splits
from attendet.data.reading import data_source
from attendet.data.records import ImageRecord, ImageRecords, ProblemKind, Split
from attendet.errors import DataError, OptionError, OutputError, UnknownNameError
from tests.data.conversion_cases import FORMATS, read, record, whole_pixel_split
from tests.helpers.data_sets import write_image
from tests.helpers.parsed_html import ParsedHtml
from tests.helpers.typed_access import not_none

NAMES = ("red cell", "müll & <Glas>", "梨", "on")


@pytest.fixture
def splits(tmp_path: Path) -> list[Split]:
    """Images of equal name in two folders, names with spaces and other scripts, background, and boxes with decimals."""
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
    """Return size and objects of each image by its content, because conversion may change its name and its position."""
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
def test_boxes_survive_conversion_through_any_two_formats(
    splits: list[Split], tmp_path: Path, first: str, second: str
) -> None:
    folder = tmp_path / "0"
    write_splits(splits, first, folder)
    trips = [read(folder)]
    for trip, to in enumerate((second, first, second, first), start=1):
        folder = tmp_path / str(trip)
        write_splits([*trips[-1].values()], to, folder)
        trips.append(read(folder))
    for split in splits:
        for trip in trips:
            assert trip[split.name].names == NAMES
            assert {problem.kind for problem in trip[split.name].problems} <= {ProblemKind.OUTSIDE, ProblemKind.SLIVER}
            expected, found = objects(split), objects(trip[split.name])
            assert expected.keys() == found.keys()
            for image, (*size_and_classes, boxes, crowd) in expected.items():
                assert [*found[image][:3], found[image][4]] == [*size_and_classes, crowd]
                np.testing.assert_allclose(found[image][3], boxes, rtol=0, atol=1e-8)
        # From the second time on, to the last bit.
        assert objects(trips[1][split.name]) == objects(trips[3][split.name])
        assert objects(trips[2][split.name]) == objects(trips[4][split.name])


def test_crowds_stay_in_coco_and_are_refused_elsewhere(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    split = Split("val", ("cat",), ImageRecords([record(image, [(1, 2, 30, 40), (5, 5, 9, 9)], [0, 0], crowd=True)]))
    write_splits([split], "coco", tmp_path / "coco")
    coco = COCO(str(tmp_path / "coco" / "annotations" / "val.json"))
    found = [(entry["bbox"], entry["iscrowd"]) for entry in coco.loadAnns(coco.getAnnIds())]
    assert found == [([1, 2, 29, 38], 1), ([5, 5, 4, 4], 0)]
    again = read(tmp_path / "coco")["val"]
    assert again.records.crowd.tolist() == [True, False]
    for to in ("yolo", "voc"):
        with pytest.raises(OptionError, match="1 box is marked as crowd"):
            write_splits([again], to, tmp_path / to)
        assert not (tmp_path / to).exists()
        kept = write_splits([again], to, tmp_path / to, crowd="keep")
        dropped = write_splits([again], to, tmp_path / f"{to}-dropped", crowd="drop")
        assert (kept.objects, kept.dropped, dropped.objects, dropped.dropped) == (2, 0, 1, 1)
        remaining = read(tmp_path / f"{to}-dropped")["val"].records.boxes
        np.testing.assert_allclose(remaining, [[5, 5, 9, 9]], atol=1e-8)


def test_boxes_that_yolo_cannot_express_are_clipped_or_dropped(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png", (100, 50))
    boxes = [(-150, 10, 20, 30), (200, 0, 300, 40), (10, 10, 20, 20), (90, 0, 104, 50)]
    split = Split("train", ("cat",), ImageRecords([record(image, boxes, [0, 0, 0, 0])]))
    result = write_splits([split], "yolo", tmp_path / "yolo")
    assert (result.clipped, result.dropped, result.objects) == (1, 1, 3)
    found = read(tmp_path / "yolo")["train"].records.boxes
    np.testing.assert_allclose(found, [(0, 10, 20, 30), (10, 10, 20, 20), (90, 0, 104, 50)], atol=1e-8)
    for to in ("coco", "voc"):
        result = write_splits([split], to, tmp_path / to)
        assert (result.clipped, result.dropped) == (0, 0)
        assert read(tmp_path / to)["train"].records.boxes.tolist() == [list(map(float, box)) for box in boxes]


@pytest.mark.parametrize("to", FORMATS)
def test_labels_describe_the_image_after_exif_rotation(tmp_path: Path, to: str) -> None:
    image = tmp_path / "rotated.jpg"
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (80, 40)).save(image, exif=exif)
    box = np.array([[5.0, 50.0, 30.0, 70.0]])
    split = Split("train", ("cat",), ImageRecords([ImageRecord(image, 40, 80, box, np.array([0]), np.array([False]))]))
    write_splits([split], to, tmp_path / to)
    (written,) = (tmp_path / to).rglob("rotated.jpg")
    assert written.read_bytes() == image.read_bytes()
    assert not_none(cv2.imread(str(written))).shape == (80, 40, 3)
    found = read(tmp_path / to)["train"]
    assert [problem.kind for problem in found.problems] == [ProblemKind.ROTATED]
    np.testing.assert_allclose(found.records.boxes, box, atol=1e-8)


def test_files_are_linked_or_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = whole_pixel_split(tmp_path)
    counts = []
    assert write_splits([split], "yolo", tmp_path / "a", progress=lambda *step: counts.append(step)).copied == 0
    assert counts == [(1, 3), (2, 3), (3, 3)]
    assert (tmp_path / "a/images/train/0.png").stat().st_nlink == 2
    assert write_splits([split], "yolo", tmp_path / "b", files="copy").copied == 3
    assert (tmp_path / "b/images/train/0.png").stat().st_nlink == 1

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert write_splits([split], "voc", tmp_path / "c").copied == 3
    with pytest.raises(OutputError, match="cross-device"):
        write_splits([split], "voc", tmp_path / "d", files="link")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith((".", "d"))]


def test_a_refused_conversion_leaves_no_files(tmp_path: Path) -> None:
    split = whole_pixel_split(tmp_path)
    (tmp_path / "existing").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        write_splits([split], "yolo", tmp_path / "existing")
    with pytest.raises(UnknownNameError, match="'yolo'"):
        write_splits([split], "yol", tmp_path / "out")
    with pytest.raises(DataError, match="class names must be unique to convert to voc, got 'cat' twice"):
        write_splits([Split("train", ("cat", "cat"), split.records)], "voc", tmp_path / "out")
    hidden = write_image(tmp_path / "source" / ".hidden.png")
    with pytest.raises(DataError, match="must be printable and not start with a dot or a space"):
        write_splits([Split("train", ("cat",), ImageRecords([record(hidden)]))], "yolo", tmp_path / "out")
    split.records[2].image.unlink()
    with pytest.raises(DataError, match="the image was removed after it was read"):
        write_splits([split], "coco", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["existing", "source"]


@pytest.mark.parametrize("folder", [".a", " a", "a\u202e"])
@pytest.mark.parametrize("to", FORMATS)
def test_a_name_that_readers_would_ignore_is_refused(tmp_path: Path, to: str, folder: str) -> None:
    images = [write_image(tmp_path / "source" / each / "1.png") for each in (folder, "b")]
    split = Split("train", ("cat",), ImageRecords(map(record, images)))
    with pytest.raises(DataError, match="rename the image or its folders"):
        write_splits([split], to, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]
    # An image with a unique name does not get the names of its folders.
    write_splits([Split("train", ("cat",), ImageRecords([record(images[0])]))], to, tmp_path / "out")
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


def test_convert_reads_all_splits_and_counts_losses(yolo_folder: Callable[..., Path], tmp_path: Path) -> None:
    file = yolo_folder({"a": "0 0.5 0.5 0.5 0.5\n7 0.5 0.5 0.1 0.1", "b": "1 0.5", "c": "", "d": "1 0.5 0.5 0.5 0.5"})
    file.write_text(file.read_text() + "val: absent\n")
    (file.parent / "images/c.png").write_bytes(b"not an image")
    steps: list[tuple[str, int, int]] = []
    result = convert(file, to="coco", out=tmp_path / "coco", progress=lambda *step: steps.append(step))
    # Images whose labels cannot be understood are left out, so that no other format states that they are background.
    assert (result.images, result.objects, result.num_classes) == (1, 1, 2)
    assert result.lost == {
        ProblemKind.MISSING_SPLIT: 1,
        ProblemKind.UNREADABLE_IMAGE: 1,
        ProblemKind.MALFORMED: 1,
        ProblemKind.UNKNOWN_CLASS: 1,
    }
    assert json.loads(json.dumps(result.to_dict()))["lost"]["unknown_class"] == 1
    assert steps == [("reading train", 4, 4), ("writing", 1, 1)]
    assert list(read(tmp_path / "coco")) == ["train"]
    (tmp_path / "coco/images/train/d.png").unlink()
    assert convert(data_source.open(file), to="yolo", out=tmp_path / "yolo").images == 1
    with pytest.raises(OutputError, match="exists"):
        convert(tmp_path / "absent", to="yolo", out=tmp_path / "yolo")


def test_images_without_label_files_are_counted_and_splits_without_labels_left_out(
    yolo_folder: Callable[..., Path], tmp_path: Path
) -> None:
    file = yolo_folder({"a": "0 0.5 0.5 0.5 0.5\n", "b": None, "c": "x", "more/d": None})
    file.write_text(file.read_text() + "val: images/more\n")
    result = convert(file, to="coco", out=tmp_path / "coco")
    # The image in `more` belongs to both splits.
    assert (result.images, result.missing, result.left_out) == (3, 2, 2)
    assert result.lost == {ProblemKind.MALFORMED: 1, ProblemKind.NO_LABELS: 1}
    assert list(read(tmp_path / "coco")) == ["train"]
    file.write_text("train: images/more\nnames: [cat, dog]\n")
    with pytest.raises(DataError, match="no image of train has labels"):
        convert(file, to="coco", out=tmp_path / "new")


def test_the_result_in_a_notebook_and_as_plain_values() -> None:
    lost = {ProblemKind.MISSING_IMAGE: 2, ProblemKind.UNKNOWN_CLASS: 1}
    result = ConversionResult(
        Path("<new>/data.yaml"), images=1200, objects=7, num_classes=3, copied=4, clipped=5, dropped=6, lost=lost
    )
    parsed = ParsedHtml(result._repr_html_())
    assert parsed.rows == [
        ["quantity", "value"],
        ["data_yaml", "<new>/data.yaml"],
        ["images", "1,200"],
        ["objects", "7"],
        ["num_classes", "3"],
        ["copied", "4"],
        ["clipped", "5"],
        ["dropped", "6"],
        ["left_out", "0"],
        ["missing", "0"],
        [f"lost: {ProblemKind.MISSING_IMAGE.value}", "2"],
        [f"lost: {ProblemKind.UNKNOWN_CLASS.value}", "1"],
    ]
    assert parsed.tags == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert json.loads(json.dumps(result.to_dict()))["lost"] == {"missing_image": 2, "unknown_class": 1}
