"""Attach attention to any network without changing its source code, its keys, or its weights."""

from __future__ import annotations

import warnings
from itertools import chain, count
from typing import Any

import torch
from torch import nn

from attendet.attention.catalog import attentions, options_of
from attendet.errors import AttendetWarning, OptionError
from attendet.surgery.attachment import Attachment, apply_plan, require_attachable
from attendet.surgery.attachment_plan import AttachmentPoint, AttentionPlan, Site
from attendet.surgery.example_inputs import trace_example
from attendet.surgery.feature_maps import FeatureMap, Trace
from attendet.surgery.hooks import is_custom_container
from attendet.surgery.module_creation import create_at, creation_options, require_limited_size
from attendet.surgery.placement import At, find_points, placement_texts
from attendet.surgery.tracing import trace
from attendet.utils.text import list_names

MAX_EXPECTED_SITES = 30
"""Attention at more places than this is probably a mistake, such as a pattern that matches more than intended."""


def attach(
    model: nn.Module, attention: str, at: At, *, start: str = "identity", example: Any = None, **options: Any
) -> Attachment:
    """Attach attention to a network, in place.

    The network runs once on an example, so that places, channels, and strides are measured, not assumed. Each attention
    module becomes a child of the module that it is attached to. No other key of the state dict changes, and with an
    identity start the output of the network does not change either, bit for bit. After an error the network is as
    before.

    Attach attention first; then create optimizers, and compile, export, or distribute the network.

    Args:
        model: Any `nn.Module` that can run on a single sample.
        attention: Registry name of the attention module, such as `cbam`; see `attendet.attention.names()`.
        at: One or several places: paths, patterns of paths, module classes, and placements:

            | `at` | attention is applied to |
            |---|---|
            | `residual-branch` | the end of every residual branch, before the addition, as in the CBAM paper |
            | `stage`, `stage:1-3` | the output of each stage of the backbone (BAM: stages 1 to 3) |
            | `backbone`, `neck`, `head` | outputs of the stages; outputs of the neck's blocks; inputs of the head |
            | `before:SPPF`, `after:C3` | the input, or the output, of each module of a class |
            | `inside:C3`, `inside:C3.cv3` | every bottleneck in modules of a class (as in C3CBAM), or a child of each |
            | `replace:backbone.C3` | the input of modules of a class, which it replaces |
            | `layer?.*.bn2`, `**.bn2` | modules by path; `*` and `?` stop at a dot, `**` does not |
            | `stage~layer4` | the places of `stage`, except those at or inside `layer4` |

        start: `identity`: the network first computes the same as without attention. `paper`: as published.
        example: The argument of one forward pass, or a tuple of arguments (default: noise with the channels and the
            size that the network seems to take).
        options: Keyword arguments of the module's class, such as `reduction=8`.

    Returns:
        The attachment: its sites, its modules, and a method to detach it.

    Raises:
        UnknownNameError: If no attention module has the name.
        OptionError: If nothing matches, if attention cannot be attached at a place, or if an option is invalid for the
            channels at a place.

    Warns:
        AttendetWarning: If attention is attached at more than 30 places, or an option is unusual for the channels.

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
    attention_class = attentions.get(attention)
    if "start" in options_of(attention_class):
        options = {"start": start, **options}
    require_attachable(model)
    run, arguments = trace_example(model, example)
    points = [
        _inner_point(run, point) if is_custom_container(model.get_submodule(point.path)) else point
        for point in find_points(model, run, at)
    ]
    if len(points) > MAX_EXPECTED_SITES:
        _warn_of_many(run, points, at)
    while True:
        attachment = _attach_at(model, run, points, (attention, placement_texts(at), start, options))
        try:
            ineffective = _ineffective_points(model, arguments, attachment, run)
        except BaseException:
            attachment.detach()
            raise
        if not ineffective:
            return attachment
        attachment.detach()
        points = [_inner_point(run, point) if point in ineffective else point for point in points]


def reattach(model: nn.Module, plan: AttentionPlan) -> Attachment:
    """Apply a plan to another network of the same architecture, as loading weights does.

    Args:
        model: The network; changed in place.
        plan: The plan of an attachment.

    Raises:
        OptionError: If the network lacks a module of the plan, or an attention module cannot be created. The network is
            then unchanged.

    Example:
        >>> from torchvision.models import resnet18
        >>> attachment = attach(resnet18(), "cbam", "stage")
        >>> reattach(resnet18(), attachment.plan)
        Attachment('cbam' at layer1, layer2, layer3, layer4 of ResNet)
    """
    require_attachable(model)
    for site in plan.sites:
        try:
            target = model.get_submodule(site.path)
        except AttributeError as error:
            raise OptionError(f"{type(model).__name__} has no module {site.path!r} to attach attention to") from error
        if site.child and hasattr(target, site.child):
            raise OptionError(f"{site.path} already has a child named {site.child!r}")
    if len({site.module for site in plan.sites}) < len(plan.sites):
        raise OptionError("two sites of the plan have the same path")
    options = creation_options(plan)
    require_limited_size(plan, options)
    reference = next(model.parameters(), torch.empty(0))
    with warnings.catch_warnings():
        # The user got the same warnings when the attention was attached for the first time.
        warnings.simplefilter("ignore", AttendetWarning)
        modules = [
            create_at(plan.attention, site, options).to(reference.device, reference.dtype) for site in plan.sites
        ]
    return apply_plan(model, plan, modules)


def _warn_of_many(run: Trace, points: list[AttachmentPoint], at: At) -> None:
    for point in points:
        # An error about a single place is more helpful than a warning about the number of places.
        _feature_map(run, point)
    warnings.warn(
        f"{list_names(placement_texts(at), 4)} matches {len(points)} places, more than {MAX_EXPECTED_SITES}; if "
        "these are too many, leave some out, as in residual-branch~layer4",
        AttendetWarning,
        stacklevel=3,
    )


def _attach_at(
    model: nn.Module,
    run: Trace,
    points: list[AttachmentPoint],
    request: tuple[str, tuple[str, ...], str, dict[str, Any]],
) -> Attachment:
    attention, at, start, options = request
    maps = [_feature_map(run, point) for point in points]
    sites = _sites(model, run, points, maps)
    dims = len(maps[0].shape) - 2
    options = options if dims == 2 else {**options, "dims": dims}
    modules = [
        create_at(attention, site, options).to(feature.device, feature.dtype)
        for site, feature in zip(sites, maps, strict=True)
    ]
    stored = {name: value for name, value in options.items() if name != "start"}
    return apply_plan(model, AttentionPlan(attention, at, start, stored, sites), modules)


def _sites(model: nn.Module, run: Trace, points: list[AttachmentPoint], maps: list[FeatureMap]) -> tuple[Site, ...]:
    sites: list[Site] = []
    for point, feature in zip(points, maps, strict=True):
        child = ""
        if point.side != "replaced":
            taken = {*dir(model.get_submodule(point.path)), *(site.child for site in sites if site.path == point.path)}
            names = chain(["attention"], (f"attention{number}" for number in count(2)))
            child = next(name for name in names if name not in taken)
        sites.append(Site(point.path, feature.shape[1], run.stride(feature.shape), point.side, child))
    return tuple(sites)


def _feature_map(run: Trace, point: AttachmentPoint) -> FeatureMap:
    """Return the feature map at a point.

    Raises:
        OptionError: If the module at the point does not take or return exactly one feature map (N, C, …).
    """
    calls = run.calls.get(point.path)
    if not calls:
        raise OptionError(
            f"{point.path} did not run on the example",
            remedy="name a module that the network calls; a call of `forward` bypasses hooks",
        )
    before, after = run.input(point.path), run.output(point.path)
    if point.side == "replaced" and (before is None or after is None or before.shape != after.shape):
        shapes = f"{before.shape if before else 'several maps'} into {after.shape if after else 'several maps'}"
        message = f"{point.path or 'the whole network'} turns {shapes} and cannot be replaced by attention"
        raise OptionError(message, remedy="attach attention to its output")
    single = [call.single_input if point.side == "input" else call.single_output for call in calls]
    feature = before if point.side == "input" else after
    if feature is None or not all(single):
        verb = "take" if point.side == "input" else "return"
        raise OptionError(
            f"{point.path} must {verb} exactly one feature map, but does not", remedy="name modules inside it"
        )
    _require_channels_first(run, point, feature)
    numbers = [call.inputs[0] if point.side == "input" else call.outputs[0] for call in calls]
    channels = {run.maps[number].shape[1] for number in numbers}
    if len(channels) > 1:
        message = f"{point.path} runs several times with different numbers of channels, {sorted(channels)}"
        raise OptionError(message, remedy="name other modules")
    return feature


def _require_channels_first(run: Trace, point: AttachmentPoint, feature: FeatureMap) -> None:
    image, side = run.image(), "input" if point.side == "input" else "output"
    if image is None or len(image.shape) != len(feature.shape):
        message = f"the {side} of {point.path}, {feature.shape}, is not a feature map with the axes of the image"
        raise OptionError(message, remedy="name other modules")
    if _has_channels_last(feature.shape, image.shape):
        message = f"the {side} of {point.path}, {feature.shape}, has its channels on the last axis"
        raise OptionError(message, remedy="name modules with maps (N, C, H, W)")


def _has_channels_last(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Return whether a map has the aspect ratio of the image only if its channels are on the last axis, as in Swin."""

    def has_aspect_ratio(sides: tuple[int, ...]) -> bool:
        return len({side / whole for side, whole in zip(sides, image[2:], strict=True)}) == 1

    return len(shape) > 3 and has_aspect_ratio(shape[1:-1]) and not has_aspect_ratio(shape[2:])


