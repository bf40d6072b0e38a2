"""The sections of a training configuration, as typed settings; unknown keys are refused."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from attendet.attention.base import Start
from attendet.blocks.heads.detection_head import DetectionHead, LossOptions, ScaledLossOptions
from attendet.data.image_decoding.sixteen_bits import MAX_BIT_DEPTH, MIN_BIT_DEPTH
from attendet.data.loading.image_store import ImageCache
from attendet.errors import OptionError
from attendet.utils.limits import MAX_IMGSZ
from attendet.utils.settings import Fraction, NonNegative, Positive, StrictModel

# Far more rows than any network has, but few enough to be listed.
_MAX_ROWS = 10_000


def _parse_attention(value: object) -> object:
    """Return the attention requests of a setting; a string is one request."""
    return () if value is None else (value,) if isinstance(value, str) else value


def _parse_rows(value: object) -> object:
    """Return the rows to freeze; a single number n means the first n rows, as in YOLOv5."""
    if value is None:
        return ()
    if not isinstance(value, str | int) or value == "base":
        return value
    try:
        numbers = tuple(int(part) for part in str(value).replace(",", " ").split())
    except ValueError:
        numbers = ()
    if not numbers or not 0 <= min(numbers) <= max(numbers) <= _MAX_ROWS:
        raise ValueError("must be a number of rows such as 10, row numbers such as 0,3,5, or base")
    return tuple(range(numbers[0])) if len(numbers) == 1 else numbers


class ModelConfig(StrictModel):
    """The network to train.

    Attributes:
        cfg: A model file or the name of a bundled one; None uses the model file of the weights.
        weights: A weights file or a run's folder to start from; None starts from random weights.
        dialect: Dialect in which the attention rows of the model file are read.
        like: What a fork printed when it built the model file (a text file, or the total number of parameters), or its
            checkpoint; the parameter counts decide how the attention rows are read.
        start: Initial state of new attention: "paper" or "identity"; None is identity if there are weights, else paper.
        attention: The attention to attach, such as `cbam@neck` or `se:reduction=8@after:C3`.
        freeze: Numbers of the rows that are not trained, or "base" for everything but attention. A string or integer
            `10` means the first ten rows, and the string `0,3,5` means these three.

    Example:
        >>> ModelConfig(freeze="3").freeze, ModelConfig(freeze="0,4").freeze, ModelConfig(freeze="base").freeze
        ((0, 1, 2), (0, 4), 'base')
    """

    cfg: str | None = None
    weights: str | None = None
    dialect: str = "auto"
    like: str | None = None
    start: Start | None = None
    attention: Annotated[tuple[str, ...], BeforeValidator(_parse_attention)] = ()
    freeze: Annotated[tuple[Annotated[int, Field(ge=0)], ...] | Literal["base"], BeforeValidator(_parse_rows)] = ()


class DataConfig(StrictModel):
    """The images, and how they are loaded.

    Attributes:
        path: A data.yaml, a folder, or a COCO JSON file.
        fraction: Fraction of the training images to use, above 0 and up to 1; a smaller fraction is a subset of a
            larger one.
        format: "yolo", "coco", "voc", "cvat", or "auto" to detect it.
        bit_depth: Number of bits (8 to 16) of the values in images with 16 bits per channel, or "auto" for the bits
            that the set uses; None takes that of the data.yaml, or 16.
        cache: Storage for decoded images: "ram", "disk", "none", or "auto" for ram if they fit.
        workers: Number of processes that augment images; None chooses it.
        rect: Whether batches are rectangles of images with similar shapes instead of squares; excludes mosaic.
        single_cls: Whether all classes are treated as one.
        image_weights: Whether images of rare classes and of classes with a low average precision are drawn more often.
    """

    path: str
    fraction: Annotated[float, Field(gt=0, le=1)] = 1.0
    format: Literal["auto", "yolo", "coco", "voc", "cvat"] = "auto"
    bit_depth: Annotated[int, Field(ge=MIN_BIT_DEPTH, le=MAX_BIT_DEPTH)] | Literal["auto"] | None = None
    cache: ImageCache = "auto"
    workers: Annotated[int, Field(ge=0, le=256)] | None = None
    rect: bool = False
    single_cls: bool = False
    image_weights: bool = False


class OptimizerConfig(StrictModel):
    """The optimizer; settings that are None are chosen from the number of steps (see `attendet.training.recipe`).

    Attributes:
        name: "SGD", "Adam", "AdamW", or "auto".
        lr0: Learning rate after warm-up.
        lrf: Final learning rate as a fraction of `lr0`.
        cos_lr: Whether the learning rate follows a cosine instead of a line.
        momentum: Momentum of SGD, or β1 of Adam and AdamW.
        weight_decay: Weight decay of convolution and linear weights.
        warmup_epochs: Number of epochs until the full learning rate.
        warmup_momentum: Momentum at the start of warm-up.
        warmup_bias_lr: Learning rate of biases at the start of warm-up.
        nominal_batch: Gradients are accumulated over batches up to this number of images.
        ema_decay: Largest decay of the averaged weights.
        ema_ramp: Number of steps over which that decay is approached.
        clip_norm: Largest norm of the gradient; larger gradients are scaled down.
        attention_rate: Factor of the learning rate of attention.
        base_rate: Factor of the learning rate of everything else.
        release_epochs: Number of epochs until all rows are trained. Attention is trained from the start, and the other
            rows are released one after another, from the head to the image. 0 trains everything from the start.
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
    """The length of the training, the size of its batches and images, and early stopping.

    Attributes:
        epochs: Number of passes over the training images.
        batch_size: Images per step, over all processes.
        imgsz: Side of the training images in pixels; rounded up to a multiple of the largest stride.
        multi_scale: Whether the side of each batch varies by up to half.
        close_mosaic: Number of final epochs without mosaic.
        patience: Number of epochs without improvement after which training stops; 0 never stops early.
        seed: Seed for all random number generators.
        deterministic: Whether only deterministic operations are used.
    """

    epochs: Annotated[int, Field(ge=1)] = 300
    batch_size: Annotated[int, Field(ge=1)] = 16
    imgsz: Annotated[int, Field(ge=32, le=MAX_IMGSZ)] = 640
    multi_scale: bool = False
    close_mosaic: Annotated[int, Field(ge=0)] = 0
    patience: Annotated[int, Field(ge=0)] = 100
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)] = 0
    deterministic: bool = True


