"""Controls of equal latency: bisection against synthetic clocks, and one small real measurement."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from attendet.errors import OptionError
from attendet.study.design.design_file import parse_design, read_design
from attendet.study.runs.dry_run import dry_run_arms
from attendet.study.runs.latency_matching import arms_to_match, control_requests, match_arms
from attendet.study.runs.latency_ratio import LatencyRatio, bisect_parameters
from attendet.surgery import attached
from attendet.training.config import build_config
from attendet.training.training_model import build_training_model
from tests.helpers.small_studies import open_study, write_small

HEAD = "name: a\nmodel: yolov5n\ndata: d.yaml\nseeds: 2\n"


class Clock:
    """Measures controls whose latency is a known function of their number of parameters.

    Args:
        base: Latency of the smallest control in milliseconds.
        each: Milliseconds that one more parameter takes.
        arm: Latency of the arm in milliseconds.
        noise: Relative standard deviation of each pass.
        width: Number of parameters that share one latency.
    """

    def __init__(self, base: float, each: float, arm: float, noise: float = 0.0, width: int = 1) -> None:
        self.base, self.each, self.arm, self.noise, self.width = base, each, arm, noise, width
        self.generator = np.random.default_rng(0)
        self.tried: list[int] = []

    def latency(self, parameters: int) -> float:
        return self.base + self.each * (parameters // self.width * self.width)

    def measure(self, parameters: int) -> LatencyRatio:
        self.tried.append(parameters)
        arm, control = (
            time * np.exp(self.generator.normal(0, self.noise, 40)) for time in (self.arm, self.latency(parameters))
        )
        return LatencyRatio.from_times(arm.tolist(), control.tolist())


@pytest.mark.parametrize("arm", [10.5, 12.0, 17.0, 60.0, 73.0])
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_bisection_finds_the_number_of_parameters_whose_latency_is_the_arms(arm: float, noise: float) -> None:
    clock = Clock(base=10, each=0.001, arm=arm, noise=noise)
    parameters, measured = bisect_parameters(clock.measure, most=64_000, step=16)
    assert measured.is_equal
    # Without noise 2 %; with noise, the median of 40 rounds has a standard error of 1.4 %.
    assert clock.latency(parameters) == pytest.approx(arm, rel=0.02 if noise == 0 else 0.07)
    assert len(clock.tried) <= 15


def test_a_slower_smallest_control_and_a_faster_largest_one_are_returned_as_they_are() -> None:
    slow, fast = Clock(base=10, each=0.001, arm=8), Clock(base=10, each=0.001, arm=100)
    parameters, measured = bisect_parameters(slow.measure, most=64_000, step=16)
    assert (parameters, measured.is_equal, slow.tried) == (0, False, [0])
    assert measured.ratio == pytest.approx(10 / 8)
    parameters, measured = bisect_parameters(fast.measure, most=64_000, step=16)
    assert (parameters, measured.is_equal, fast.tried) == (64_000, False, [0, 64_000])
    assert measured.ratio == pytest.approx(74 / 100)


def test_where_steps_are_coarse_the_closest_control_is_returned() -> None:
    # Controls take 10, 12, 14, ... ms.
    clock = Clock(base=10, each=0.001, arm=12.8, width=2000)
    parameters, measured = bisect_parameters(clock.measure, most=64_000, step=16)
    assert not measured.is_equal
    assert clock.latency(parameters) == 12


def test_a_ratio_is_the_median_over_rounds_so_that_a_slow_machine_changes_nothing() -> None:
    arm = np.random.default_rng(0).uniform(1, 100, 41)
    measured = LatencyRatio.from_times(arm.tolist(), (1.1 * arm).tolist())
    assert (measured.ratio, measured.low, measured.high) == pytest.approx((1.1, 1.1, 1.1))
    assert (measured.arm_ms, measured.control_ms) == pytest.approx((np.median(arm), 1.1 * np.median(arm)))
    assert measured.error == pytest.approx(0, abs=1e-12)


def test_the_error_is_half_of_a_95_percent_interval_of_the_median() -> None:
    generator = np.random.default_rng(1)
    ratios = [LatencyRatio.from_times([1.0] * 40, generator.normal(1.5, 0.1, 40).tolist()) for _ in range(2000)]
    covered = np.mean([abs(each.ratio - 1.5) <= each.error for each in ratios])
    assert covered == pytest.approx(0.95, abs=0.025)


def test_controls_and_arms_without_attention_are_not_matched() -> None:
    arms = "{a: , b: {attention: se@neck, control: c}, c: cbam@head, d: control-identity@neck, e: [se@neck, eca@head]}"
    assert list(arms_to_match(parse_design(f"{HEAD}arms: {arms}"))) == ["b", "e"]
    assert control_requests(["se:reduction=8,start=identity@replace:C3", "eca@head"], 99) == (
        "control-conv1x1:parameters=99,start=identity@replace:C3",
        "control-conv1x1:parameters=99@head",
    )


def test_a_study_without_attention_has_nothing_to_match(tmp_path: Path) -> None:
    study = open_study(write_small(tmp_path, "{a: , b: {recipe: {loss.box: 0.1}}}"))
    with pytest.raises(OptionError, match="no arm has attention that a control could replace; add an arm such as"):
        match_arms(study)


def test_a_control_of_a_real_arm_can_be_pasted_and_has_the_stated_parameters(tmp_path: Path) -> None:
    arms = "\n  plain:\n  gated: {attention: 'cbam:reduction=2@after:Conv', recipe: {loss.box: 0.1}}"
    file = write_small(tmp_path, arms)
    (match,) = match_arms(open_study(file), rounds=4)
    assert (match.arm, match.control) == ("gated", "gated-latency")
    assert match.attention == (f"control-conv1x1:parameters={match.parameters}@after:Conv",)
    assert match.measured.low <= match.measured.ratio <= match.measured.high
    assert min(match.measured.arm_ms, match.measured.control_ms) > 0

    pasted = yaml.safe_load(match.yaml)
    assert pasted["gated"] == {
        "attention": "cbam:reduction=2@after:Conv",
        "recipe": {"loss.box": 0.1},
        "control": "gated-latency",
    }
    file.write_text(file.read_text().replace(arms, f"\n  plain:\n{match.yaml.rstrip()}"))
    dry_run_arms(open_study(file), file)
    design = read_design(file)
    assert design.arms["gated-latency"].attention == match.attention
    assert list(arms_to_match(design)) == ["gated"]

    settings = open_study(file).design.settings("gated-latency", 0) | {"model.cfg": str(tmp_path / "small.yaml")}
    detector = build_training_model(build_config({**settings, "model.attention": list(match.attention)}), ("r", "b"))
    modules = [module for attachment in attached(detector.detector) for module in attachment.modules().values()]
    assert match.added_parameters == sum(each.numel() for module in modules for each in module.parameters())
    # By hand: two matrices of C times k, with k = P / 2C rounded, in 5 places of 8 to 16 channels.
    widths = {channels: max(1, (match.parameters + channels) // (2 * channels)) for channels in (8, 16)}
    assert match.added_parameters == sum(2 * channels * widths[channels] for channels in (8, 8, 16, 16, 16))


def test_random_numbers_of_the_caller_are_left_alone(tmp_path: Path) -> None:
    study = open_study(write_small(tmp_path, "{a: , b: se:reduction=2@after:Conv}"))
    before = torch.random.get_rng_state()
    match_arms(study, rounds=2)
    assert torch.equal(torch.random.get_rng_state(), before)
