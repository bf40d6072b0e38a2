"""The configuration of a training run, built from dotted keys such as `optimizer.lr0`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, model_validator

from attendet.data.loading.augmentation import Augmentation
from attendet.errors import OptionError, nearest_name
from attendet.evaluation.config import ValidationConfig
from attendet.training.config_sections import (
    AnchorConfig,
    DataConfig,
    HardwareConfig,
    LossConfig,
    ModelConfig,
    OptimizerConfig,
    OutputConfig,
    ScheduleConfig,
)
from attendet.utils.settings import StrictModel, describe_invalid
from attendet.utils.text import short_repr

# The largest values of the settings of augmentation and loss; settings that are not listed have no upper limit.
_MAX_VALUES = {
    **dict.fromkeys(("flipud", "fliplr", "mosaic", "mixup", "translate", "hsv_h", "hsv_s", "hsv_v", "scale"), 1.0),
    "label_smoothing": 1.0,
    "degrees": 180.0,
    "shear": 80.0,
    "perspective": 0.001,
}


def _as_mapping(options: object) -> object:
    # pydantic does not validate an instance of a dataclass.
    return vars(options) if isinstance(options, Augmentation) else options


class TrainConfig(StrictModel):
    """The configuration of a training run: one section for each group of settings.

    Attributes:
        data: The images, and how they are loaded.
        model: The network to train.
        schedule: Length of the training, size of its batches and images, and early stopping.
        optimizer: The optimizer.
        augment: Augmentation of the training images.
        loss: Weights and options of the loss.
        anchors: Fitting of the anchors to the training data.
        validation: Thresholds of the detections that are measured.
        hardware: Devices, processes, and precision.
        output: The files that the run writes.

    Example:
        >>> config = TrainConfig(data=DataConfig(path="data.yaml"), model=ModelConfig(cfg="yolov5n"))
        >>> config.schedule.epochs, config.augment.mosaic
        (300, 1.0)
    """

    data: DataConfig
    model: ModelConfig
    schedule: ScheduleConfig = ScheduleConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    augment: Annotated[Augmentation, BeforeValidator(_as_mapping)] = Augmentation()
    loss: LossConfig = LossConfig()
    anchors: AnchorConfig = AnchorConfig()
    validation: ValidationConfig = ValidationConfig()
    hardware: HardwareConfig = HardwareConfig()
    output: OutputConfig = OutputConfig()

    @model_validator(mode="after")
    def _check_ranges(self) -> TrainConfig:
        for section, options in (("augment", vars(self.augment)), ("loss", self.loss.model_dump(exclude_none=True))):
            for name, value in options.items():
                largest = _MAX_VALUES.get(name, math.inf)
                if not (0 <= value <= largest and math.isfinite(value)):
                    rule = "finite and at least 0" if math.isinf(largest) else f"from 0 to {largest:g}"
                    raise ValueError(f"`{section}.{name}` must be {rule}, got {value}")
        if self.loss.anchor_t is not None and self.loss.anchor_t <= 1:
            raise ValueError(f"`loss.anchor_t` must be above 1 because it is a ratio, got {self.loss.anchor_t}")
        return self


def build_config(values: Mapping[str, object]) -> TrainConfig:
    """Return the configuration that dotted keys and their values describe; all other settings have their defaults.

    Args:
        values: Values by dotted key, such as `optimizer.lr0`; strings are converted to the type of the setting.

    Raises:
        OptionError: If a key does not exist (the error names the nearest one), or a value is invalid.

    Example:
        >>> build_config({"data.path": "a.yaml", "schedule.epochs": "3"}).schedule.epochs
        3
        >>> build_config({"data.path": "a.yaml", "schedule.epoch": 3})
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: unknown setting 'schedule.epoch'; did you mean 'schedule.epochs'?
        >>> build_config({"data.path": "a.yaml", "schedule.epochs": 0})
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `schedule.epochs` must be greater than or equal to 1, got 0
    """
    known = tuple(setting_names())
    sections: dict[str, Any] = {"model": {}}
    for key, value in values.items():
        if key not in known:
            raise _unknown_setting(key, known)
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    try:
        return TrainConfig.model_validate(sections)
    except ValidationError as error:
        raise _invalid_setting(error) from error


def setting_names() -> Iterator[str]:
    """Yield the dotted key of every setting.

    Example:
        >>> "loss.box" in setting_names()
        True
    """
    for section, field in TrainConfig.model_fields.items():
        kind: Any = field.annotation
        names = [item.name for item in fields(kind)] if is_dataclass(kind) else kind.model_fields
        yield from (f"{section}.{name}" for name in names)


def _unknown_setting(key: str, known: tuple[str, ...]) -> OptionError:
    """Return the error for a key that does not exist, with the nearest key or the nearest name in any section."""
    names = [name.split(".")[1] for name in known]
    nearest = nearest_name(key, known) or nearest_name(key.rpartition(".")[2], names)
    full = next((name for name in known if nearest in (name, name.split(".")[1])), None)
    remedy = f"did you mean {full!r}?" if full else f"settings start with {', '.join(TrainConfig.model_fields)}"
    return OptionError(f"unknown setting {short_repr(key)}", remedy=remedy)


def _invalid_setting(error: ValidationError) -> OptionError:
    """Return the error for the first value that pydantic found to be invalid."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    if len(first["loc"]) < 2:
        return OptionError(message)
    key = ".".join(str(part) for part in first["loc"][:2])
    return OptionError(describe_invalid(key, message, first["input"]))
