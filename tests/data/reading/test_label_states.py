"""Images whose labels are missing or cannot be understood: counted, named, and never background."""

from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.data import open as open_data
from attendet.data.reading.label_checks import require_labels
from attendet.errors import DataError

WriteYolo = Callable[..., Path]
GOOD = "0 0.5 0.5 0.5 0.5\n"


@pytest.mark.parametrize(
    ("label", "reason"),
    [
        # The scores that a detector adds, pixels instead of 0-1, a class that the data set does not have, and text.
        ("0 0.5 0.5 0.5 0.5 0.9\n", "malformed label"),
        ("0 48 40 20 20\n", "malformed label"),
        ("7 0.5 0.5 0.5 0.5\n", "unknown class"),
        ("cat 0.5 0.5 0.5 0.5\n", "malformed label"),
        ("0 0.5 0.5 -0.5 0.5\n", "malformed label"),
        ("0 0.5 0.5 0 0\n", "box without area"),
        (GOOD + "0 0.5\n", "malformed label"),
    ],
)
def test_images_with_invalid_labels_are_left_out_and_named(label: str, reason: str, yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": label, "b": GOOD, "c": ""})
    split = open_data(file).read("train")
    assert [record.image.stem for record in split.records] == ["b", "c"]
    assert split.skipped == 1
    assert (split.labels.found, split.labels.empty, split.labels.missing, split.labels.invalid) == (1, 1, 0, 1)
    assert str(split.labels).startswith("labels: 1 found, 1 empty, 0 missing, 1 invalid (first: ")
    assert f"{file.parent}/labels/a.txt:" in str(split.labels)
    assert reason in str(split.labels)


def test_a_box_without_area_next_to_others_is_dropped_alone(yolo_folder: WriteYolo) -> None:
    split = open_data(yolo_folder({"a": GOOD + "0 0.5 0.5 0 0\n"})).read("train")
    assert (len(split.records), split.labels.found, split.labels.invalid) == (1, 1, 0)


def test_a_split_without_labels_names_where_they_were_looked_for(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": None, "b": None})
    split = open_data(file).read("train")
    assert (split.labels.missing, len(split.records)) == (2, 2)
    place = file.parent / "labels/a.txt"
    with pytest.raises(
        DataError, match="no image of train has labels; yolo labels were looked for, first at "
    ) as raised:
        require_labels(split)
    assert str(raised.value).endswith(f"first at {place}; {place}: label file is missing (treated as background)")


def test_images_that_are_labeled_as_empty_have_labels(yolo_folder: WriteYolo) -> None:
    require_labels(open_data(yolo_folder({"a": "", "b": None})).read("train"))
