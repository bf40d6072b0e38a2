"""The weights and options of a run's loss: those of the configuration, and the published ones of the head."""

from __future__ import annotations

from dataclasses import fields

from attendet.blocks.heads.detection_head import DetectionHead, LossOptions
from attendet.errors import OptionError
from attendet.training.config_sections import LossConfig


def loss_options(head: DetectionHead, config: LossConfig, imgsz: int) -> LossOptions:
    """Return the options of a head's loss, scaled to the number of classes, the levels, and the image size.

    Args:
        head: The detection head.
        config: The settings; None is the published value.
        imgsz: Side of the images in pixels.

    Raises:
        OptionError: If a setting has no meaning for the head.

    Example:
        >>> import attendet
        >>> head = attendet.build("yolov5n").head
        >>> loss_options(head, LossConfig(box=0.1), imgsz=640).box
        0.1
    """
    names = [field.name for field in fields(head.loss_options)]
    given = {name: value for name, value in config.model_dump().items() if value is not None}
    for name, value in given.items():
        if name not in names:
            raise OptionError(
                f"`loss.{name}` must not be set for this model, got {value}", remedy=f"its loss has {', '.join(names)}"
            )
    options = head.loss_options(**given)
    return options.scaled(num_classes=head.num_classes, levels=len(head.strides), imgsz=imgsz)
