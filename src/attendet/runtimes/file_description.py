"""The description of a network that its exported file contains, so that the file alone is enough to use it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationError, model_validator

from attendet.detection.map_decoding import MapDecoding
from attendet.detection.suppression_defaults import SuppressionDefaults
from attendet.errors import OptionError
from attendet.utils.json_text import to_json
from attendet.utils.limits import MAX_CLASSES, MAX_IMGSZ, MAX_JSON_BYTES
from attendet.utils.records import describe_mismatch
from attendet.utils.settings import Fraction, StrictModel

METADATA_KEY = "attendet"
"""Name of the entry of a file's metadata that holds its description, as JSON."""

Precision: TypeAlias = Literal["float32", "float16", "int8"]
Side: TypeAlias = Annotated[int, Field(ge=1, le=MAX_IMGSZ)]

MAX_BATCH_PIXELS = 2**28
"""Largest number of pixels in all images that a file of fixed shape takes at a time: 3 GiB in float32."""

_MAX_BATCH = 2**16


def _require_few_pixels(batch: int | None, height: int | None, width: int | None) -> None:
    # A batch is completed with empty images, so a wrong number would take all memory.
    if (batch or 1) * (height or 1) * (width or 1) > MAX_BATCH_PIXELS:
        raise ValueError(f"images of a batch must have at most {MAX_BATCH_PIXELS:,} pixels in total")


def _require_possible_decoding(decoding: MapDecoding) -> MapDecoding:
    decoding.require_possible()
    return decoding


def _require_possible_suppression(defaults: SuppressionDefaults) -> SuppressionDefaults:
    ious = (defaults.prediction_iou, defaults.validation_iou)
    if not all(0 <= iou <= 1 for iou in ious) or defaults.max_detections < 1:
        raise ValueError("thresholds must be 0 to 1, and `max_detections` must be positive")
    return defaults


class InputShape(StrictModel):
    """The shape of the images that a file takes. A size of None may vary.

    Attributes:
        batch: Number of images.
        height: Height in pixels; if it is None, any multiple of the largest stride.
        width: Width in pixels; if it is None, any multiple of the largest stride.
    """

    batch: Annotated[int, Field(ge=1, le=_MAX_BATCH)] | None = None
    height: Side | None = None
    width: Side | None = None

    @model_validator(mode="after")
    def _require_possible_batch(self) -> Self:
        _require_few_pixels(self.batch, self.height, self.width)
        return self


class LetterboxRule(StrictModel):
    """The placement of an image on a canvas: its longer side is scaled to `imgsz`, and the rest is filled with gray.

    Attributes:
        canvas: Rule of `attendet.data.loading.canvases.canvas_shapes`; `fixed` for a file that takes one shape only.
        border: Least width of the gray along an axis, as strides.
        gray: Gray level around the image, 0-255.
    """

    canvas: Literal["border", "fixed"] = "border"
    border: float = 0.5
    gray: int = 114


class BakedSelection(StrictModel):
    """The options of the non-maximum suppression that a file contains.

    Attributes:
        confidence: Smallest score of a detection, 0-1.
        iou: IoU above which a box is suppressed by a more confident one, 0-1.
        max_detections: Number of detections per image in the output.
        agnostic: Whether boxes of different classes suppress each other.
    """

    confidence: Fraction
    iou: Fraction
    max_detections: Annotated[int, Field(ge=1)]
    agnostic: bool


class GateTensor(StrictModel):
    """The output of one part of an attention module, which is an output of the file.

    Attributes:
        name: Path of the part in the attention module, such as `channel`.
        output: Name of the output of the file.
        role: `gate`, `weights`, `softmax`, or `term`, as in `attendet.interpret.capture.GateOutput`.
        outermost: Whether the output is applied to features itself.
        range: Smallest and largest weight of a gate.
    """

    name: str
    output: str
    role: Literal["gate", "weights", "softmax", "term"]
    outermost: bool
    range: tuple[float, float] | None = None


class GateSite(StrictModel):
    """An attention module whose maps are outputs of a file.

    Attributes:
        path: Path of the module in the network.
        module: Name of its class.
        channels: Number of channels of its features.
        join: How the output features follow from the input features, see `attendet.interpret.maps.find_join`.
        maps: Names of the outputs that hold the maps `spatial` (N, H, W), `channels` (N, C), `before` (N, H, W), and
            `after` (N, H, W), see `attendet.interpret.image.site_explanation.SiteExplanation`.
        spatial_kind: What `spatial` holds: `weight` or `softmax`.
        channel_kind: What `channels` holds: `weight`, `softmax`, or `term`.
        parts: Outputs of the module's parts.
    """

    path: str
    module: str
    channels: int
    join: Literal["product", "shuffled product", "sum", "maximum", "addition", "mixture", "none"]
    maps: dict[str, str]
    spatial_kind: Literal["weight", "softmax", "term"]
    channel_kind: Literal["weight", "softmax", "term"]
    parts: tuple[GateTensor, ...]


