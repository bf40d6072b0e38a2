"""Plans of attached attention: plain data that is stored with a network and with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from attendet.errors import OptionError

Side: TypeAlias = Literal["output", "input", "replaced"]
Options: TypeAlias = Mapping[str, Any]

# Attribute of a network that holds its plans.
_PLANS = "attendet_plans"
_MAX_SITES = 10_000
# Options have the same limit as the numbers in model files.
_MAX_NUMBER = 2**16


@dataclass(frozen=True)
class AttachmentPoint:
    """A place at which attention can be attached.

    Attributes:
        path: Path of the module.
        side: `output` or `input`, if attention is applied to that of the module; `replaced`, if it replaces the module.
    """

    path: str
    side: Side = "output"


@dataclass(frozen=True)
class Site:
    """The place of one attention module in a network.

    Attributes:
        path: Path of the module that it is attached to.
        channels: Number of channels of the features that it is applied to.
        stride: Stride of the features: side of the images divided by the side of the feature map.
        side: `output` or `input`, if it is applied to that of the module; `replaced`, if it has replaced the module.
        child: Name of the attention module within the other module; empty if it has replaced it.

    Example:
        >>> Site("layer1", 64, 4.0).module
        'layer1.attention'
    """

    path: str
    channels: int
    stride: float
    side: Side = "output"
    child: str = "attention"

    @property
    def module(self) -> str:
        """Path of the attention module."""
        return ".".join(part for part in (self.path, self.child) if part)


@dataclass(frozen=True)
class AttentionPlan:
    """The arguments and the result of one call of `attach`.

    Attributes:
        attention: Registry name of the attention module.
        at: The requested placements, as text.
        start: `paper` or `identity`.
        options: Keyword arguments of the module's class.
        sites: Places of the attention modules.

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
        """Return the plan as plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> AttentionPlan:
        """Return the plan of a dictionary that `to_dict` returned.

        Args:
            values: The dictionary; it may come from an untrusted file.

        Raises:
            OptionError: If the values do not describe a plan, or exceed a limit.
        """
        try:
            sites = tuple(_parse_site(**site) for site in values["sites"])
            plan = cls(values["attention"], tuple(values["at"]), values["start"], dict(values["options"]), sites)
        except (TypeError, KeyError, ValueError) as error:
            raise OptionError(f"invalid description of attached attention ({error})") from error
        texts = (plan.attention, plan.start, *plan.at, *plan.options)
        numbers = [value for value in plan.options.values() if isinstance(value, int | float)]
        if not all(isinstance(text, str) for text in texts):
            raise OptionError("invalid description of attached attention (names must be texts)")
        if not all(abs(number) <= _MAX_NUMBER for number in numbers):
            raise OptionError(f"options of attached attention must be at most {_MAX_NUMBER:,}, got {max(numbers)}")
        if not 0 < len(plan.sites) <= _MAX_SITES:
            raise OptionError(f"attached attention must have 1 to {_MAX_SITES:,} sites, got {len(plan.sites):,}")
        return plan

    def placed(self, prefix: str) -> AttentionPlan:
        """Return the same plan for a network that contains this one.

        Args:
            prefix: Path of this network in the other.
        """
        sites = tuple(
            Site(f"{prefix}.{site.path}".strip("."), site.channels, site.stride, site.side, site.child)
            for site in self.sites
        )
        return AttentionPlan(self.attention, self.at, self.start, self.options, sites)


def plans_of(model: nn.Module) -> Iterator[tuple[str, nn.Module, AttentionPlan]]:
    """Yield every plan in a network with the path and the module to which it was applied.

    The path is empty unless the module is inside a wrapper or inside another network.
    """
    for path, module in model.named_modules():
        for plan in own_plans(module):
            yield path, module, plan


def own_plans(module: nn.Module) -> tuple[AttentionPlan, ...]:
    """Return the plans that were applied to a module itself."""
    return module.__dict__.get(_PLANS, ())


def record_plan(model: nn.Module, plan: AttentionPlan) -> None:
    """Store a plan with a network, so that deep copies and pickles keep it; the state dict does not change."""
    model.__dict__[_PLANS] = (*own_plans(model), plan)


def remove_plan(model: nn.Module, plan: AttentionPlan) -> None:
    """Remove a plan that was stored with a network."""
    remaining = tuple(other for other in own_plans(model) if other != plan)
    if remaining:
        model.__dict__[_PLANS] = remaining
    else:
        model.__dict__.pop(_PLANS, None)


def _parse_site(path: str, channels: int, stride: float, side: Side, child: str) -> Site:
    valid = (
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
    if not valid:
        raise ValueError(path)
    return Site(path, channels, float(stride), side, child)
