"""Descriptions in files are read completely, or refused with the name of the damaged field."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.runtimes.file_description import METADATA_KEY, GateSite
from attendet_runtime.description import BakedSelection, parse_description
from attendet_runtime.errors import RuntimeFileError
from tests.helpers.calibrated_detector import NAMES
from tests.runtime_distribution.exported_files import baked_description, fixed_description, small_description

YOLOV8 = SuppressionDefaults(0.7, 0.7, 300)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(10**400),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def test_the_key_is_that_of_attendet() -> None:
    from attendet_runtime.description import METADATA_KEY as KEY  # noqa: PLC0415 (the same name)

    assert KEY == METADATA_KEY


def test_all_fields_are_read() -> None:
    site = GateSite(
        path="model.9",
        module="CBAM",
        channels=8,
        join="product",
        maps={"spatial": "model.9.spatial"},
        spatial_kind="weight",
        channel_kind="weight",
        parts=(),
    )
    written = baked_description(
        0.3, 0.6, 7, gates=(site,), bit_depth=12, precision="int8", imgsz=96, suppression=YOLOV8
    )
    read = parse_description(written.to_json())
    assert (read.names, read.imgsz, read.strides, read.bit_depth, read.precision) == (NAMES, 96, (32.0,), 12, "int8")
    assert read.selection == BakedSelection(0.3, 0.6, 7, agnostic=False)
    assert [(each.path, each.module, each.maps, each.spatial_kind) for each in read.gates] == [
        ("model.9", "CBAM", {"spatial": "model.9.spatial"}, "weight")
    ]
    assert (read.iou, read.max_detections) == (0.7, 300)
    assert (read.canvas, read.batch, read.rule.border, read.rule.gray) == (None, None, 0.5, 114)
    assert parse_description(fixed_description(96, 128).to_json()).canvas == (96, 128)


def changed(path: str, value: Any) -> str:
    """Return the JSON of a description with another value at a path such as `letterbox.gray`."""
    values = json.loads(small_description().to_json())
    *parents, last = path.split(".")
    inner = values
    for parent in parents:
        inner = inner[parent]
    inner[last] = value
    return json.dumps(values)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("kind", "network", "must be a detector"),
        ("kind", 3, "`kind` must be a text, got 3"),
        ("names", [], "`names` must be a list of 1 to 100,000 values"),
        ("names", ["a", 1], "`names` must be a text, got 1"),
        ("imgsz", 0, "`imgsz` must be an integer from 1 to 8192, got 0"),
        ("imgsz", True, "`imgsz` must be an integer from 1 to 8192, got True"),
        ("imgsz", None, "`imgsz` must be an integer from 1 to 8192, got None"),
        ("strides", [0], "`strides` must be a number from 1 to 8192, got 0"),
        ("strides", [float("nan")], "`strides` must be a number from 1 to 8192, got nan"),
        ("letterbox", None, "`letterbox` must be an object"),
        ("letterbox.gray", 256, "`letterbox.gray` must be an integer from 0 to 255, got 256"),
        ("letterbox.canvas", "fixed", "`letterbox.canvas` must be `fixed` exactly if height and width are"),
        ("shape.height", 64, "`letterbox.canvas` must be `fixed` exactly if height and width are"),
        ("bit_depth", 7, "`bit_depth` must be an integer from 8 to 16, got 7"),
        ("selection", {"confidence": 2}, "`selection.agnostic` must be true or false"),
        ("suppression", None, "`suppression` must be an object"),
        ("suppression.prediction_iou", 1.1, "`suppression.prediction_iou` must be a number from 0 to 1, got 1.1"),
        ("suppression.max_detections", 0, "`suppression.max_detections` must be an integer from 1 to"),
        ("gates", [{}], "`gates.maps` must be an object"),
    ],
)
def test_damaged_fields_are_named(path: str, value: Any, message: str) -> None:
    with pytest.raises(RuntimeFileError, match=message):
        parse_description(changed(path, value))


@given(path=st.sampled_from(sorted(json.loads(small_description().to_json()))), value=JSON_VALUES)
def test_any_other_value_is_accepted_or_one_line(path: str, value: Any) -> None:
    try:
        parse_description(changed(path, value))
    except RuntimeFileError as error:
        assert str(error).isprintable()  # noqa: PT017 (valid values raise nothing)


@pytest.mark.parametrize("text", ["", "{", "[" * 10_000, "9" * 10_000, '"text"', "[]", "null"])
def test_texts_that_are_not_descriptions_are_refused(text: str) -> None:
    with pytest.raises(RuntimeFileError, match="the description in the file is damaged"):
        parse_description(text)


def test_a_file_without_a_description_is_refused() -> None:
    with pytest.raises(RuntimeFileError, match="has no description of attendet; write it with `attendet export`"):
        parse_description(None)
