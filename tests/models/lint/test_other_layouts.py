"""Shifted row numbers in files of a layout that the check does not know."""

from __future__ import annotations

from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file, fix_model_file
from attendet.models.yaml.model_file import ModelFile, read_model_file

# YOLOv5 with a fourth level at the end.
FOURTH_LEVEL = """  - [17, 1, Conv, [128, 1, 1]]
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 2], 1, Concat, [1]]
  - [-1, 3, C3, [128, False]]
  - [[27, 17, 20, 23], 1, Detect"""


def edited(text: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def read(text: str) -> ModelFile:
    return read_model_file(text, "model.yaml")


ORIGINAL = edited(
    bundled_text("yolov5s"),
    ("anchors:\n", "anchors:\n  - [5, 6, 8, 14, 15, 11]\n"),
    ("  - [[17, 20, 23], 1, Detect", FOURTH_LEVEL),
)
STALE = edited(ORIGINAL, ("SPPF, [1024, 5]]", "SPPF, [1024, 5]]\n  - [-1, 1, CBAM, []]"))
RIGHT = edited(
    STALE,
    ("[-1, 14]", "[-1, 15]"),
    ("[-1, 10]", "[-1, 11]"),
    ("[17, 1, Conv", "[18, 1, Conv"),
    ("[27, 17, 20, 23]", "[28, 18, 21, 24]"),
)


def test_numbers_are_corrected_if_that_removes_every_fault() -> None:
    assert check_model_file(read(STALE))[0].kind == "shifted-index"
    correction = fix_model_file(read(STALE))
    assert (correction.text, correction.remaining) == (RIGHT, ())


def test_files_without_faults_are_not_corrected() -> None:
    for text in (ORIGINAL, RIGHT):
        assert check_model_file(read(text)) == []
        assert fix_model_file(read(text)).changes == ()


def test_numbers_are_not_called_shifted_if_other_faults_remain() -> None:
    text = edited(STALE, ("[-1, 2], 1, Concat", "[-1, 4], 1, Concat"))
    assert "shifted-index" not in [finding.kind for finding in check_model_file(read(text))]
    assert fix_model_file(read(text)).text == text
