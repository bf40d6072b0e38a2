"""Descriptions of how attention rows are read."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from attendet.attention.catalog import attentions
from attendet.blocks.catalog import blocks
from attendet.models.planning import ModelPlan
from attendet.models.yaml.row_planning import PlannedRow


def attention_readings(plan: ModelPlan) -> list[str]:
    """Describe how each attention row of a model is read, one line per row.

    Example:
        >>> from attendet.models.planning import plan_model
        >>> print(attention_readings(plan_model("yolov5s_CBAM"))[0])  # doctest: +ELLIPSIS
        row 9 CBAM: 512 channels (declared: 512); reduction 16, kernel_size 7, variant plain, start paper...
    """
    described = ((planned.row, describe_attention(planned)) for planned in plan.rows)
    return [f"row {row.index} {row.module}: {description}" for row, description in described if description]


def describe_attention(planned: PlannedRow) -> str:
    """Return the channels and options of an attention row, or an empty text for other rows."""
    if planned.spec is None or not (planned.kind == "gate" or planned.spec.options):
        return ""
    if planned.reading is None:
        block = blocks.get(planned.row.module).make
        first_line = (inspect.getdoc(block) or planned.row.module).splitlines()[0].replace("`", "").rstrip(".")
        return f"{first_line}; {_list_options(planned.spec.options)}"
    attention = attentions.get(planned.row.module)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(attention).parameters.items()
        # `dims` is always 2: the rows of model files process images.
        if parameter.default not in (None, inspect.Parameter.empty) and name != "dims"
    }
    declared = "" if planned.reading.width is None else f" (declared: {planned.reading.width})"
    options = _list_options(defaults | dict(planned.spec.options))
    return f"{planned.spec.arguments[0]} channels{declared}; {options}"


def _list_options(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
