"""What was attached where, as data that stays with a network and travels with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from attendet.errors import OptionError

Side: TypeAlias = Literal["output", "input", "replaced"]
Options: TypeAlias = Mapping[str, Any]

RECORD = "attendet_plans"
MOST_SITES = 10_000
# Of options: as large as the numbers of model files may be.
LARGEST = 2**16


@dataclass(frozen=True)
class Site:
    """Where one attention module sits.

    Attributes:
        path: Path of the module it was attached to.
        channels: Of the features it weighs.
        stride: By how much their map is smaller than the images.
        side: Whether it weighs what the module gives (`output`) or takes (`input`), or stands in its place
            (`replaced`).
        child: Name of the attention module within the other; empty where it stands in its place.
    """

    path: str
    channels: int
    stride: float
    side: Side = "output"
    child: str = "attention"

    @property
    def module(self) -> str:
        """Path of the attention module itself."""
        return ".".join(part for part in (self.path, self.child) if part)


@dataclass(frozen=True)
class AttentionPlan:
    """One call of `attach`.

    Attributes:
        attention: Registry name of the attention module.
        at: What was asked for, as it was written.
        start: `paper` or `identity`.
        options: Keyword arguments of the module's class.
        sites: Where the modules sit.

    Example:
        >>> plan = AttentionPlan("cbam", ("stage",), "identity", {"reduction": 8}, (Site("layer1", 64, 4.0),))
        >>> AttentionPlan.from_dict(plan.to_dict()) == plan
        True
    """

    attention: str
    at: tuple[str, ...]
    start: str
    options: Options
    sites: tuple[Site, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> AttentionPlan:
        """Return the plan that `to_dict` has described.

        Raises:
            OptionError: If it is none.
        """
        try:
            sites = tuple(_site(**site) for site in values["sites"])
            plan = cls(values["attention"], tuple(values["at"]), values["start"], dict(values["options"]), sites)
        except (TypeError, KeyError, ValueError) as error:
            raise OptionError(f"it is no plan of attention ({error})") from error
        texts = (plan.attention, plan.start, *plan.at, *plan.options)
        numbers = [value for value in plan.options.values() if isinstance(value, int | float)]
        sound = all(isinstance(text, str) for text in texts) and all(abs(number) <= LARGEST for number in numbers)
        if not sound or not 0 < len(plan.sites) <= MOST_SITES:
            raise OptionError("it is no plan of attention")
        return plan

    def placed(self, prefix: str) -> AttentionPlan:
        """Return the same plan for a network that holds this one at a path."""
        sites = tuple(
            Site(f"{prefix}.{site.path}".strip("."), site.channels, site.stride, site.side, site.child)
            for site in self.sites
        )
        return AttentionPlan(self.attention, self.at, self.start, self.options, sites)


def plans_of(model: nn.Module) -> Iterator[tuple[str, nn.Module, AttentionPlan]]:
    """Yield every plan in a network, with the path and the module it was carried out on (wrapped networks have one)."""
    for path, module in model.named_modules():
        for plan in module.__dict__.get(RECORD, ()):
            yield path, module, plan


def remember(model: nn.Module, plan: AttentionPlan) -> None:
    """Write a plan down on a network: deep copies and pickles keep it, and no key of the state dict changes."""
    model.__dict__[RECORD] = (*model.__dict__.get(RECORD, ()), plan)


def forget(model: nn.Module, plan: AttentionPlan) -> None:
    """Take a plan off a network."""
    left = tuple(other for other in model.__dict__.get(RECORD, ()) if other is not plan and other != plan)
    if left:
        model.__dict__[RECORD] = left
    else:
        model.__dict__.pop(RECORD, None)


def _site(path: str, channels: int, stride: float, side: Side, child: str) -> Site:
    sound = (
        isinstance(path, str)
        and type(channels) is int
        and 0 < channels < 2**20
        and type(stride) in (int, float)
        and 0 < stride < 2**20
        and side in ("output", "input", "replaced")
        and isinstance(child, str)
        and "." not in child
        and bool(child) == (side != "replaced")
    )
    if not sound:
        raise ValueError(path)
    return Site(path, channels, float(stride), side, child)
