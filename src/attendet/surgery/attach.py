"""Attention into any network, without touching its source, its keys or its weights; and out again."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from attendet.attention.base import Attention
from attendet.attention.catalog import attentions, create, options_of
from attendet.errors import OptionError
from attendet.surgery.example import probe
from attendet.surgery.hooks import insert, is_in_place, lists_children, remove
from attendet.surgery.placement import At, Place, find_places, written
from attendet.surgery.plan import AttentionPlan, Site, forget, plans_of, remember
from attendet.surgery.trace import FeatureMap, Trace, trace

WRAPPERS = (DataParallel, DistributedDataParallel, torch.jit.ScriptModule)


@dataclass(frozen=True)
class Attachment:
    """Attention that has been attached to a network.

    Attributes:
        model: The network.
        plan: What was attached where.
        originals: What stood where a site was replaced, by path; empty for a copy of a network.
    """

    model: nn.Module
    plan: AttentionPlan
    originals: dict[str, nn.Module] = field(default_factory=dict, repr=False)

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where the modules sit: path, channels and stride of each."""
        return self.plan.sites

    def modules(self) -> dict[str, nn.Module]:
        """Return the attention modules by their own paths.

        Raises:
            OptionError: If one is no longer in its place.
        """
        _require_in_place(self.model, self.plan)
        return {site.module: self.model.get_submodule(site.module) for site in self.sites}

    def detach(self) -> None:
        """Take the attention out; the network is then to the bit what it was before.

        Raises:
            OptionError: If it is not there any more, or what it replaced is not known: it stays as it is.
        """
        _require_in_place(self.model, self.plan)
        for site in self.sites:
            if site.side == "replaced" and site.path not in self.originals:
                raise OptionError(
                    f"what stood at {site.path} is not known to a copy", remedy="detach what `attach` has returned"
                )
        for site in reversed(self.sites):
            remove(self.model, site, self.originals.get(site.path))
        forget(self.model, self.plan)


def attach(
    model: nn.Module, attention: str, at: At, *, start: str = "identity", example: Any = None, **options: Any
) -> Attachment:
    """Attach attention to a network, in place.

    The network is run once with one sample, so that places, channels and strides are measured and not assumed. Each
    attention module becomes a child of the module it weighs; no other key of the state dict changes, and with an
    identity start no output does, to the bit.

    Optimizers, compiled, exported and distributed versions are made afterwards. If anything does not fit, the network
    is left as it was.

    Args:
        model: Any `nn.Module` that runs forward on a single sample.
        attention: Registry name, such as `cbam`; see `attendet.attention.names()`.
        at: Where; one or several of paths or patterns of paths, module classes, and placements:

            | `at` | what is weighed |
            |---|---|
            | `residual-branch` | the end of every residual branch, before the addition: the place of CBAM's paper |
            | `stage`, `stage:1-3` | what each stage of the backbone gives (for BAM, stages 1 to 3) |
            | `backbone`, `neck`, `head` | the stages; the blocks of the neck; each map that the head takes |
            | `before:SPPF`, `after:C3` | what modules of a class take, or give |
            | `inside:C3`, `inside:C3.cv3` | every bottleneck in modules of a class (as C3CBAM); a part of each |
            | `replace:backbone.C3` | nothing: attention stands in place of the modules |

        start: `identity` computes at first what the network did without; `paper` starts as published.
        example: The argument of one pass, or a tuple of arguments; by default noise of the size the network seems to
            take, and where it does not take that, a list of it.
        options: Keyword arguments of the module's class, such as `reduction=8`.

    Returns:
        The sites, and how to detach.

    Raises:
        UnknownNameError: If there is no such attention.
        OptionError: If nothing matches, a place is none, or an option does not fit its channels.

    Example:
        >>> from torchvision.models import resnet18
        >>> model = resnet18().train(False)
        >>> images = torch.rand(1, 3, 64, 64)
        >>> before = model(images)
        >>> attachment = attach(model, "cbam", "residual-branch", reduction=16)
        >>> torch.equal(model(images), before), len(attachment.sites)
        (True, 8)
        >>> attachment.sites[0]
        Site(path='layer1.0.bn2', channels=64, stride=4.0, side='output', child='attention')
        >>> attachment.detach()
    """
    kind = attentions.get(attention)
    if "start" in options_of(kind):
        options = {"start": start, **options}
    _require_plain(model)
    seen, arguments = probe(model, example)
    places = [
        _further_inside(seen, place) if lists_children(model.get_submodule(place.path)) else place
        for place in find_places(model, seen, at)
    ]
    while True:
        attachment = _attach_at(model, seen, places, (attention, written(at), start, options))
        try:
            deaf = _without_effect(model, arguments, attachment, seen)
        except BaseException:
            attachment.detach()
            raise
        if not deaf:
            return attachment
        attachment.detach()
        places = [_further_inside(seen, place) if place in deaf else place for place in places]


