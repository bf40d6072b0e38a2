"""Counts of inputs and detections."""

from collections import Counter

from attendet.prediction.session import PredictionCounts
from tests.helpers.parsed_html import ParsedHtml


def test_counts_show_the_most_frequent_class_first() -> None:
    counts = PredictionCounts(images=2, videos=1, frames=1500, detections=Counter({"<b>": 3, "cell": 1200}))
    parsed = ParsedHtml(counts._repr_html_())
    assert parsed.paragraphs == ["2 images, 1 video, 1,500 video frames"]
    assert parsed.rows == [["class", "detections"], ["cell", "1,200"], ["<b>", "3"]]
    assert parsed.tags == {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    assert counts.total == 1502