class LossConfig(StrictModel):
    """Weights and options of the loss, named as in the original hyperparameter files; None is the published value.

    Each family has its own loss: `box`, `cls`, `obj`, `cls_pw`, `obj_pw`, `anchor_t`, `fl_gamma`, and `label_smoothing`
    for YOLOv5 (`attendet.detection.AnchorLossWeights`); `box`, `cls`, and `dfl` for YOLOv8 and YOLO11
    (`attendet.detection.PointLossWeights`). A setting that the loss of the model does not have is an error.

    Attributes:
        box: Weight of the box loss.
        cls: Weight of the class loss.
        obj: Weight of the objectness loss.
        dfl: Weight of the distribution focal loss.
        cls_pw: Weight of positive classes in the binary cross-entropy.
        obj_pw: Weight of positive objectness in the binary cross-entropy.
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction; above 1.
        fl_gamma: γ of the focal loss; 0 for cross-entropy.
        label_smoothing: ε of label smoothing, 0-1.
    """

    box: float | None = None
    cls: float | None = None
    obj: float | None = None
    dfl: float | None = None
    cls_pw: float | None = None
    obj_pw: float | None = None
    anchor_t: float | None = None
    fl_gamma: float | None = None
    label_smoothing: float | None = None

    def options_for(self, head: DetectionHead, imgsz: int) -> LossOptions:
        """Return the options of a head's loss, scaled to the task if they depend on it.

        Args:
            head: The detection head.
            imgsz: Side of the images in pixels.

        Raises:
            OptionError: If a setting has no meaning for the head.

        Example:
            >>> import attendet
            >>> LossConfig(box=0.5).options_for(attendet.build("yolov5n").head, imgsz=640).box
            0.5
        """
        names = [field.name for field in fields(head.loss_options)]
        given = self.model_dump(exclude_none=True)
        foreign = [f"`loss.{name}`" for name in given if name not in names]
        if foreign:
            message = f"{', '.join(foreign)} must not be set for this model, whose loss has {', '.join(names)}"
            raise OptionError(message, remedy="remove them" if len(foreign) > 1 else "remove it")
        options = head.loss_options(**given)
        if isinstance(options, ScaledLossOptions):
            return options.scaled(num_classes=head.num_classes, levels=len(head.strides), imgsz=imgsz)
        return options


class AnchorConfig(StrictModel):
    """Fitting of the anchors to the training data.

    Attributes:
        fit: Whether anchors with too low a recall are fitted to the data.
        min_recall: Best possible recall (0-1) below which the anchors are fitted.
    """

    fit: bool = True
    min_recall: Fraction = 0.98


class HardwareConfig(StrictModel):
    """The devices, the processes, and the precision of the training.

    Attributes:
        device: "cpu", "cuda", CUDA device numbers such as "0" or "0,1", or "auto".
        devices: Number of processes on this machine; None is the number of devices in `device`, or one.
        num_nodes: Number of machines.
        precision: "32-true", "bf16-mixed", "16-mixed", or "auto" for 16 bits on CUDA.
        sync_bn: Whether batch norms share their statistics between processes (CUDA only).
    """

    device: str = "auto"
    devices: Annotated[int, Field(ge=1)] | None = None
    num_nodes: Annotated[int, Field(ge=1)] = 1
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"
    sync_bn: bool = False


class OutputConfig(StrictModel):
    """The files that a run writes.

    Attributes:
        project: Folder that contains the folders of all runs.
        name: Name of the run's folder; a number is appended if it exists.
        exist_ok: Whether the run may write into an existing folder.
        save: Whether the last weights are written after every epoch, or only at the end. The best weights always are.
        save_period: Number of epochs after which the weights are written under a name of their own; 0 never.
        tensorboard: Whether curves are also written for TensorBoard.
        watch_attention: Number of epochs between measurements of the attention weights; 0 never measures them.
    """

    project: str = "runs/train"
    name: str = "exp"
    exist_ok: bool = False
    save: bool = True
    save_period: int = 0
    tensorboard: bool = False
    watch_attention: Annotated[int, Field(ge=0)] = 0