def reattach(model: nn.Module, plan: AttentionPlan) -> Attachment:
    """Carry out a plan again on a network of the same kind, as loading weights does.

    Raises:
        OptionError: If the network lacks a module that the plan names, or a module of attention cannot be made.
    """
    _require_plain(model)
    for site in plan.sites:
        try:
            target = model.get_submodule(site.path)
        except AttributeError as error:
            raise OptionError(f"{type(model).__name__} has no module {site.path!r} to attach to") from error
        if site.child and hasattr(target, site.child):
            raise OptionError(f"{site.path} has a part named {site.child!r} already")
    kind = attentions.get(plan.attention)
    options = {"start": plan.start, **plan.options} if "start" in options_of(kind) else dict(plan.options)
    reference = next(model.parameters(), torch.empty(0))
    made = []
    for site in plan.sites:
        module = create(plan.attention, site.channels, **options)
        made.append(module.to(reference.device, reference.dtype).train(model.training))
    return _carry_out(model, plan, made)


def attached(model: nn.Module) -> tuple[Attachment, ...]:
    """Return what is attached to a network, or to the network inside a wrapper; for a copy, what is in the copy.

    Raises:
        OptionError: If attention was lost since, as by a fusion that does not know of it.

    Example:
        >>> from torchvision.models import resnet18
        >>> model = resnet18()
        >>> _ = attach(model, "cbam", "stage")
        >>> [site.path for attachment in attached(model) for site in attachment.sites]
        ['layer1', 'layer2', 'layer3', 'layer4']
    """
    found = []
    for _, module, plan in plans_of(model):
        _require_in_place(module, plan)
        found.append(Attachment(module, plan))
    return tuple(found)


def _carry_out(model: nn.Module, plan: AttentionPlan, made: list[Attention]) -> Attachment:
    originals = {}
    for site, module in zip(plan.sites, made, strict=True):
        before = insert(model, site, module)
        if site.side == "replaced":
            originals[site.path] = before
    remember(model, plan)
    return Attachment(model, plan, originals)


def _require_plain(model: nn.Module) -> None:
    if isinstance(model, WRAPPERS) or hasattr(model, "_orig_mod") or isinstance(model, torch.fx.GraphModule):
        raise OptionError(
            f"nothing can be attached to a {type(model).__name__}", remedy="attach first, then wrap, compile or trace"
        )


def _feature_map(seen: Trace, place: Place) -> FeatureMap:
    """Return the map at a place.

    Raises:
        OptionError: If there is none, or not one.
    """
    calls = seen.calls.get(place.path)
    if not calls:
        raise OptionError(
            f"{place.path} never ran in the probing pass",
            remedy="a module whose forward is called past it cannot be used",
        )
    into, out = seen.input(place.path), seen.output(place.path)
    if place.side == "replaced" and (into is None or out is None or into.shape != out.shape):
        shapes = f"{into.shape if into else 'several maps'} into {out.shape if out else 'several'}"
        raise OptionError(f"{place.path} makes {shapes} and cannot be replaced", remedy="weigh what it gives instead")
    one = [call.takes_one if place.side == "input" else call.gives_one for call in calls]
    feature = into if place.side == "input" else out
    if feature is None or not all(one):
        verb = "takes" if place.side == "input" else "gives"
        raise OptionError(f"{place.path} {verb} something else than one feature map", remedy="name modules inside it")
    image = seen.image()
    if image is None or len(image.shape) != len(feature.shape):
        raise OptionError(f"what {place.path} gives, {feature.shape}, is no feature map", remedy="name other modules")
    numbers = [call.inputs[0] if place.side == "input" else call.outputs[0] for call in calls]
    channels = {seen.maps[number].shape[1] for number in numbers}
    if len(channels) > 1:
        raise OptionError(f"{place.path} runs several times, with {sorted(channels)} channels", remedy="name others")
    return feature


