"""YOLO's label format: the meaning of lines, invalid lines, lists of images, and glob patterns."""

import glob
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.formats.image_files import resolve_images
from attendet.data.formats.labels import MAX_BYTES, MAX_PROBLEMS, labels_from_json, labels_to_json
from attendet.data.formats.yolo import label_path, parse_yolo_labels, read_yolo_labels
from attendet.data.paths import expand_glob
from attendet.data.reading import data_source
from attendet.data.records import ProblemKind
from attendet.errors import DataError, Location
from tests.helpers.data_sets import write_image

HERE = Location("data.yaml")


def test_boxes_and_polygons() -> None:
    labels = parse_yolo_labels("0 0.5 0.5 0.2 0.4\n\n 3.0\t0.1 0.2 0.3 0.1 0.25 0.6 \r\n1 0 0 1 0 1 1 0 1", "a.txt")
    assert labels.classes == (0, 3, 1)
    assert labels.lines == (1, 3, 4)
    np.testing.assert_allclose(labels.boxes, [[0.4, 0.3, 0.6, 0.7], [0.1, 0.1, 0.3, 0.6], [0, 0, 1, 1]])
    assert labels.problems == ()
    assert labels.normalized


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        ("0 0.5 0.5 0.2", "at least 3 points, got 4"),
        ("0 0.5 0.5 0.2 0.2 0.9", "at least 3 points, got 6"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3 0.4", "at least 3 points, got 8"),
        ("0", "a line must have 5 numbers, or a class and the x and y of at least 3 points, got 1"),
        ("cat 0.5 0.5 0.2 0.2", "'cat' is not a number"),
        ("0 nan 0.5 0.2 0.2", "'nan' is not a number"),
        ("0 0.5 inf 0.2 0.2", "'inf' is not a number"),
        ("-1 0.5 0.5 0.2 0.2", "the class must be an integer from 0, got -1"),
        ("0.5 0.5 0.5 0.2 0.2", "the class must be an integer from 0, got 0.5"),
        ("1e300 0.5 0.5 0.2 0.2", "the class must be an integer from 0, got 1e300"),
        ("0 0.5 0.5 -0.2 0.2", "coordinates must be 0-1, got -0.2"),
        ("0 0.5 0.5 -0.001 0.2", "width and height must not be negative, got -0.001 and 0.2"),
        ("0 320 240 64 48", "coordinates must be 0-1, got 320"),
        ("0,0.5,0.5,0.2,0.2", "'0,0.5,0.5,0.2,0.2' is not a number"),
    ],
)
def test_invalid_lines_are_problems_with_their_line(line: str, detail: str) -> None:
    labels = parse_yolo_labels(f"1 0.5 0.5 0.5 0.5\n{line}\n0 0.1 0.1 0.1 0.1\n", "a.txt")
    assert labels.classes == (1, 0)
    (problem,) = labels.problems
    assert problem.kind is ProblemKind.MALFORMED
    assert str(problem.where) == "a.txt:2"
    assert detail in problem.detail


def test_an_invalid_file_has_at_most_a_hundred_problems() -> None:
    labels = parse_yolo_labels("x\n" * 5000, "a.txt")
    assert len(labels.problems) == MAX_PROBLEMS + 1
    assert labels.problems[-1].detail == "and 4,900 more"


@given(st.text(st.characters(codec="utf-8"), max_size=200) | st.from_regex(r"([0-9.e+\-naif ]{1,30}\n){1,5}"))
def test_any_text_gives_finite_boxes_and_problems(text: str) -> None:
    labels = parse_yolo_labels(text, "a.txt")
    assert np.isfinite(labels.boxes).all()
    assert len(labels.boxes) == len(labels.classes) == len(labels.lines) == len(labels.crowd)
    again = labels_from_json("a.txt", labels_to_json(labels))
    np.testing.assert_array_equal(again.boxes, labels.boxes)
    assert (again.classes, again.lines, again.problems) == (labels.classes, labels.lines, labels.problems)