class FileDescription(StrictModel):
    """What an exported file contains, and how it is used.

    Attributes:
        kind: `detector` for a file that returns boxes; `network` for any other network.
        names: Class names in the order of their indices; empty if they are unknown.
        imgsz: Longer side in pixels that images are scaled to; None for a network that is not a detector.
        bit_depth: Number of bits of the values in images with 16 bits per channel; None if it is unknown.
        strides: Stride of each level in pixels; empty for a network that is not a detector.
        decoding: How the runtime decodes the maps that the file returns; None if the file decodes them.
        shape: Shape of the images.
        letterbox: Placement of an image on its canvas; None for a network that is not a detector.
        selection: Options of the non-maximum suppression in the file. None: the output holds all predictions.
        suppression: Thresholds of non-maximum suppression that are used unless others are given; of every detector.
        outputs: Names of the outputs. `predictions` (N, rows, 4 + num_classes) is x and y of the center, width, and
            height in pixels of the canvas, and the confidence of each class in 0-1. With a selection, `detections`
            (N, max_detections, 6) is x1, y1, x2, y2 in pixels of the canvas, confidence, class, the most confident
            first; the rest has confidence 0.
        gates: Attention modules whose maps are outputs.
        precision: Number format of the convolutions.
        model: Name of the model file.
        text: The model file (YAML).
        attention: Plans of attached attention, as `attendet.surgery.AttentionPlan.to_dict`; empty if the attention was
            left out.
        has_attention: Whether the attention of the network is in the file.
        weights_digest: SHA-256 digest of the names and values of the network's tensors.
        versions: Versions of attendet, torch, and the converter.
        parity: Differences from torch, as `attendet.exporting.Parity.to_dict`; empty before they are measured.

    Example:
        >>> description = FileDescription(kind="network", outputs=("output",), weights_digest="", versions={})
        >>> read_description(description.to_json()) == description
        True
    """

    kind: Literal["detector", "network"]
    names: Annotated[tuple[str, ...], Field(max_length=MAX_CLASSES)] = ()
    imgsz: Side | None = None
    bit_depth: Annotated[int, Field(ge=8, le=16)] | None = None
    strides: tuple[Annotated[float, Field(ge=1, le=MAX_IMGSZ)], ...] = ()
    decoding: Annotated[MapDecoding, AfterValidator(_require_possible_decoding)] | None = None
    shape: InputShape = InputShape()
    letterbox: LetterboxRule | None = None
    selection: BakedSelection | None = None
    suppression: Annotated[SuppressionDefaults, AfterValidator(_require_possible_suppression)] | None = None
    outputs: Annotated[tuple[str, ...], Field(min_length=1)]
    gates: tuple[GateSite, ...] = ()
    precision: Precision = "float32"
    model: str | None = None
    text: str | None = None
    attention: tuple[dict[str, Any], ...] = ()
    has_attention: bool = False
    weights_digest: str
    versions: dict[str, str]
    parity: dict[str, Any] = {}  # noqa: RUF012 - pydantic copies defaults

    @model_validator(mode="after")
    def _require_complete_detector(self) -> Self:
        """Raise an error if runtimes could not use the file of a detector, because files come from strangers."""
        if self.kind != "detector":
            return self
        for name, value in (("names", self.names), ("imgsz", self.imgsz), ("strides", self.strides)):
            if not value:
                raise ValueError(f"`{name}` must not be empty for a detector")
        if self.suppression is None:
            raise ValueError("`suppression` must be given for a detector")
        expected = "predictions" if self.selection is None else "detections"
        if self.outputs[0] != expected:
            raise ValueError(f"the first of `outputs` must be {expected!r}, got {self.outputs[0]!r}")
        sides = (self.shape.height, self.shape.width)
        if (sides[0] is None) != (sides[1] is None):
            raise ValueError("`shape` must have both height and width, or neither")
        if not any(sides):
            _require_few_pixels(self.shape.batch, self.imgsz, self.imgsz)
        if any(side is not None and side % int(max(self.strides)) for side in sides):
            raise ValueError("height and width in `shape` must be multiples of the largest stride")
        if self.decoding is not None and self.decoding.levels not in (None, len(self.strides)):
            raise ValueError("`anchors` must have the same number of anchors for each stride")
        return self

    def to_json(self) -> str:
        """Return the description as one line of JSON."""
        return to_json(self.model_dump(mode="json"), indent=None)


def read_description(text: str) -> FileDescription:
    """Return the description in the metadata of a file.

    Raises:
        OptionError: If it is not such a description.
    """
    if len(text) > MAX_JSON_BYTES:
        raise OptionError(f"the description must have at most {MAX_JSON_BYTES:,} characters, got {len(text):,}")
    try:
        return FileDescription.model_validate_json(text)
    except ValidationError as error:
        raise OptionError(f"the description of the network is damaged: {describe_mismatch(error)}") from error
