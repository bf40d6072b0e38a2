"""Find the stages of a backbone in a trace, and the place where each stage ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from torch import nn

from attendet.errors import OptionError
from attendet.surgery.attachment_plan import AttachmentPoint
from attendet.surgery.feature_maps import Call, FeatureMap, Trace
from attendet.surgery.hooks import input_point
from attendet.surgery.regions import CONVOLUTIONS, has_region, is_within, region

# Without padding, the stride changes a little in every convolution: 149 pixels become 147. A change by this factor
# begins a new stage; 3 pixels become 2 in the smallest maps.
_MIN_STRIDE_FACTOR = 1.4
_HALVING_FUNCTIONS = ("conv", "pool", "interpolate")


@dataclass(frozen=True)
class _Level:
    """The maps between two changes of the stride, in their order; `stride` is that of the first one."""

    stride: float
    maps: list[int]


def stage_points(model: nn.Module, run: Trace) -> list[AttachmentPoint]:
    """Return the place at the end of each stage of the backbone.

    A stage consists of the modules between two changes of the stride, with at least two convolutions, or with one
    convolution before or after a pooling layer, as in VGG. A stem with one strided convolution is therefore not a
    stage. A stage that dilates its convolutions instead of striding is a stage of its own.

    Usually the end is the output of a module. If a function returns the map, as in `torch.relu(x + branch(x))`, it is
    the input of the next module.

    Args:
        model: Any network. Without a known backbone, the whole network is searched.
        run: The trace of one pass.

    Raises:
        OptionError: If the network has no stages, or no module returns or takes the output of a stage.
    """
    roots = region(model, "backbone") if has_region(model, "backbone") else ("",)
    levels = _levels(run, roots)
    stages = [level for number, level in enumerate(levels) if _is_stage(model, run, levels, number)]
    if not stages or any(_has_weights(model, run, level) for level in levels[levels.index(stages[-1]) + 1 :]):
        raise OptionError(
            f"the stages of {type(model).__name__} cannot be recognized", remedy="name modules by their paths"
        )
    parts = [part for level in stages for part in _split_by_dilation(model, run, level)]
    inner = [part.maps[-1] for part in parts[:-1]]
    home = _common_parent([_home_of(run, number) for number in inner]) or (roots[0] if len(roots) == 1 else "")
    # Modules behind the last stage with the same stride, such as the first layer of a neck, have another parent.
    at_last = [number for number in parts[-1].maps if is_within(run.maps[number].scope, (home,))]
    ends = [*inner, next((number for number in reversed(at_last) if _is_used(run, number)), at_last[-1])]
    for number, part in zip(ends, [*parts[1:], None], strict=True):
        _require_whole_stage(model, run, number, part, home)
    return [_end_of_stage(model, run, number, home, roots) for number in ends]


def _require_whole_stage(model: nn.Module, run: Trace, number: int, following: _Level | None, home: str) -> None:
    """Raise an error if layers of a stage work on maps with channels last, or on sequences, after its last map."""
    last = following.maps[0] if following else len(run.maps)
    trunk = run.ancestors(following.maps[-1]) if following else set(range(last))
    for later in range(number + 1, last):
        is_layer = run.maps[later].function == "linear" and is_within(run.maps[later].scope, (home,))
        if is_layer and later in trunk and number in run.ancestors(later):
            raise OptionError(
                f"the stage of {type(model).__name__} at stride {run.stride(run.maps[number].shape):g} does not end "
                f"with a map (N, C, H, W)",
                remedy="name modules by their paths",
            )


def _levels(run: Trace, roots: tuple[str, ...]) -> list[_Level]:
    """Return the maps of a region by stride. The levels end before the first module that increases the resolution."""
    levels: list[_Level] = []
    passing = _maps_of_the_next_stage(run, roots) | _maps_of_detours(run, roots)
    for number, feature in enumerate(run.maps):
        if number in passing or not is_within(feature.scope, roots) or not _is_scaled_image(run, feature):
            continue
        stride = run.stride(feature.shape)
        if levels and _is_near(stride, levels[-1].stride):
            levels[-1].maps.append(number)
        elif not levels or (stride > levels[-1].stride and _can_begin_level(feature, stride / levels[-1].stride)):
            levels.append(_Level(stride, [number]))
        elif stride < levels[-1].stride and any(feature.creators):
            break
    # Layers next to the trunk, such as lateral layers of a pyramid, are left out: the next stage does not read them.
    for shallow, deep in zip(levels[-2::-1], levels[:0:-1], strict=True):
        trunk = run.ancestors(deep.maps[-1])
        shallow.maps[:] = [number for number in shallow.maps if number in trunk] or shallow.maps
    return levels


def _can_begin_level(feature: FeatureMap, factor: float) -> bool:
    """Return whether a map is the output of a module, or of a function that halves the resolution."""
    return any(feature.creators) or (factor < 3 and any(name in feature.function for name in _HALVING_FUNCTIONS))


def _maps_of_the_next_stage(run: Trace, roots: tuple[str, ...]) -> set[int]:
    """Return the maps that a module computes at the old stride before it halves the resolution."""
    found = set[int]()
    for call, before, after in _calls_on_one_map(run, roots):
        # Without padding the factor is a little more than 2: 35 pixels become 17.
        if _MIN_STRIDE_FACTOR <= after / before < 3:
            found |= {number for number in call.created if _is_near(run.stride(run.maps[number].shape), before)}
    return found


def _maps_of_detours(run: Trace, roots: tuple[str, ...]) -> set[int]:
    """Return the maps at another stride in modules that return to their own, such as attention to half the pixels."""
    found = set[int]()
    for call, before, after in _calls_on_one_map(run, roots):
        images = [number for number in call.created if _is_scaled_image(run, run.maps[number])]
        strides = {number: run.stride(run.maps[number].shape) for number in images}
        elsewhere = {number for number, stride in strides.items() if not _is_near(stride, before)}
        # An encoder and its decoder return to the stride of their input, too, but from further away.
        if _is_near(after, before) and all(strides[number] < 3 * before for number in elsewhere):
            found |= elsewhere
    return found


def _calls_on_one_map(run: Trace, roots: tuple[str, ...]) -> Iterator[tuple[Call, float, float]]:
    """Yield calls of modules from one map to another, with the strides of both maps."""
    for path, calls in run.calls.items():
        for call in calls:
            if path and path not in roots and call.single_input and call.single_output:
                before, after = run.maps[call.inputs[0]], run.maps[call.outputs[0]]
                if len(before.shape) == len(after.shape):
                    yield call, run.stride(before.shape), run.stride(after.shape)


def _is_near(stride: float, other: float) -> bool:
    return other / _MIN_STRIDE_FACTOR < stride < other * _MIN_STRIDE_FACTOR


def _is_scaled_image(run: Trace, feature: FeatureMap) -> bool:
    """Return whether a map has the batch size and the aspect ratio of the image.

    Windows and attention scores of transformers do not.
    """
    shape, image = feature.shape, run.image()
    if image is None or len(shape) != len(image.shape) or shape[0] != image.shape[0] or max(shape[2:]) == 1:
        return False
    strides = [whole / part for whole, part in zip(image.shape[2:], shape[2:], strict=True)]
    return max(strides) < 1.5 * min(strides)


def _is_stage(model: nn.Module, run: Trace, levels: Sequence[_Level], number: int) -> bool:
    convolutions = [made for made in levels[number].maps if isinstance(_creator(model, run, made), CONVOLUTIONS)]
    if len(convolutions) != 1:
        return len(convolutions) > 1
    (parent, *_) = run.maps[convolutions[0]].parents
    keeps_stride = _is_near(run.stride(run.maps[parent].shape), levels[number].stride)
    pooled = ["pool" in run.maps[level.maps[0]].function for level in levels]
    return keeps_stride and any(pooled[number : number + 2])


def _has_weights(model: nn.Module, run: Trace, level: _Level) -> bool:
    creators = [_creator(model, run, number) for number in level.maps]
    return any(next(creator.parameters(recurse=False), None) is not None for creator in creators)


def _creator(model: nn.Module, run: Trace, number: int) -> nn.Module:
    return model.get_submodule(run.maps[number].scope)


def _split_by_dilation(model: nn.Module, run: Trace, level: _Level) -> list[_Level]:
    """Split a level where a module doubles the dilation and changes the width, instead of striding.

    Other dilated convolutions, such as the parallel ones of ASPP, do not begin a stage.
    """
    parts, dilation = [level], 1
    for number in level.maps:
        layer = _creator(model, run, number)
        if not isinstance(layer, CONVOLUTIONS) or max(layer.kernel_size) == 1:
            continue
        first = parts[-1].maps[0] if len(parts) > 1 else -1
        entry = _entry_of_stage(run, level, number, first) if max(layer.dilation) == 2 * dilation else None
        if entry is not None:
            maps = parts.pop().maps
            parts.append(_Level(level.stride, [before for before in maps if before <= entry]))
            parts.append(_Level(level.stride, [after for after in maps if after > entry]))
            dilation *= 2
    return parts


def _entry_of_stage(run: Trace, level: _Level, number: int, first: int) -> int | None:
    """Return the input of the outermost module at one stride that computed a map, if it changes the width.

    Args:
        run: The trace of one pass.
        level: The level of the map.
        number: Number of the map.
        first: Number of the first map of the part that the module begins after.
    """
    around = [
        call
        for call, before, after in _calls_on_one_map(run, ("",))
        if number in call.created
        and first < call.created.start
        and call.inputs[0] in level.maps
        and _is_near(before, level.stride)
        and _is_near(after, level.stride)
    ]
    if not around:
        return None
    outermost = max(around, key=lambda call: len(call.created))
    entry, end = run.maps[outermost.inputs[0]], run.maps[outermost.outputs[0]]
    return outermost.inputs[0] if entry.shape[1] != end.shape[1] else None


def _home_of(run: Trace, number: int) -> str:
    """Return the path of the module that a map was computed in, one level above the innermost module that returned it.

    An activation that is shared by all layers has the path of the first one, which is not inside the outermost module.
    """
    creators = run.maps[number].creators
    if not any(creators):
        return run.maps[number].scope
    outermost = [path for path in creators if path][-1]
    return next(path for path in creators if is_within(path, (outermost,))).rpartition(".")[0]


def _common_parent(paths: list[str]) -> str:
    if len(paths) < 2:
        return ""
    parts = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(names[0] for names in takewhile(lambda names: len(set(names)) == 1, parts))


def _end_of_stage(model: nn.Module, run: Trace, number: int, home: str, roots: tuple[str, ...]) -> AttachmentPoint:
    """Return the place where a map can be changed for all later modules."""
    end = run.maps[number]
    created = _outermost(end.creators, home, roots)
    if created:
        return AttachmentPoint(created)
    passed_on = next(iter(end.producers), None)
    if passed_on:
        return AttachmentPoint(passed_on)
    reader = _only_reader(run, number)
    if reader:
        return input_point(model, reader)
    before_function = _outermost(_before_functions(run, end).creators, home, roots)
    if before_function:
        return AttachmentPoint(before_function)
    raise OptionError(
        f"the stage at stride {run.stride(end.shape):g} ends in the forward method of {end.scope or 'the network'}, "
        "not with a module",
        remedy="name modules by their paths",
    )


def _outermost(paths: Sequence[str], home: str, roots: tuple[str, ...]) -> str | None:
    """Return the outermost of the modules that computed a map, below the module that has the stages."""
    inside = [path for path in paths if path and is_within(path, roots)]
    below = [path for path in inside if path != home and is_within(path, (home,))]
    return next(reversed(below or inside), None)


def _is_used(run: Trace, number: int) -> bool:
    return bool(run.maps[number].readers) or number in run.calls[""][0].outputs


def _only_reader(run: Trace, number: int) -> str | None:
    """Return the outermost module that takes a map as its only input, if nothing else reads the map."""
    returned = number in run.calls[""][0].outputs
    readers = run.maps[number].readers
    for path, calls in reversed(run.calls.items()):
        is_input = len(calls) == 1 and calls[0].single_input and calls[0].inputs[0] == number
        if path and is_input and not returned and all(is_within(reader, (path,)) for reader in readers):
            return path
    return None


def _before_functions(run: Trace, feature: FeatureMap) -> FeatureMap:
    """Return the map of a module that functions of one map, such as an activation, have changed since."""
    while not feature.creators:
        parents = [run.maps[parent] for parent in feature.parents if not run.maps[parent].constant]
        if len(parents) != 1 or parents[0].shape != feature.shape:
            break
        feature = parents[0]
    return feature
