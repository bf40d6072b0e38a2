"""What a study is: which arms are compared, on what, how often, and by which number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StrictInt, StringConstraints
from pydantic_core import PydanticCustomError

from attendet.utils.settings import Positive, StrictModel

Metric = Literal["map50_95", "map50", "precision", "recall"]
METRIC_NAMES: Mapping[Metric, str] = {
    "map50_95": "mAP50-95",
    "map50": "mAP50",
    "precision": "precision",
    "recall": "recall",
}

MOST_SEEDS = 1000
MOST_CELLS = 10_000
# What the study itself decides, and under which key a user decides it.
DECIDED: Mapping[str, str] = {
    "data.path": "data",
    "data.fraction": "fractions",
    "model.cfg": "model",
    "model.weights": "weights",
    "model.attention": "arms",
    "schedule.seed": "seeds",
    "output.project": "attendet study run",
    "output.name": "name",
    "output.exist_ok": "attendet study run",
}

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=40)]
Word = Annotated[str, StringConstraints(min_length=1)]
Setting = int | float | bool | str | None | list[int | float | str]


def listed(value: object) -> object:
    """Return one word as a list of it, and everything else as it is."""
    return [value] if isinstance(value, str) else value


def _whole_arm(value: object) -> object:
    """An arm may be nothing, one request, a list of them, or written out."""
    if value is None:
        return {}
    return {"attention": value} if isinstance(value, str | list) else value


def _counted(value: object) -> object:
    """`seeds: 6` is 0 to 5."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_SEEDS:
        raise PydanticCustomError("seeds", "write how many, 1 to {most}, or which, as [0, 1, 2]", {"most": MOST_SEEDS})
    return list(range(value))


class Arm(StrictModel):
    """One way to build or train the detector.

    Attributes:
        attention: What is attached, as `attendet train --attention` takes it.
        model: Another base model than the study's.
        weights: Other weights to start from than the study's.
        recipe: Settings that this arm alone has.
        control: The arm that shows what its parameters, or its time, bring without attention.
    """

    attention: Annotated[tuple[Word, ...], BeforeValidator(listed)] = ()
    model: Word | None = None
    weights: Word | None = None
    recipe: dict[str, Setting] = Field(default_factory=dict)
    control: Word | None = None

    def describe(self) -> str:
        """Return what makes this arm what it is, in a few words.

        Example:
            >>> Arm(attention=("cbam@neck",), recipe={"optimizer.lr0": 0.002}).describe(), Arm().describe()
            ('cbam@neck, optimizer.lr0=0.002', 'as it is')
        """
        parts = [part for part in (self.model, self.weights, *self.attention) if part]
        parts += [f"{key}={value}" for key, value in self.recipe.items()]
        return ", ".join(parts) or "as it is"


class Design(StrictModel):
    """What a study and a search have in common.

    Attributes:
        name: Of the study or search, and of its folder.
        model: Base model: a bundled name or a model file.
        weights: Weights that all runs start from.
        data: A data.yaml, a folder, or a COCO json.
        recipe: Settings of all runs, by dotted key, as `attendet train --set` takes them.
        metric: The one number that decides.
        last_epochs: It is averaged over so many last epochs; no epoch is picked.
    """

    name: Name
    model: Word
    weights: Word | None = None
    data: Word
    recipe: dict[str, Setting] = Field(default_factory=dict)
    metric: Metric = "map50_95"
    last_epochs: Annotated[StrictInt, Field(ge=1)] = 3


class StudyDesign(Design):
    """A study; what is not told here, `Design` tells.

    Attributes:
        arms: By name.
        baseline: The arm that the others are compared with.
        seeds: Each arm is trained once with each.
        fractions: Shares of the training images; 1 is among them, and decides.
        budget_hours: What it may take; `attendet study plan` compares.
        spread: Standard deviation of paired differences to plan with, in units of the metric; None where unknown.

    Example:
        >>> from attendet.study.design.design_file import parse_design
        >>> design = parse_design("{name: a, model: yolov5n, data: d.yaml, seeds: 6, arms: {plain: , cbam: cbam@neck}}")
        >>> design.seeds, design.baseline, design.arms["cbam"].attention
        ((0, 1, 2, 3, 4, 5), 'plain', ('cbam@neck',))
    """

    arms: Annotated[dict[Name, Annotated[Arm, BeforeValidator(_whole_arm)]], Field(min_length=2)]
    baseline: Word = ""
    seeds: Annotated[
        tuple[Annotated[StrictInt, Field(ge=0, le=2**32 - 1)], ...],
        BeforeValidator(_counted),
        Field(min_length=1, max_length=MOST_SEEDS),
    ]
    fractions: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], Field(min_length=1)] = (1.0,)
    budget_hours: Positive | None = None
    spread: Positive | None = None

    def settings(self, arm: str, seed: int) -> dict[str, object]:
        """Return what a run of an arm is told, by dotted key; places of files are as written.

        Example:
            >>> from attendet.study.design.design_file import parse_design
            >>> design = parse_design("{name: a, model: yolov5n, data: d.yaml, seeds: 2, arms: {a: , b: se@neck}}")
            >>> design.settings("b", seed=1)["model.attention"], design.settings("b", seed=1)["schedule.seed"]
            (('se@neck',), 1)
        """
        chosen = self.arms[arm]
        return {
            **self.recipe,
            **chosen.recipe,
            "data.path": self.data,
            "model.cfg": chosen.model or self.model,
            "model.weights": chosen.weights or self.weights,
            "model.attention": chosen.attention,
            "schedule.seed": seed,
        }

    @property
    def comparisons(self) -> int:
        """How many arms are compared with the baseline; Holm's correction is over them."""
        return len(self.arms) - 1
