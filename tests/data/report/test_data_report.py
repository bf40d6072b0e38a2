"""The report of a data set, against numbers computed by hand, and its figure."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import StepPatch
from PIL import Image

from attendet.data.records import ImageRecord, ImageRecords, Problem, ProblemKind, Split, scaled_box_sides
from attendet.data.report.data_report import make_data_report
from attendet.data.report.overview_figure import draw_overview, overview_figure
from attendet.errors import Location, OutputError

NAMES = ("cat", "dog", "cow")


def record(name: str, size: tuple[int, int], boxes: list[list[float]], classes: list[int]) -> ImageRecord:
    flags = np.zeros(len(classes), np.bool_)
    return ImageRecord(
        Path(name), *size, np.array(boxes, np.float64).reshape(-1, 4), np.array(classes, np.int64), flags
    )


@pytest.fixture
def splits() -> list[Split]:
    train = [
        # Scaled by 1/2 at 640: 10x20, 50x50 and 200x100 pixels.
        record("a.jpg", (1280, 960), [[0, 0, 20, 40], [100, 100, 200, 200], [0, 0, 400, 200]], [0, 0, 1]),
        record("b.jpg", (320, 640), [], []),
        # Scaled by 2: 8x40 pixels; and, as half of it lies outside, 7x200.
        record("c.jpg", (320, 240), [[10, 10, 14, 30], [-3.5, 0, 3.5, 100]], [1, 1]),
    ]
    val = [record("d.jpg", (640, 640), [], [])]
    problems = (
        Problem(ProblemKind.OUTSIDE, Location("c.txt", 2)),
        Problem(ProblemKind.MALFORMED, Location("e.txt", 1), "two numbers"),
        *(Problem(ProblemKind.SLIVER, Location("c.txt", line)) for line in range(1, 6)),
    )
    return [
        Split("train", NAMES, ImageRecords(train), problems, skipped=1, digests=("1", "2", "3")),
        Split("val", NAMES, ImageRecords(val), digests=("2",)),
    ]


def test_numbers_worked_out_by_hand(splits: list[Split]) -> None:
    found = make_data_report(splits, 640)
    train = found.splits["train"]
    assert (train.images, train.skipped, train.background, train.objects) == (3, 1, 1, 5)
    assert train.objects_by_class == (2, 3, 0)
    assert train.images_by_class == (1, 2, 0)
    np.testing.assert_allclose(
        scaled_box_sides(splits[0].records, 640), [[10, 20], [50, 50], [200, 100], [8, 40], [7, 200]], atol=1e-9
    )
    sizes = train.sizes
    assert (sizes.median_width, sizes.median_height) == (10, 50)
    # Areas: 200, 2500, 20000, 320, 1400; COCO's bounds are 1024 and 9216.
    assert (sizes.tiny, sizes.small, sizes.medium, sizes.large) == (0.2, 0.4, 0.4, 0.2)
    assert found.splits["val"].sizes.median_width is None
    total = found.total
    assert (total.images, total.background, total.objects, total.objects_by_class) == (4, 2, 5, (2, 3, 0))
    assert total.sizes == sizes


def test_problems_are_counted_errors_first_with_examples(splits: list[Split]) -> None:
    found = make_data_report(splits)
    told = [(problem.kind, dict(problem.by_split), len(problem.examples)) for problem in found.problems]
    assert told == [
        (ProblemKind.MALFORMED, {"train": 1}, 1),
        (ProblemKind.DUPLICATE_ACROSS_SPLITS, {"val": 1}, 1),
        (ProblemKind.OUTSIDE, {"train": 1}, 1),
        (ProblemKind.SLIVER, {"train": 5}, 3),
    ]
    assert str(found.problems[1].examples[0]) == "d.jpg: image in two splits (in train too, as b.jpg)"
    assert (found.errors, found.warnings) == (2, 6)
    assert json.loads(json.dumps(found.to_dict()))["problems"][3]["examples"][0] == {
        "file": "c.txt",
        "line": 1,
        "detail": "",
    }


def test_what_looks_odd_is_told(splits: list[Split]) -> None:
    assert make_data_report(splits, 640).remarks == (
        "val has no objects: every image is background",
        "1 class does not occur (cow) anywhere",
        "20% of the boxes in train have a side under 8 px at 640; a larger image size shows more of them",
    )
    labeled = replace(splits[1], records=ImageRecords([record("d.jpg", (640, 640), [[0, 0, 9, 9]], [2])]))
    assert make_data_report([splits[0], labeled], 1280).remarks == (
        "1 class does not occur (cow) in train",
        "2 classes do not occur (cat, dog) in val",
    )
    assert "72 classes do not occur ($x_{8}$, $x_{9}$, $x_{10}$, $x_{11}$, $x_{12}$ and 67 more) anywhere" in (
        make_data_report([replace(many()[0], records=ImageRecords(few()))]).remarks
    )
    assert "test has no image that can be used" in make_data_report([Split("test", NAMES, ImageRecords())]).remarks


def few() -> list[ImageRecord]:
    return [record("a.jpg", (9, 9), [[0, 0, 9, 9]] * 8, list(range(8)))]


def many() -> list[Split]:
    generator = np.random.default_rng(0)
    items = []
    for number in range(50):
        low = generator.uniform(0, 500, (8, 2))
        boxes = np.concatenate([low, low + generator.uniform(1, 100, (8, 2))], axis=1)
        classes = generator.integers(0, 80, 8)
        items.append(ImageRecord(Path(f"{number}.jpg"), 640, 480, boxes, classes, np.zeros(8, np.bool_)))
    return [Split("train", tuple(f"$x_{{{number}}}$" for number in range(80)), ImageRecords(items))]


@pytest.mark.parametrize("kind", ["some", "many", "none"])
def test_a_picture_is_drawn_of_any_set(splits: list[Split], tmp_path: Path, kind: str) -> None:
    drawn = {"some": splits, "many": many(), "none": [Split("val", ("cat",), ImageRecords())]}[kind]
    path = tmp_path / "folder" / "check.png"
    draw_overview(drawn, path, title="a $set_of$ 苹果.yaml", imgsz=320)
    with Image.open(path) as image:
        assert image.info["Software"] == "attendet data check"
        assert image.size == (1430, 1100)
    # An older picture of ours is replaced.
    draw_overview(splits, path, title="again")


def test_the_picture_shows_the_numbers(splits: list[Split]) -> None:
    drawn = overview_figure(splits, title="data.yaml", imgsz=640)
    classes, sizes, per_image, centers = drawn.axes[:4]
    assert drawn.get_suptitle() == "data.yaml: 4 images, 5 boxes"
    assert [label.get_text() for label in classes.get_yticklabels()] == ["dog", "cat", "cow"]
    assert [[bar.get_width() for bar in bars] for bars in classes.containers] == [[3, 2, 0], [0, 0, 0]]
    (mesh,) = (drawing for drawing in sizes.collections if isinstance(drawing, QuadMesh))
    assert np.nansum(np.asarray(mesh.get_array(), np.float64)) == 5
    # Of three images one has none, one two, one three.
    (steps,) = per_image.patches
    assert isinstance(steps, StepPatch)
    heights = steps.get_data()[0]
    np.testing.assert_allclose(heights, [100 / 3, 0, 100 / 3, 100 / 3])
    (image,) = centers.images
    places = np.argwhere(np.asarray(image.get_array()) > 0)
    # Rows count from the top, as the image is shown: (20, 10) of 1280x960 lies in the first one.
    assert image.get_extent() == [0, 1, 1, 0]
    assert [0, 0] in places.tolist()
    assert places[:, 0].max() < 6
    assert np.asarray(image.get_array()).sum() == 5


def test_a_class_the_font_cannot_write_is_told_by_number() -> None:
    drawn = overview_figure([Split("train", ("梨", "Grüße", "$x$"), ImageRecords())], title="data.yaml")
    assert [label.get_text() for label in drawn.axes[0].get_yticklabels()] == ["class 0", "Grüße", r"\$x\$"]


def test_other_peoples_files_are_left_alone(splits: list[Split], tmp_path: Path) -> None:
    foreign = tmp_path / "holiday.png"
    Image.new("RGB", (5, 5)).save(foreign)
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    for path in (foreign, text):
        before = path.read_bytes()
        with pytest.raises(OutputError, match="not drawn by attendet"):
            draw_overview(splits, path, title="")
        assert path.read_bytes() == before
    with pytest.raises(OutputError, match="it is a folder"):
        draw_overview(splits, tmp_path, title="")