def test_missing_empty_and_unreadable_files(tmp_path: Path) -> None:
    missing = read_yolo_labels(str(tmp_path / "a.txt"))
    assert [problem.kind for problem in missing.problems] == [ProblemKind.MISSING_LABELS]
    (tmp_path / "b.txt").write_bytes(b"")
    assert read_yolo_labels(str(tmp_path / "b.txt")).problems == ()
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe0\x00")
    with pytest.raises(DataError, match=r"c\.txt: the file is not UTF-8"):
        read_yolo_labels(str(tmp_path / "c.txt"))
    (tmp_path / "d.txt").mkdir()
    with pytest.raises(DataError, match="label file not found"):
        read_yolo_labels(str(tmp_path / "d.txt"))
    with (tmp_path / "e.txt").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(DataError, match="larger than 16,777,216 bytes"):
        read_yolo_labels(str(tmp_path / "e.txt"))
    (tmp_path / "f.txt").write_bytes("\ufeff0 0.5 0.5 1 1".encode())
    assert read_yolo_labels(str(tmp_path / "f.txt")).classes == (0,)


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("/d/images/a.jpg", "/d/labels/a.txt"),
        ("/images/d/images/train/x/a.b.png", "/images/d/labels/train/x/a.b.txt"),
        ("/d/train/images/a.jpg", "/d/train/labels/a.txt"),
        ("/d/train/a.jpg", "/d/train/a.txt"),
        ("/d/images.jpg", "/d/images.txt"),
        ("/d/my_images/a.jpg", "/d/my_images/a.txt"),
        ("/d.x/images/a", "/d.x/labels/a.txt"),
    ],
)
def test_path_of_the_label_file(image: str, labels: str) -> None:
    assert label_path(image) == labels


def test_folders_and_patterns_with_a_link_to_a_parent_folder(tmp_path: Path) -> None:
    for seed, name in enumerate(["b.png", "a.JPG", "sub/c.bmp", ".hidden.png", "sub/notes.txt", "[x]/d.png"]):
        write_image(tmp_path / "images" / name, (8, 8), seed) if not name.endswith("txt") else (
            tmp_path / "images" / name
        ).write_text("no image")
    (tmp_path / "images/sub/up").symlink_to(tmp_path / "images")
    folder = str(tmp_path / "images")
    names = [os.path.relpath(image, folder) for image in resolve_images(folder, str(tmp_path), HERE).images]
    assert names == ["a.JPG", "b.png", "[x]/d.png", "sub/c.bmp"]
    assert [Path(image).name for image in resolve_images(f"{folder}/*.png", str(tmp_path), HERE).images] == ["b.png"]
    assert [Path(image).name for image in resolve_images(f"{folder}/su*", str(tmp_path), HERE).images] == [
        "c.bmp",
        "a.JPG",
        "b.png",
        "d.png",
    ]
    with pytest.raises(DataError, match=r"data\.yaml: file or folder not found: .*absent"):
        resolve_images(str(tmp_path / "absent"), str(tmp_path), HERE)


def test_patterns_match_every_image_once_and_no_label_files(tmp_path: Path) -> None:
    for seed, name in enumerate(["a.png", "sub/b.png"]):
        write_image(tmp_path / name, (8, 8), seed)
        (tmp_path / name).with_suffix(".txt").write_text("0 0.5 0.5 1 1\n")
    (tmp_path / "list.txt").write_text("a.png\n")
    for pattern, expected in {"*": ["a.png", "sub/b.png"], "**": ["a.png", "sub/b.png"], "li*.txt": ["a.png"]}.items():
        found = resolve_images(f"{tmp_path}/{pattern}", str(tmp_path), HERE).images
        assert [Path(image).relative_to(tmp_path).as_posix() for image in found] == expected


