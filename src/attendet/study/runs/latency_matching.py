"""Find controls that take as long as the attention of an arm: `control-conv1x1` with the right number of parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from attendet.data.records import Split
from attendet.errors import AttendetError, OptionError
from attendet.models.attention_request import parse_request
from attendet.models.detector import Detector, prepare_for_inference
from attendet.study.design.grid import Cell
from attendet.study.design.schema import LONGEST_NAME, StudyDesign
from attendet.study.runs.execution import Study
from attendet.study.runs.latency_ratio import TOLERANCE, LatencyRatio, bisect_parameters
from attendet.study.runs.side_by_side import TimedDetector, image_batch, time_in_turns
from attendet.surgery import attached
from attendet.training.config import TrainConfig, build_config
from attendet.training.preparation import read_run_split
from attendet.training.reporter import NullReporter
from attendet.training.resource_errors import explain_resource_errors
from attendet.training.training_model import build_training_model
from attendet.utils.devices import resolve_device

CONTROL = "control-conv1x1"
_SUFFIX = "-latency"
# Passes of the arm and of the control for each number of parameters. They are repeated while the error is larger than
# the tolerance, up to this many times.
_ROUNDS, _REPETITIONS = 40, 5
# Beyond this error, a measurement shows little.
_LARGE_ERROR = 0.05
_YAML_STYLE: Mapping[str, Any] = {
    "sort_keys": False,
    "allow_unicode": True,
    "default_flow_style": None,
    "width": 10_000,
}
# The largest control has this many times the parameters of the attention.
_MOST = 64


@dataclass(frozen=True)
class LatencyMatch:
    """A control that takes as long as the attention of an arm, or the closest one.

    Attributes:
        arm: Name of the arm.
        control: Name of the control.
        attention: Attention requests of the control.
        parameters: The option `parameters` of these requests.
        added_parameters: Number of parameters that the control adds to the base model in all places together.
        measured: The latency of the control relative to the latency of the arm.
        remark: Why the latencies are not equal, or why the measurement shows little; None if neither is the case.
        yaml: Both arms as lines to paste into `arms:` of study.yaml.
    """

    arm: str
    control: str
    attention: tuple[str, ...]
    parameters: int
    added_parameters: int
    measured: LatencyRatio
    remark: str | None
    yaml: str

    def to_dict(self) -> dict[str, Any]:
        """Return the attributes as plain values, ready for JSON."""
        return asdict(self) | {"attention": list(self.attention)}


def match_arms(study: Study, rounds: int = _ROUNDS) -> tuple[LatencyMatch, ...]:
    """Find a control of equal latency for every arm that has attention and is not itself a control.

    Arm and control are built as for the first seed, before training, with folded batch norms, and detect objects on one
    validation image of the training size in turns. The number of parameters is bisected between the smallest control
    and 64 times the parameters of the attention.

    Args:
        study: The study.
        rounds: Number of timed passes of each arm and control, which are repeated while the latencies vary too much.

    Raises:
        OptionError: If no arm has attention that a control could replace.
        AttendetError: If data are missing or an arm cannot be built.
    """
    names = list(arms_to_match(study.design))
    if not names:
        raise OptionError("no arm has attention that a control could replace", remedy="add an arm such as cbam@neck")
    return tuple(_matched(study, name, rounds) for name in names)


def arms_to_match(design: StudyDesign) -> Iterator[str]:
    """Yield the names of the arms that have attention and are not themselves controls.

    Example:
        >>> from attendet.study.design.design_file import parse_design
        >>> arms = "{plain: , se: {attention: se@neck, control: c}, c: control-conv1x1:like=se@neck}"
        >>> list(arms_to_match(parse_design(f"{{name: a, model: yolov5n, data: d.yaml, seeds: 6, arms: {arms}}}")))
        ['se']
    """
    controls = {arm.control for arm in design.arms.values()}
    for name, arm in design.arms.items():
        attentions = [parse_request(text).attention for text in arm.attention]
        if name not in controls and any(not attention.lower().startswith("control-") for attention in attentions):
            yield name


def control_requests(attention: Sequence[str], parameters: int) -> tuple[str, ...]:
    """Return the requests of a control in the same places, with the same start.

    Args:
        attention: Attention requests of the arm.
        parameters: Number of parameters in each place.

    Example:
        >>> control_requests(["cbam:reduction=8@neck", "se:start=identity@after:C3"], 4096)
        ('control-conv1x1:parameters=4096@neck', 'control-conv1x1:parameters=4096,start=identity@after:C3')
    """
    requests = [parse_request(text) for text in attention]
    starts = [f",start={request.options['start']}" if "start" in request.options else "" for request in requests]
    return tuple(
        f"{CONTROL}:parameters={parameters}{start}@{request.at}"
        for request, start in zip(requests, starts, strict=True)
    )


def _matched(study: Study, name: str, rounds: int) -> LatencyMatch:
    arm = study.design.arms[name]
    config = _config(study, name, arm.attention)
    size = config.schedule.imgsz
    try:
        with explain_resource_errors(1, size):
            split = read_run_split(config, "val", NullReporter())
            device = torch.device(resolve_device(config.hardware.device))
            images = image_batch(split, 1, size, device)
            detector = _build(config, split)
            modules = _attached_modules(detector)
            timed = TimedDetector(prepare_for_inference(detector, device), size)

            def measure(parameters: int) -> LatencyRatio:
                network = _build(_config(study, name, control_requests(arm.attention, parameters)), split)
                pair = {"arm": timed, "control": TimedDetector(prepare_for_inference(network, device), size)}
                return _measured(pair, images, rounds)

            channels = [count for count, _ in modules]
            # Attention with hardly any parameters can still take longer than the smallest control.
            most = _MOST * max(*map(_count, (module for _, module in modules)), 2 * max(channels))
            parameters, measured = bisect_parameters(measure, most, min(channels))
            requests = control_requests(arm.attention, parameters)
            control = _attached_modules(_build(_config(study, name, requests), split))
    except AttendetError as error:
        raise type(error)(f"the arm {name}: {error.message}", where=error.where, remedy=error.remedy) from error
    control_name = f"{name[: LONGEST_NAME - len(_SUFFIX)]}{_SUFFIX}"
    return LatencyMatch(
        arm=name,
        control=control_name,
        attention=requests,
        parameters=parameters,
        added_parameters=sum(_count(module) for _, module in control),
        measured=measured,
        remark=_remark(measured, parameters, most),
        yaml=_yaml(study.design, name, control_name, requests),
    )


def _measured(pair: Mapping[str, TimedDetector], images: Tensor, rounds: int) -> LatencyRatio:
    """Return the ratio of latencies from as many rounds as the tolerance needs."""
    spent: dict[str, list[float]] = {name: [] for name in pair}
    while True:
        for name, times in time_in_turns(pair, {images.shape[-1]: images}, rounds).items():
            spent[name] += times
        ratio = LatencyRatio.from_times(spent["arm"], spent["control"])
        if ratio.error <= TOLERANCE or len(spent["arm"]) >= _REPETITIONS * rounds:
            return ratio


def _config(study: Study, name: str, attention: Sequence[str]) -> TrainConfig:
    settings = study.job(Cell(name, study.design.seeds[0], 1.0, "")).settings
    return build_config({**settings, "model.attention": list(attention)})


def _build(config: TrainConfig, split: Split) -> Detector:
    # The same random numbers for all, so that all give the same detections to post-processing.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.schedule.seed)
        return build_training_model(config, split.names).detector


def _attached_modules(detector: Detector) -> list[tuple[int, nn.Module]]:
    """Return the number of channels and the module of each place with attached attention."""
    return [
        (site.channels, attachment.modules()[site.module])
        for attachment in attached(detector)
        for site in attachment.sites
    ]


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _remark(measured: LatencyRatio, parameters: int, most: int) -> str | None:
    if measured.error > _LARGE_ERROR:
        return f"the ratio is uncertain by ±{measured.error:.0%}; repeat the measurement on an idle machine"
    if measured.is_equal:
        return None
    times = f"{measured.ratio:.2f} times as long as the arm"
    if parameters == 0:
        return f"even the smallest control takes {times}"
    if parameters == most:
        return f"even the largest control takes only {times}"
    return f"the closest control takes {times}; other numbers of parameters are not closer"


def _yaml(design: StudyDesign, name: str, control: str, requests: Sequence[str]) -> str:
    """Return an arm and its control as lines of study.yaml, indented by two spaces."""
    fields = design.arms[name].model_dump(mode="json", exclude_defaults=True)
    shared = {key: value for key, value in fields.items() if key not in ("attention", "control")}
    arms = {
        name: {"attention": _short(fields["attention"]), **shared, "control": control},
        control: {"attention": _short(requests), **shared},
    }
    # One after the other, because together they would share parts by anchors, which study.yaml does not allow.
    texts = (yaml.safe_dump({name: arm}, **_YAML_STYLE) for name, arm in arms.items())
    return "".join(f"  {line}\n" for text in texts for line in text.splitlines())


def _short(requests: Sequence[str]) -> str | list[str]:
    return requests[0] if len(requests) == 1 else list(requests)
