"""Attention into any network, without touching its source, its keys or its weights; and out again."""

from __future__ import annotations

import warnings
from itertools import chain, count
from typing import Any

import torch
from torch import nn

from attendet.attention.catalog import attentions, options_of
from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.attachment import Attachment, carry_out, require_plain
from attendet.surgery.attachment_plan import AttentionPlan, Site
from attendet.surgery.example_inputs import probe
from attendet.surgery.hooks import lists_children
from attendet.surgery.module_creation import create_at, options_at, require_bounded
from attendet.surgery.placement import At, AttachmentPoint, find_places, written
from attendet.surgery.tracing import FeatureMap, Trace, trace


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
        >>> import torch
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
    require_plain(model)
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


def _feature_map(seen: Trace, place: AttachmentPoint) -> FeatureMap:
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
        what = f"{place.path or 'the whole network'} makes {shapes}"
        raise OptionError(f"{what} and cannot be replaced", remedy="weigh what it gives instead")
    one = [call.takes_one if place.side == "input" else call.gives_one for call in calls]
    feature = into if place.side == "input" else out
    if feature is None or not all(one):
        verb = "takes" if place.side == "input" else "gives"
        raise OptionError(f"{place.path} {verb} something else than one feature map", remedy="name modules inside it")
    image = seen.image()
    if image is None or len(image.shape) != len(feature.shape):
        raise OptionError(f"what {place.path} gives, {feature.shape}, is no feature map", remedy="name other modules")
    if _has_channels_last(feature.shape, image.shape):
        raise OptionError(
            f"what {place.path} gives, {feature.shape}, has its channels on the last axis",
            remedy="name modules whose maps are (N, C, H, W)",
        )
    numbers = [call.inputs[0] if place.side == "input" else call.outputs[0] for call in calls]
    channels = {seen.maps[number].shape[1] for number in numbers}
    if len(channels) > 1:
        raise OptionError(f"{place.path} runs several times, with {sorted(channels)} channels", remedy="name others")
    return feature


def _has_channels_last(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Return whether a map, as those of Swin, is an image of the same sides' ratio only if its channels come last."""

    def is_alike(sides: tuple[int, ...]) -> bool:
        return len({side / whole for side, whole in zip(sides, image[2:], strict=True)}) == 1

    return len(shape) > 3 and is_alike(shape[1:-1]) and not is_alike(shape[2:])


def _sites(model: nn.Module, seen: Trace, places: list[AttachmentPoint], maps: list[FeatureMap]) -> tuple[Site, ...]:
    sites: list[Site] = []
    for place, feature in zip(places, maps, strict=True):
        child = ""
        if place.side != "replaced":
            taken = {*dir(model.get_submodule(place.path)), *(site.child for site in sites if site.path == place.path)}
            names = chain(["attention"], (f"attention{number}" for number in count(2)))
            child = next(name for name in names if name not in taken)
        sites.append(Site(place.path, feature.shape[1], seen.stride(feature.shape), place.side, child))
    return tuple(sites)


def _attach_at(
    model: nn.Module, seen: Trace, places: list[AttachmentPoint], what: tuple[str, tuple[str, ...], str, dict[str, Any]]
) -> Attachment:
    attention, at, start, options = what
    maps = [_feature_map(seen, place) for place in places]
    sites = _sites(model, seen, places, maps)
    dims = len(maps[0].shape) - 2
    options = options if dims == 2 else {**options, "dims": dims}
    made = [
        create_at(attention, site, options).to(feature.device, feature.dtype)
        for site, feature in zip(sites, maps, strict=True)
    ]
    given = {name: value for name, value in options.items() if name != "start"}
    return carry_out(model, AttentionPlan(attention, at, start, given, sites), made)


def _without_effect(
    model: nn.Module, arguments: tuple[Any, ...], attachment: Attachment, before: Trace
) -> list[AttachmentPoint]:
    """Return the places whose attention does not run as often as they, or is not the last to touch their map.

    A container that runs its children in its own way runs one more when there is one.
    """
    try:
        after = trace(model, arguments)
    except Exception:  # noqa: BLE001 (what a container makes of a child that it does not expect may be anything)
        return [AttachmentPoint(site.path, site.side) for site in attachment.sites]
    deaf = []
    for site in attachment.sites:
        own, around = after.calls.get(site.module, []), after.calls.get(site.path, [])
        given = [call.outputs for call in own]
        reached = [call.inputs if site.side == "input" else call.outputs for call in around]
        if given != reached or len(given) != len(before.calls[site.path]):
            deaf.append(AttachmentPoint(site.path, site.side))
    return deaf


def _further_inside(seen: Trace, place: AttachmentPoint) -> AttachmentPoint:
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
    return AttachmentPoint(inside[-1])


def reattach(model: nn.Module, plan: AttentionPlan) -> Attachment:
    """Carry out a plan again on a network of the same kind, as loading weights does.

    Raises:
        OptionError: If the network lacks a module that the plan names, or a module of attention cannot be made.
    """
    require_plain(model)
    for site in plan.sites:
        try:
            target = model.get_submodule(site.path)
        except AttributeError as error:
            raise OptionError(f"{type(model).__name__} has no module {site.path!r} to attach to") from error
        if site.child and hasattr(target, site.child):
            raise OptionError(f"{site.path} has a part named {site.child!r} already")
    if len({site.module for site in plan.sites}) < len(plan.sites):
        raise OptionError("two sites of the plan are one")
    options = options_at(plan)
    require_bounded(plan, options)
    reference = next(model.parameters(), torch.empty(0))
    with warnings.catch_warnings():
        # They were told when it was attached first.
        warnings.simplefilter("ignore", AttendetWarning)
        made = [create_at(plan.attention, site, options).to(reference.device, reference.dtype) for site in plan.sites]
    return carry_out(model, plan, made)
