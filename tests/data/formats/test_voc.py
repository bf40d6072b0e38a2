"""Pascal VOC's label format: coordinates, invalid objects, hostile XML, and lists."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.formats.voc import parse_voc_labels
from attendet.data.reading import data_source
from attendet.errors import DataError
from tests.helpers.data_sets import write_image

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def object_xml(name: str, *box: object, more: str = "") -> str:
    return f"<object><name>{name}</name>{more}{BOX.format(*box)}</object>"


def annotation_xml(*objects: str, size: tuple[int, int] | None = None) -> str:
    stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
    return "\n".join(["<annotation><filename>other.jpg</filename>", stated, *objects, "</annotation>"])


def voc_folder(root: Path, annotations: dict[str, str | None], **lists: str) -> Path:
    (root / "Annotations").mkdir(parents=True)
    (root / "ImageSets/Main").mkdir(parents=True)
    for seed, (stem, text) in enumerate(annotations.items()):
        write_image(root / "JPEGImages" / f"{stem}.png", seed=seed)
        if text is not None:
            (root / "Annotations" / f"{stem}.xml").write_text(text)
    for split, lines in lists.items():
        (root / "ImageSets/Main" / f"{split}.txt").write_text(lines)
    return root


def test_coordinates_are_unchanged_and_difficult_objects_count() -> None:
    more = "<difficult>1</difficult><part><name>head</name>" + BOX.format(0, 0, 1, 1) + "</part>"
    text = annotation_xml(
        object_xml("cat", 1, 2, 64, 48), object_xml("dog", "3.5", " 4 ", 5, 6, more=more), size=(64, 48)
    )
    labels = parse_voc_labels(text.encode(), "a.xml")
    assert labels.classes == ("cat", "dog")
    assert labels.boxes.tolist() == [[1, 2, 64, 48], [3.5, 4, 5, 6]]
    assert labels.lines == (3, 4)
    assert labels.stated_size == (64, 48)
    assert labels.problems == ()


@pytest.mark.parametrize(
    ("entry", "detail"),
    [
        (f"<object>{BOX.format(1, 2, 3, 4)}</object>", "the name of an object must be printable text, got ''"),
        (object_xml("  ", 1, 2, 3, 4), "the name of an object must be printable text, got ''"),
        (object_xml("a\x7fb", 1, 2, 3, 4), "the name of an object must be printable text, got 'a\\x7fb'"),
        ("<object><name>cat</name></object>", "xmin: '' is not a coordinate in pixels"),
        (object_xml("cat", 1, "b", 3, 4), "ymin: 'b' is not a coordinate in pixels"),
        (object_xml("cat", 1, 2, "nan", 4), "xmax: 'nan' is not a coordinate in pixels"),
        (object_xml("cat", 1, 2, 3, "1e99"), "ymax: '1e99' is not a coordinate in pixels"),
        (object_xml("cat", 30, 2, 3, 4), "xmax must not be less than xmin"),
    ],
)
def test_invalid_objects_are_problems_with_their_line(entry: str, detail: str) -> None:
    labels = parse_voc_labels(
        annotation_xml(object_xml("dog", 0, 0, 9, 9), entry, object_xml("cat", 0, 0, 9, 9)).encode(), "a.xml"
    )
    assert labels.classes == ("dog", "cat")
    (problem,) = labels.problems
    assert str(problem.where) == "a.xml:4"
    assert detail in problem.detail


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a.xml:1:1: the file is not XML"),
        (b"<annotation>\n<object></annotation>", r"a.xml:2:\d+: the file is not XML"),
        (b"<svg></svg>", "the root element must be 'annotation', got 'svg'"),
        (b"<annotation>" + b"<a>" * 1_000_000, "nested more than 16 levels deep"),
        (b'<?xml version="1.0" encoding="klingon"?><annotation/>', "the XML cannot be read"),
        (
            b'<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;">]><annotation>&y;</annotation>',
            "XML entities are refused; write them out",
        ),
        (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><annotation>&x;</annotation>', "entities"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_voc_labels(content, "a.xml")


WORDS = ("annotation", "object", "name", "bndbox", "xmin", "size", "width")
PIECES = [
    *(f"<{word}>" for word in WORDS),
    *(f"</{word}>" for word in WORDS),
    "cat",
    "1",
    "inf",
    "&amp;",
    "&x;",
    "<!--",
]


@given(
    st.binary(max_size=100)
    | st.lists(
        st.sampled_from(PIECES),
        max_size=30,
    ).map(lambda parts: "".join(parts).encode())
)
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        labels = parse_voc_labels(content, "a.xml")
    except DataError:
        return
    assert np.isfinite(labels.boxes).all()


def test_a_folder_with_lists(tmp_path: Path) -> None:
    root = voc_folder(
        tmp_path / "voc",
        {
            "a": annotation_xml(object_xml("dog", 1, 2, 30, 40), size=(64, 48)),
            "b": annotation_xml(object_xml("cat", 0, 0, 64, 48), object_xml("cat", 0, 0, 70, 48), size=(640, 480)),
            "c": annotation_xml(size=(0, 0)),
            "d": None,
            "e": "<annotation>",
        },
        train="a\nb  1\nc -1\n\nd\ne\n",
        val="a.png\nabsent\n",
        trainval="a\n",
    )
    source = data_source.open(root)
    assert (source.format, source.names, list(source.splits)) == ("voc", ("cat", "dog"), ["train", "val"])
    split = source.read("train")
    assert [record.image.stem for record in split.records] == ["a", "b", "c"]
    assert split.records.classes.tolist() == [1, 0, 0]
    assert split.skipped == 2
    found = [(Path(problem.where.file).name, problem.kind.name, problem.detail) for problem in split.problems]
    assert found[:3] == [
        ("b.xml", "WRONG_SIZE", "b.png is 64×48, not 640×480"),
        ("b.xml", "OUTSIDE", "by 6 px"),
        ("d.xml", "UNREADABLE_LABELS", "label file not found"),
    ]
    assert found[3][:2] == ("e.xml", "UNREADABLE_LABELS")
    val = source.read("val")
    assert (len(val.records), val.skipped, val.problems[-1].kind.name) == (1, 1, "MISSING_IMAGE")


def test_a_data_file_names_a_voc_folder_a_list_or_a_folder_of_images_and_labels(tmp_path: Path) -> None:
    root = voc_folder(tmp_path / "voc", {"a": annotation_xml(object_xml("dog", 1, 2, 30, 40))}, train="a", test="a")
    file = tmp_path / "data.yaml"
    for text in ("train: voc", "train: voc/ImageSets/Main/train.txt", "path: voc\ntrain: .\n"):
        file.write_text(text)
        source = data_source.open(file)
        assert (source.format, source.names) == ("voc", ("dog",))
        assert len(source.read("train").records) == 1
    file.write_text("train: voc\nval: voc\nnames: [cat]\n")
    with pytest.raises(DataError, match=r"no image of train can be used; .*unknown class \('dog'\)"):
        data_source.open(file).read("train")
    with pytest.raises(DataError, match=r"ImageSets/Main has no val\.txt; use one of test, train"):
        data_source.open(file).read("val")
    both = tmp_path / "both"
    write_image(both / "x.jpg")
    (both / "x.xml").write_text(annotation_xml(object_xml("cat", 0, 0, 9, 9)))
    file.write_text("train: both\n")
    source = data_source.open(file)
    assert (source.format, source.names, len(source.read("train").records)) == ("voc", ("cat",), 1)
    assert root.is_dir()
