"""The description of a network in the metadata of its exported file, checked like any input of a stranger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from attendet_runtime.errors import RuntimeFileError

METADATA_KEY = "attendet"
"""Name of the entry of a file's metadata that holds its description, as JSON."""

MAX_IMGSZ = 8192
"""Largest side in pixels that images are scaled to."""

_MAX_CHARACTERS = 8 * 1024 * 1024
_MAX_CLASSES = 100_000
_MAX_SITES = 1000
_KINDS = ("weight", "softmax", "term")


@dataclass(frozen=True)
class BorderRule:
    """The gray around an image on its canvas.

    Attributes:
        border: Least width of the gray along an axis, as strides.
        gray: Gray level, 0-255.
    """

    border: float = 0.5
    gray: int = 114


@dataclass(frozen=True)
class BakedSelection:
    """The options of the non-maximum suppression that a file contains.

    Attributes:
        confidence: Smallest score of a detection, 0-1.
        iou: IoU above which a box is suppressed by a more confident one, 0-1.
        max_detections: Number of detections per image in the output.
        agnostic: Whether boxes of different classes suppress each other.
    """

    confidence: float
    iou: float
    max_detections: int
    agnostic: bool


@dataclass(frozen=True)
class GateSite:
    """An attention module whose maps are outputs of the file.

    Attributes:
        path: Path of the module in the network.
        module: Name of its class.
        maps: Names of the outputs by map: `spatial`, `channels`, `before`, `after`.
        spatial_kind: Contents of `spatial`: `weight`, `softmax`, or `term`.
    """

    path: str
    module: str
    maps: Mapping[str, str]
    spatial_kind: str


@dataclass(frozen=True)
class Description:
    """The properties of an exported detector.

    Attributes:
        names: Class names in the order of their indices.
        imgsz: Longer side in pixels that images are scaled to.
        strides: Stride of each level in pixels.
        rule: The gray around an image.
        canvas: Height and width in pixels of the only canvas that the file takes; None for any canvas.
        batch: Number of images that the file takes at once; None for any number.
        bit_depth: Number of bits of the values in images with 16 bits per channel.
        selection: Options of the non-maximum suppression in the file; None if the output holds all predictions.
        iou: IoU threshold of non-maximum suppression that is used unless another is given, 0-1.
        max_detections: Largest number of detections per image that is used unless another is given.
        gates: Attention modules whose maps are outputs.
        precision: Number format of the convolutions.
    """

    names: tuple[str, ...]
    imgsz: int
    strides: tuple[float, ...]
    rule: BorderRule
    canvas: tuple[int, int] | None = None
    batch: int | None = None
    bit_depth: int = 16
    selection: BakedSelection | None = None
    iou: float = 0.45
    max_detections: int = 1000
    gates: tuple[GateSite, ...] = ()
    precision: str = "float32"


def parse_description(text: str | None) -> Description:
    """Return the description of a detector.

    Args:
        text: The entry `attendet` of the file's metadata; None if the file lacks it.

    Raises:
        RuntimeFileError: If the text is missing or damaged, or describes a network that is not a detector.
    """
    if text is None:
        raise RuntimeFileError("the file has no description of attendet; write it with `attendet export`")
    if len(text) > _MAX_CHARACTERS:
        raise _damaged("the text", f"have at most {_MAX_CHARACTERS:,} characters", len(text))
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise RuntimeFileError("the description in the file is damaged: it must be JSON") from error
    fields = _Fields(values, "the description")
    if fields.text("kind") != "detector":
        raise RuntimeFileError("the file must be a detector, got another network; its description has no boxes")
    return _detector(fields)


