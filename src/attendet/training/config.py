"""Everything that decides a training run, typed; keys that do not exist are refused."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from attendet.attention.base import Start
from attendet.data.loading.augmentation import Augmentation
from attendet.data.loading.image_store import Cache
from attendet.detection.loss import LossWeights
from attendet.errors import OptionError, nearest_name
from attendet.evaluation.config import ValidationConfig
from attendet.utils.limits import MAX_IMGSZ
from attendet.utils.settings import Fraction, NonNegative, Positive, StrictModel

# Of rows to freeze: far beyond any network, and few enough to be counted out.
MOST_ROWS = 10_000

# The largest values of what augments and of what the loss is made of; the rest has none.
LARGEST = {
    **dict.fromkeys(("flipud", "fliplr", "mosaic", "mixup", "translate", "hsv_h", "hsv_s", "hsv_v", "scale"), 1.0),
    "label_smoothing": 1.0,
    "degrees": 180.0,
    "shear": 80.0,
    "perspective": 0.001,
}


def _requests(typed: object) -> object:
    """Return what to attach; a word is one request."""
    return () if typed is None else (typed,) if isinstance(typed, str) else typed


def _rows(typed: object) -> object:
    """Return the rows to freeze; one number stands for that many first rows, as in YOLOv5."""
    if typed is None:
        return ()
    if not isinstance(typed, str | int) or typed == "base":
        return typed
    try:
        numbers = tuple(int(part) for part in str(typed).replace(",", " ").split())
    except ValueError:
        numbers = ()
    if not numbers or not 0 <= min(numbers) <= max(numbers) <= MOST_ROWS:
        raise ValueError("write 10 for the first ten rows, rows as 0,3,5, or base")
    return tuple(range(numbers[0])) if len(numbers) == 1 else numbers


class ModelConfig(StrictModel):
    """Which network.

    Attributes:
        cfg: A model file or bundled name; None takes the one that the weights were trained with.
        weights: A file of weights or a run's folder to start from; None starts afresh.
        dialect: How attention rows are read.
        start: How fresh attention starts: paper, or identity; None is identity where there are weights.
        attention: What to attach, such as `cbam@neck` or `se:reduction=8@after:C3`; a word is one request.
        freeze: Rows whose weights are not trained, or `base` for everything but attention. Of a number or a word, `10`
            means the first ten rows, and `0,3,5` these.

    Example:
        >>> ModelConfig(freeze="3").freeze, ModelConfig(freeze="0,4").freeze, ModelConfig(freeze="base").freeze
        ((0, 1, 2), (0, 4), 'base')
    """

    cfg: str | None = None
    weights: str | None = None
    dialect: str = "auto"
    start: Start | None = None
    attention: Annotated[tuple[str, ...], BeforeValidator(_requests)] = ()
    freeze: Annotated[tuple[Annotated[int, Field(ge=0)], ...] | Literal["base"], BeforeValidator(_rows)] = ()


class DataConfig(StrictModel):
    """Which images, and how they reach the network.

    Attributes:
        path: A data.yaml, a folder, or a COCO json.
        fraction: Fraction of the training images to train on, without 0; the smaller is part of the larger.
        format: yolo, coco, voc, or auto to find out by looking.
        cache: Where decoded images are kept: ram, disk, none, or auto for ram where they fit.
        workers: Processes that augment images; None chooses.
        rect: Batches of images of like shapes instead of squares; without mosaic.
        single_cls: Treat all classes as one.
        image_weights: Draw images of classes that are rare and badly found more often.
    """

    path: str
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    format: Literal["auto", "yolo", "coco", "voc"] = "auto"
    cache: Cache = "auto"
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    rect: bool = False
    single_cls: bool = False
    image_weights: bool = False


class OptimizerConfig(StrictModel):
    """How the weights are moved; None is chosen from the number of steps (see `attendet.training.recipe`).

    Attributes:
        name: SGD, Adam, AdamW, or auto.
        lr0: Learning rate after warm-up.
        lrf: Last learning rate as a share of `lr0`.
        cos_lr: Whether the rate falls along a cosine instead of a line.
        momentum: Momentum of SGD, β1 of Adam and AdamW.
        weight_decay: On convolution and linear weights.
        warmup_epochs: Epochs until the full learning rate.
        warmup_momentum: Momentum at the start.
        warmup_bias_lr: Learning rate of biases at the start.
        nominal_batch: Gradients are summed over batches until this many images.
        ema_decay: Largest decay of the averaged weights.
        ema_ramp: Steps in which that decay is approached.
        clip_norm: Longest gradient; longer ones are scaled down.
        attention_rate: Learning rate of attention, as a multiple of the others'.
        base_rate: Learning rate of everything else, likewise.
        release_epochs: Epochs until everything is trained: attention from the first, then one row after another, from
            the head to the image; 0 trains all from the first.
    """

    name: Literal["auto", "SGD", "Adam", "AdamW"] = "auto"
    lr0: Positive | None = None
    lrf: Fraction = 0.01
    cos_lr: bool | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: NonNegative = 5e-4
    warmup_epochs: NonNegative | None = None
    warmup_momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    warmup_bias_lr: NonNegative | None = None
    nominal_batch: Annotated[int, Field(ge=1)] | None = None
    ema_decay: Annotated[float, Field(ge=0, lt=1)] | None = None
    ema_ramp: Positive | None = None
    clip_norm: Positive = 10.0
    attention_rate: NonNegative = 1.0
    base_rate: NonNegative = 1.0
    release_epochs: Annotated[int, Field(ge=0)] = 0


class ScheduleConfig(StrictModel):
    """How long, how large, and when to stop.

    Attributes:
        epochs: Passes over the images.
        batch_size: Images per step, over all processes.
        imgsz: Side of the training images in pixels; rounded up to a multiple of the largest stride.
        multi_scale: Vary the side of each batch by up to half.
        close_mosaic: Last epochs without mosaic.
        patience: Epochs without a better one after which to stop; 0 never stops.
        seed: Of everything random.
        deterministic: Use only operations that give the same result every time.
    """

    epochs: Annotated[int, Field(ge=1)] = 300
    batch_size: Annotated[int, Field(ge=1)] = 16
    imgsz: Annotated[int, Field(ge=32, le=MAX_IMGSZ)] = 640
    multi_scale: bool = False
    close_mosaic: Annotated[int, Field(ge=0)] = 0
    patience: Annotated[int, Field(ge=0)] = 100
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    deterministic: bool = True


class AnchorConfig(StrictModel):
    """When anchors are fitted to the data.

    Attributes:
        fit: Whether they are where they fit badly.
        least_recall: Best possible recall below which they are.
    """

    fit: bool = True
    least_recall: Fraction = 0.98


class HardwareConfig(StrictModel):
    """What computes.

    Attributes:
        device: cpu, cuda, CUDA numbers such as 0 or 0,1, or auto.
        devices: Processes on this machine; None is as many as `device` names, or one.
        num_nodes: Machines.
        precision: 32-true, bf16-mixed, 16-mixed, or auto for 16 bits on CUDA.
        sync_bn: Fraction batch statistics between processes (CUDA).
    """

    device: str = "auto"
    devices: Annotated[int, Field(ge=1)] | None = None
    num_nodes: Annotated[int, Field(ge=1)] = 1
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    sync_bn: bool = False


class OutputConfig(StrictModel):
    """Where results go.

    Attributes:
        project: Folder of runs.
        name: Name of this run; a number is appended where it is taken.
        exist_ok: Write into a folder that exists.
        save: Whether the last weights are written every epoch, or at the end only; the best always are.
        save_period: Keep the weights of every so many epochs; 0 none.
        tensorboard: Whether curves are written for TensorBoard too.
        watch_attention: Write what attention does every so many epochs; 0 never.
    """

    project: str = "runs/train"
    name: str = "exp"
    exist_ok: bool = False
    save: bool = True
    save_period: int = 0
    tensorboard: bool = False
    watch_attention: Annotated[int, Field(ge=0)] = 0


def _plain(options: object) -> object:
    # pydantic takes a dataclass's instance as it is, unchecked.
    return vars(options) if isinstance(options, Augmentation | LossWeights) else options


class TrainConfig(StrictModel):
    """A training run.

    Example:
        >>> config = TrainConfig(data=DataConfig(path="data.yaml"), model=ModelConfig(cfg="yolov5n"))
        >>> config.schedule.epochs, config.loss.box
        (300, 0.05)
    """

    data: DataConfig
    model: ModelConfig
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: Annotated[Augmentation, BeforeValidator(_plain)] = Augmentation()
    loss: Annotated[LossWeights, BeforeValidator(_plain)] = LossWeights()
    anchors: AnchorConfig = AnchorConfig()
    validation: ValidationConfig = ValidationConfig()
    hardware: HardwareConfig = HardwareConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _bounded(self) -> TrainConfig:
        for room, options in (("augment", self.augment), ("loss", self.loss)):
            for field in fields(options):
                value = getattr(options, field.name)
                top = LARGEST.get(field.name, math.inf)
                if not (0 <= value <= top and math.isfinite(value)):
                    bounds = "0 or more" if math.isinf(top) else f"from 0 to {top:g}"
                    raise ValueError(f"{room}.{field.name} is {value}; it is {bounds}")
        if self.loss.anchor_t <= 1:
            raise ValueError(f"loss.anchor_t is {self.loss.anchor_t}; it is above 1, for it is a ratio either way")
        return self


def build_config(values: Mapping[str, object]) -> TrainConfig:
    """Return the configuration of dotted keys.

    Args:
        values: From keys such as `optimizer.lr0` to values; words are read as the field's type.

    Raises:
        OptionError: If a key does not exist, with the nearest that does, or a value cannot be.

    Example:
        >>> build_config({"data.path": "a.yaml", "schedule.epochs": "3"}).schedule.epochs
        3
        >>> build_config({"data.path": "a.yaml", "schedule.epoch": 3})
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: unknown setting 'schedule.epoch'; did you mean 'schedule.epochs'?
    """
    known = tuple(setting_names())
    tree: dict[str, Any] = {"model": {}}
    for key, value in values.items():
        if key not in known:
            nearest = nearest_name(key, known) or nearest_name(
                key.split(".")[-1], [name.split(".")[1] for name in known]
            )
            full = next((name for name in known if nearest in (name, name.split(".")[1])), None)
            remedy = f"did you mean {full!r}?" if full else f"settings begin with {', '.join(TrainConfig.model_fields)}"
            raise OptionError(f"unknown setting {key!r}", remedy=remedy)
        room, name = key.split(".")
        tree.setdefault(room, {})[name] = value
    try:
        return TrainConfig.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].removeprefix("Value error, ")
        if len(first["loc"]) < 2:
            raise OptionError(message) from error
        key = ".".join(str(part) for part in first["loc"][:2])
        raise OptionError(f"{key} is {first['input']!r}", remedy=message[:1].lower() + message[1:]) from error


def setting_names() -> Iterator[str]:
    """Yield every dotted key of the configuration.

    Example:
        >>> "loss.box" in setting_names()
        True
    """
    for room, field in TrainConfig.model_fields.items():
        kind: Any = field.annotation
        names = [item.name for item in fields(kind)] if is_dataclass(kind) else kind.model_fields
        yield from (f"{room}.{name}" for name in names)