def _site(model: nn.Module, seen: Trace, place: Place, feature: FeatureMap) -> Site:
    target = model.get_submodule(place.path)
    taken = {name for name, _ in target.named_children()} | set(dir(target))
    child = next(
        name for name in ("attention", *(f"attention{number}" for number in range(2, 1000))) if name not in taken
    )
    stride = seen.stride(feature.shape)
    return Site(place.path, feature.shape[1], stride, place.side, "" if place.side == "replaced" else child)


def _attach_at(
    model: nn.Module, seen: Trace, places: list[Place], what: tuple[str, tuple[str, ...], str, dict[str, Any]]
) -> Attachment:
    attention, at, start, options = what
    maps = [_feature_map(seen, place) for place in places]
    sites = tuple(_site(model, seen, place, feature) for place, feature in zip(places, maps, strict=True))
    made = [_create(attention, site, feature, options) for site, feature in zip(sites, maps, strict=True)]
    given = {name: value for name, value in options.items() if name != "start"}
    return _carry_out(model, AttentionPlan(attention, at, start, given, sites), made)


def _create(name: str, site: Site, feature: FeatureMap, options: dict[str, Any]) -> Attention:
    dims = len(feature.shape) - 2
    if dims != 2 and "dims" not in options_of(attentions.get(name)):
        raise OptionError(f"{name} is for images, and {site.path} gives maps with {dims} axes", remedy="use cbam or se")
    try:
        module = create(name, site.channels, **({} if dims == 2 else {"dims": dims}), **options)
    except OptionError as error:
        raise OptionError(f"at {site.path}: {error.what}", remedy=error.remedy) from error
    return module.to(feature.device, feature.dtype)


def _without_effect(model: nn.Module, arguments: tuple[Any, ...], attachment: Attachment, before: Trace) -> list[Place]:
    """Return the places whose attention does not run as often as they, or is not the last to touch their map.

    A container that runs its children in its own way runs one more when there is one.
    """
    try:
        after = trace(model, arguments)
    except Exception:  # noqa: BLE001 (what a container makes of a child that it does not expect may be anything)
        return [Place(site.path, site.side) for site in attachment.sites]
    deaf = []
    for site in attachment.sites:
        own, around = after.calls.get(site.module, []), after.calls.get(site.path, [])
        given = [call.outputs for call in own]
        reached = [call.inputs if site.side == "input" else call.outputs for call in around]
        if given != reached or len(given) != len(before.calls[site.path]):
            deaf.append(Place(site.path, site.side))
    return deaf


def _further_inside(seen: Trace, place: Place) -> Place:
    """Return the next module inside that gives the very same map.

    Raises:
        OptionError: If there is none.
    """
    feature = _feature_map(seen, place)
    givers = feature.givers if place.side == "output" else []
    inside = [path for path in givers if path.startswith(f"{place.path}.")]
    if not inside:
        raise OptionError(
            f"{place.path} runs its children in its own way, and would not run attention once at its {place.side}",
            remedy="name a module inside it or after it",
        )
    return Place(inside[-1])


def _require_in_place(model: nn.Module, plan: AttentionPlan) -> None:
    lost = [site.path for site in plan.sites if not is_in_place(model, site)]
    if lost:
        raise OptionError(
            f"attention has been lost at {', '.join(lost)}",
            remedy="batch norms are folded by attendet.fuse, which moves it along",
        )