def _detector(fields: _Fields) -> Description:
    shape, rule, suppression = (fields.part(name) for name in ("shape", "letterbox", "suppression"))
    height, width = (shape.optional_integer(side, 1, MAX_IMGSZ) for side in ("height", "width"))
    batch = shape.optional_integer("batch", 1, 2**31)
    is_fixed = rule.text("canvas") == "fixed"
    if [height is not None, width is not None] != [is_fixed, is_fixed]:
        raise _damaged("`letterbox.canvas`", "be `fixed` exactly if height and width are", rule.text("canvas"))
    strides = tuple(
        _number(stride, "`strides`", 1, MAX_IMGSZ, is_integer=False) for stride in fields.sequence("strides", 1, 16)
    )
    names = tuple(_text(name, "`names`") for name in fields.sequence("names", 1, _MAX_CLASSES))
    return Description(
        names=names,
        imgsz=fields.integer("imgsz", 1, MAX_IMGSZ),
        strides=strides,
        rule=BorderRule(rule.number("border", 0, 100), rule.integer("gray", 0, 255)),
        canvas=None if height is None or width is None else (height, width),
        batch=batch,
        bit_depth=fields.optional_integer("bit_depth", 8, 16) or 16,
        selection=_selection(fields),
        iou=suppression.number("prediction_iou", 0, 1),
        max_detections=suppression.integer("max_detections", 1, 2**31),
        gates=tuple(map(_gate_site, fields.sequence("gates", 0, _MAX_SITES))),
        precision=fields.text("precision"),
    )


def _selection(fields: _Fields) -> BakedSelection | None:
    if fields.values.get("selection") is None:
        return None
    selection = fields.part("selection")
    agnostic = selection.values.get("agnostic")
    if not isinstance(agnostic, bool):
        raise _damaged("`selection.agnostic`", "be true or false", agnostic)
    return BakedSelection(
        selection.number("confidence", 0, 1),
        selection.number("iou", 0, 1),
        selection.integer("max_detections", 1, 2**31),
        agnostic,
    )


def _gate_site(values: object) -> GateSite:
    fields = _Fields(values, "`gates`")
    maps = {_text(name, "`gates.maps`"): _text(output, "`gates.maps`") for name, output in fields.part("maps").items()}
    kind = fields.text("spatial_kind")
    if kind not in _KINDS:
        raise _damaged("`gates.spatial_kind`", f"be one of {', '.join(_KINDS)}", kind)
    return GateSite(fields.text("path"), fields.text("module"), maps, kind)


class _Fields:
    """The fields of a JSON object, each checked when it is read."""

    def __init__(self, values: object, name: str) -> None:
        if not isinstance(values, dict):
            raise _damaged(name, "be an object", values)
        self.values: dict[str, Any] = values
        self._prefix = "" if name == "the description" else f"{name.strip('`')}."

    def items(self) -> list[tuple[str, Any]]:
        return list(self.values.items())

    def part(self, key: str) -> _Fields:
        return _Fields(self.values.get(key), self._name(key))

    def text(self, key: str) -> str:
        return _text(self.values.get(key), self._name(key))

    def sequence(self, key: str, fewest: int, most: int) -> list[Any]:
        values = self.values.get(key)
        if not isinstance(values, list) or not fewest <= len(values) <= most:
            raise _damaged(self._name(key), f"be a list of {fewest} to {most:,} values", values)
        return values

    def number(self, key: str, low: float, high: float) -> float:
        return _number(self.values.get(key), self._name(key), low, high, is_integer=False)

    def integer(self, key: str, low: int, high: int) -> int:
        return int(_number(self.values.get(key), self._name(key), low, high, is_integer=True))

    def optional_integer(self, key: str, low: int, high: int) -> int | None:
        return None if self.values.get(key) is None else self.integer(key, low, high)

    def _name(self, key: str) -> str:
        return f"`{self._prefix}{key}`"


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise _damaged(name, "be a text", value)
    return value


def _number(value: object, name: str, low: float, high: float, *, is_integer: bool) -> float:
    # NaN is in no range, and True is an int.
    if isinstance(value, int if is_integer else int | float) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise _damaged(name, f"be {'an integer' if is_integer else 'a number'} from {low} to {high}", value)


def _damaged(name: str, must: str, value: object) -> RuntimeFileError:
    shown = repr(value)
    shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
    return RuntimeFileError(f"the description in the file is damaged: {name} must {must}, got {shown}")