def test_patterns_match_what_glob_matches(tmp_path: Path) -> None:
    root = tmp_path / "[1] set"
    for name in ("a.png", "x/b.png", "x/y/c.png", "x/y/x/d.png", "x/.hidden/e.png", ".f.png", "x/n.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    escaped = glob.escape(str(root))
    for pattern in ("**", "**/", "**/*.png", "**/x/*", "**/**/*.png", "**/y/**", "x/**/d.png", "*/**/*.png", "**.png"):
        expected = set(glob.glob(f"{escaped}/{pattern}", recursive=True))  # noqa: PTH207 - the reference
        assert {os.path.normpath(path) for path in expand_glob(f"{escaped}/{pattern}")} == {
            os.path.normpath(path) for path in expected
        }, pattern


@pytest.mark.parametrize("pattern", ["**/*.png", "**", "**/**/a.png"])
def test_links_to_a_parent_folder_are_followed_once(tmp_path: Path, pattern: str) -> None:
    write_image(tmp_path / "one/two/a.png", (8, 8))
    for name in ("back", "again"):
        (tmp_path / "one/two" / name).symlink_to(tmp_path)
    write_image(tmp_path / "other disk/a.png", (8, 8))
    (tmp_path / "one/linked").symlink_to(tmp_path / "other disk")
    found = resolve_images(f"{tmp_path}/one/{pattern}", str(tmp_path), HERE).images
    assert sorted(Path(image).relative_to(tmp_path).as_posix() for image in found) == [
        "one/linked/a.png",
        "one/two/a.png",
    ]


def test_paths_in_a_list_are_absolute_or_relative_to_the_data_set_or_the_list(tmp_path: Path) -> None:
    root, lists = tmp_path / "set", tmp_path / "lists"
    for seed, file in enumerate([root / "images/a.png", lists / "images/b.png", root / "images/both.png"]):
        write_image(file, seed=seed)
    write_image(lists / "images/both.png")
    lines = [f"{root}/images/a.png", "images/a.png", "./images/b.png", "images/b.png", "./images/both.png"]
    lines += ["images/both.png", "images\\a.png", "./images/a.png", "images/absent.png", ""]
    (lists / "train.txt").write_text("\r\n".join(lines))
    found = [
        Path(image).relative_to(tmp_path).as_posix()
        for image in resolve_images(str(lists / "train.txt"), str(root), HERE).images
    ]
    assert found == [
        "set/images/a.png",
        "set/images/a.png",
        "lists/images/b.png",
        "lists/images/b.png",
        "lists/images/both.png",
        "set/images/both.png",
        "set/images/a.png",
        "set/images/a.png",
        "set/images/absent.png",
    ]


def test_every_kind_of_problem_of_a_split(yolo_folder: Callable[[dict[str, str | None]], Path]) -> None:
    file = yolo_folder(
        {
            "background": "",
            "bare": None,
            "broken": "0 0.5 0.5 0.5 0.5",
            "dots": "0 0.5 0.5 0 0.5\n0 0.5 0.5 0.01 0.5\n1 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5",
            "edge": "0 0.9 0.5 0.4 0.5\n0 0.5 0.5 1.01 1\n1 1.005 0.5 0.001 0.5",
            "other": "7 0.5 0.5 0.5 0.5\n1 0.25 0.5 0.5 0.5",
            "text": "0 0.5 0.5\n0 0.5 0.5 0.5 0.5",
            "zeros": "0 0.5 0.5 0.5 0.5",
        }
    )
    (file.parent / "images/broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    (file.parent / "labels/zeros.txt").write_bytes(b"\xff")
    (file.parent / "images/twin.png").write_bytes((file.parent / "images/dots.png").read_bytes())
    (file.parent / "labels/twin.txt").write_text("")
    split = data_source.open(file).read("train")
    found = [
        (Path(problem.where.file).name, problem.where.line, problem.kind.name, problem.detail)
        for problem in split.problems
    ]
    image = str(file.parent / "images")
    assert found == [
        ("bare.txt", None, "MISSING_LABELS", "treated as background"),
        ("broken.png", None, "UNREADABLE_IMAGE", found[1][3]),
        ("dots.txt", 1, "ZERO_AREA", "0×24 px"),
        ("dots.txt", 2, "SLIVER", "0.64×24 px"),
        ("dots.txt", 4, "DUPLICATE_BOX", "the same as line 3"),
        ("edge.txt", 1, "OUTSIDE", "by 6.4 px"),
        ("edge.txt", 3, "ZERO_AREA", "0.064×24 px, entirely outside the image"),
        ("other.txt", 1, "UNKNOWN_CLASS", "7"),
        (
            "text.txt",
            1,
            "MALFORMED",
            "a line must have 5 numbers, or a class and the x and y of at least 3 points, got 3",
        ),
        ("twin.png", None, "DUPLICATE_IMAGE", f"the same as {image}/dots.png"),
        ("zeros.txt", None, "UNREADABLE_LABELS", "the file is not UTF-8 text"),
    ]
    # The images of `other` and `text` show objects that their labels do not describe, so they cannot be background.
    assert split.skipped == 4
    assert [record.image.stem for record in split.records] == ["background", "bare", "dots", "edge", "twin"]
    counts = split.labels
    assert (counts.found, counts.empty, counts.missing, counts.invalid) == (2, 2, 1, 3)
    assert counts.first_problem == f"{file.parent}/labels/bare.txt: label file is missing (treated as background)"
    assert len(split.digests) == len(split.records)
