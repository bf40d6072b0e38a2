"""How rows with attention were understood, in words."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from attendet.attention.catalog import attentions
from attendet.blocks.catalog import blocks
from attendet.models.planning import ModelPlan, PlannedRow


def attention_readings(plan: ModelPlan) -> list[str]:
    """Return one line for every row with attention."""
    described = ((planned.row, describe_attention(planned)) for planned in plan.rows)
    return [f"row {row.index} {row.module}: {text}" for row, text in described if text]


def describe_attention(planned: PlannedRow) -> str:
    """Return how a row with attention was understood, in words; nothing for other rows."""
    if planned.recipe is None or not (planned.kind == "gate" or planned.recipe.options):
        return ""
    if planned.reading is None:
        block = blocks.get(planned.row.module).make
        first_line = (inspect.getdoc(block) or planned.row.module).splitlines()[0].replace("`", "").rstrip(".")
        return f"{first_line}; {_named(planned.recipe.options)}"
    attention = attentions.get(planned.row.module)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(attention).parameters.items()
        # A row of a model file weighs images.
        if parameter.default not in (None, inspect.Parameter.empty) and name != "dims"
    }
    declared = "" if planned.reading.width is None else f" (declared: {planned.reading.width})"
    return f"{planned.recipe.arguments[0]} channels{declared}; {_named(defaults | dict(planned.recipe.options))}"


def _named(options: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
