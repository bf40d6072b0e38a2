"""The data set that the tests of reports and figures share."""

import pytest

from attendet.data.records import ImageRecords, Problem, ProblemKind, Split
from attendet.errors import Location
from tests.data.report.report_cases import NAMES, record


@pytest.fixture
def splits() -> list[Split]:
    train = [
        # Scaled by 1/2 at 640: 10x20, 50x50 and 200x100 pixels.
        record("a.jpg", (1280, 960), [[0, 0, 20, 40], [100, 100, 200, 200], [0, 0, 400, 200]], [0, 0, 1]),
        record("b.jpg", (320, 640), [], []),
        # Scaled by 2: 8x40 pixels; and 7x200, because half of the box is outside the image.
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
