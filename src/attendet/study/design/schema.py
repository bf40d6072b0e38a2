"""The schema of study.yaml: arms, data, seeds, and the metric that decides."""

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

MAX_SEEDS = 1000
LONGEST_NAME = 40
MAX_RUNS = 10_000
# Settings that the study decides, and the key of study.yaml or the command that a user sets them with.
DECIDED_BY_STUDY: Mapping[str, str] = {
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

# The word that an arm writes under `weights` for random initial weights.
SCRATCH = "scratch"

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=LONGEST_NAME)]
Word = Annotated[str, StringConstraints(min_length=1)]
Share = Annotated[float, Field(gt=0, le=1)]
Setting = int | float | bool | str | None | list[int | float | str]


def as_list(value: object) -> object:
    """Return a single string as a list, and any other value unchanged."""
    return [value] if isinstance(value, str) else value


def _whole_arm(value: object) -> object:
    """Expand the short forms of an arm: nothing, one attention request, or a list of requests."""
    if value is None:
        return {}
    return {"attention": value} if isinstance(value, str | list) else value


def _counted(value: object) -> object:
    """Expand a number of seeds: `seeds: 6` means 0 to 5."""
    if isinstance(value, list | tuple):
        return value
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SEEDS:
        raise PydanticCustomError(
            "seeds", "must be a number of seeds, 1 to {maximum}, or a list such as [0, 1, 2]", {"maximum": MAX_SEEDS}
        )
    return list(range(value))


class Arm(StrictModel):
    """One arm of a study: one way to build or train the detector.

    Attributes:
        attention: Attention requests, as in `attendet train --attention`.
        model: Base model of this arm (default: the study's).
        weights: Weights that this arm starts from (default: the study's); `scratch` means random initial weights.
        fraction: Fraction of the training images that this arm sees, 0-1, of each fraction in the study's `fractions`
            (default: 1). Its runs see other images than the runs of arms with another fraction.
        recipe: Settings of this arm only.
        control: Name of the arm that adds the same parameters or time without attention.
    """

    attention: Annotated[tuple[Word, ...], BeforeValidator(as_list)] = ()
    model: Word | None = None
    weights: Word | None = None
    fraction: Share | None = None
    recipe: dict[str, Setting] = Field(default_factory=dict)
    control: Word | None = None

    @property
    def share(self) -> float:
        """Fraction of the training images that this arm sees, 0-1."""
        return 1.0 if self.fraction is None else self.fraction

    def describe(self) -> str:
        """Return a short description of the arm.

        Example:
            >>> Arm(attention=("cbam@neck",), recipe={"optimizer.lr0": 0.002}).describe(), Arm().describe()
            ('cbam@neck, optimizer.lr0=0.002', 'base model')
            >>> Arm(weights="scratch", fraction=0.5).describe()
            'from scratch, 50% of the images'
        """
        start = "from scratch" if self.weights == SCRATCH else self.weights
        parts = [part for part in (self.model, start, *self.attention) if part]
        if self.share < 1:
            parts.append(f"{100 * self.share:g}% of the images")
        parts += [f"{key}={value}" for key, value in self.recipe.items()]
        return ", ".join(parts) or "base model"


class Design(StrictModel):
    """The part of the schema that studies and searches share.

    Attributes:
        name: Name of the study or search, and of its folder.
        model: Base model: a bundled name or a model file.
        weights: Weights that all runs start from.
        data: A data.yaml, a folder, or a COCO JSON.
        recipe: Settings of all runs by dotted key, as in `attendet train --set`.
        metric: The metric that decides.
        last_epochs: Number of last epochs that the metric is averaged over. No epoch is selected.
    """

    name: Name
    model: Word
    weights: Word | None = None
    data: Word
    recipe: dict[str, Setting] = Field(default_factory=dict)
    metric: Metric = "map50_95"
    last_epochs: Annotated[StrictInt, Field(ge=1)] = 3


class StudyDesign(Design):
    """The design of a study, with the fields of `Design`.

    Attributes:
        arms: The arms by name.
        baseline: The arm that the others are compared with.
        seeds: Seeds; each arm is trained once with each of them.
        fractions: Fractions of the training images, 0-1. They include 1, which decides.
        budget_hours: Time that the study may take, in hours; `attendet study plan` warns if it takes longer.
        spread: Expected standard deviation of paired differences, in units of the metric; None if unknown.
        matters: Smallest difference that matters, in units of the metric; None if it was not decided.
        looks: Numbers of seeds after which the study may end, in ascending order, the last of them the number of
            seeds. Empty if the study ends with its last seed.

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
        Field(min_length=1, max_length=MAX_SEEDS),
    ]
    fractions: Annotated[tuple[Share, ...], Field(min_length=1)] = (1.0,)
    budget_hours: Positive | None = None
    spread: Positive | None = None
    matters: Annotated[Positive, Field(lt=1)] | None = None
    looks: tuple[Annotated[StrictInt, Field(ge=2, le=MAX_SEEDS)], ...] = ()

    def settings(self, arm: str, seed: int) -> dict[str, object]:
        """Return the training settings of an arm by dotted key, with paths as written in study.yaml.

        Example:
            >>> from attendet.study.design.design_file import parse_design
            >>> design = parse_design("{name: a, model: yolov5n, data: d.yaml, seeds: 2, arms: {a: , b: se@neck}}")
            >>> design.settings("b", seed=1)["model.attention"], design.settings("b", seed=1)["schedule.seed"]
            (('se@neck',), 1)
        """
        chosen = self.arms[arm]
        weights = chosen.weights or self.weights
        return {
            **self.recipe,
            **chosen.recipe,
            "data.path": self.data,
            "data.fraction": chosen.share,
            "model.cfg": chosen.model or self.model,
            "model.weights": None if weights == SCRATCH else weights,
            "model.attention": chosen.attention,
            "schedule.seed": seed,
        }

    @property
    def comparisons(self) -> int:
        """Number of arms that are compared with the baseline; the adjusted p-values cover them."""
        return len(self.arms) - 1
