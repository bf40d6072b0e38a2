"""Selection of the objects that training and evaluation use."""

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import ImageRecord, ImageRecords, Split

SIZE = (64, 48)


def make_split(*objects: list[tuple[int, tuple[float, float, float, float], bool]]) -> Split:
    records = [
        ImageRecord(
            Path(f"{number}.png"),
            *SIZE,
            np.array([box for _, box, _ in of_image], np.float64).reshape(-1, 4),
            np.array([label for label, _, _ in of_image], np.int64),
            np.array([crowd for _, _, crowd in of_image], np.bool_),
        )
        for number, of_image in enumerate(objects)
    ]
    return Split("train", ("cat", "dog"), ImageRecords(records), skipped=3, digests=("a",) * len(records))


def test_boxes_are_clipped_and_invalid_ones_dropped() -> None:
    box = (10.0, 10.0, 20.0, 20.0)
    split = drop_invalid(
        make_split(
            [(0, (-5, -5, 70, 50), False), (1, (5, 5, 5, 9), False), (1, (70, 5, 80, 9), False)],
            [],
            [(0, box, False), (1, box, False), (0, box, False), (0, box, True)],
            [(0, box, False)],
        )
    )
    assert [record.boxes.tolist() for record in split.records] == [[[0, 0, 64, 48]], [], [[*box]] * 3, [[*box]]]
    assert split.records.classes.tolist() == [0, 0, 1, 0, 0]
    assert split.records.crowd.tolist() == [False, False, False, True, False]
    assert (split.skipped, split.names, len(split.digests)) == (3, ("cat", "dog"), 4)


def test_a_single_class() -> None:
    box = (10.0, 10.0, 20.0, 20.0)
    split = drop_invalid(make_split([(1, box, False), (0, box, False)]), single_class=True)
    assert split.names == ("object",)
    assert split.records.classes.tolist() == [0]


def test_a_split_without_objects() -> None:
    assert len(drop_invalid(make_split([], [])).records) == 2


COORDINATE = st.sampled_from([-10.0, 0.0, 10.0, 20.0, 48.0, 64.0, 100.0])
OBJECT = st.tuples(st.integers(0, 1), st.tuples(COORDINATE, COORDINATE, COORDINATE, COORDINATE), st.booleans())


@given(st.lists(st.lists(OBJECT, max_size=6), max_size=4))
def test_result_equals_a_loop_over_single_objects(
    objects: list[list[tuple[int, tuple[float, float, float, float], bool]]],
) -> None:
    width, height = SIZE
    for result, of_image in zip(drop_invalid(make_split(*objects)).records, objects, strict=True):
        expected = []
        for label, (x1, y1, x2, y2), crowd in of_image:
            box = [min(max(x1, 0), width), min(max(y1, 0), height), min(max(x2, 0), width), min(max(y2, 0), height)]
            row = (label, box, crowd)
            if box[0] < box[2] and box[1] < box[3] and row not in expected:
                expected.append(row)
        rows = list(zip(result.classes.tolist(), result.boxes.tolist(), result.crowd.tolist(), strict=True))
        assert rows == expected