def _ineffective_points(
    model: nn.Module, arguments: tuple[Any, ...], attachment: Attachment, before: Trace
) -> list[AttachmentPoint]:
    """Return the points at which attention does not run as often as its module, or is not applied last.

    A container that runs its children in its own way may run the attention module as one more child.
    """
    try:
        after = trace(model, arguments)
    except Exception:  # noqa: BLE001 (a container may raise any error because of an unexpected child)
        return [AttachmentPoint(site.path, site.side) for site in attachment.sites]
    ineffective = []
    for site in attachment.sites:
        attention_calls, module_calls = after.calls.get(site.module, []), after.calls.get(site.path, [])
        returned = [call.outputs for call in attention_calls]
        expected = [call.inputs if site.side == "input" else call.outputs for call in module_calls]
        if returned != expected or len(returned) != len(before.calls[site.path]):
            ineffective.append(AttachmentPoint(site.path, site.side))
    return ineffective


def _inner_point(run: Trace, point: AttachmentPoint) -> AttachmentPoint:
    """Return the output of the outermost module inside the module of a point that returns the same feature map.

    Raises:
        OptionError: If there is no such module.
    """
    feature = _feature_map(run, point)
    producers = feature.producers if point.side == "output" else []
    inside = [path for path in producers if path.startswith(f"{point.path}.")]
    if not inside:
        place = "in its place" if point.side == "replaced" else f"at its {point.side}"
        raise OptionError(
            f"{point.path} runs its children in its own way, so attention {place} would not run exactly once",
            remedy="name a module inside it or after it",
        )
    return AttachmentPoint(inside[-1])
