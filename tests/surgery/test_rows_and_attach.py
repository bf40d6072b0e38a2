"""A row of a model file and `attach` give the same network: equal outputs for equal weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import attendet
from attendet.models import Detector
from attendet.models.bundled import bundled_text
from attendet.surgery import attach
from tests.helpers.third_party_networks import equal, randomize, run, vary_norms


def with_every_weight(model: Detector) -> Detector:
    """Return a detector in evaluation mode with random weights and statistics."""
    vary_norms(model)
    randomize(model)
    return model.train(False)


def renumbered(key: str, rows: dict[int, int]) -> str:
    return re.sub(r"^model\.(\d+)", lambda match: f"model.{rows[int(match[1])]}", key)


def assert_equal_outputs(by_file: Detector, by_plan: Detector, keys: dict[str, str]) -> None:
    """Copy every tensor of one detector into the other, and compare their outputs."""
    theirs = by_file.state_dict()
    assert sorted(keys.values()) == sorted(by_plan.state_dict())
    by_plan.load_state_dict({mine: theirs[key] for key, mine in keys.items()})
    images = torch.rand(2, 3, 96, 64)
    expected = run(by_file, images)
    assert equal(run(by_plan.train(False), images), expected)
    for module in by_plan.modules():
        if isinstance(module, attendet.CBAM):
            module.channel.fc2.weight.data.add_(1)
    assert not equal(run(by_plan, images), expected)


def test_a_row_before_sppf() -> None:
    by_file = with_every_weight(attendet.build("yolov5n_CBAM", num_classes=3))
    by_plan = attendet.build("yolov5n", num_classes=3)
    attach(by_plan, "cbam", "before:SPPF", start="paper")
    # Row 9 of the file is CBAM, and every later row has moved by one.
    rows = {row: row - (row > 9) for row in range(26)}
    keys = {key: renumbered(key, rows) for key in by_file.state_dict()}
    keys |= {key: key.replace("model.9.", "model.9.attention.") for key in keys if key.startswith("model.9.")}
    assert_equal_outputs(by_file, by_plan, keys)


def test_rows_in_place_of_c3() -> None:
    by_file = with_every_weight(attendet.build("yolov5n_CBAM-C3", num_classes=3))
    by_plan = attendet.build("yolov5n", num_classes=3)
    attach(by_plan, "cbam", "replace:backbone.C3", start="paper", reduction=8)
    assert_equal_outputs(by_file, by_plan, {key: key for key in by_file.state_dict()})


@pytest.mark.parametrize(
    ("block", "at", "mine"),
    [
        # The CBAM of a bottleneck follows its second convolution, at the end of the branch.
        ("C3CBAM", "inside:neck.C3", lambda key: re.sub(r"(\.m\.\d+)\.attention\.", r"\1.cv2.attention.", key)),
        ("CBAMC3", "after:neck.C3", lambda key: key),
        ("CBAMC3", "inside:neck.C3.cv3", lambda key: re.sub(r"^(model\.\d+)\.attention", r"\1.cv3.attention", key)),
    ],
)
@pytest.mark.filterwarnings("ignore:a reduction of 4")
def test_blocks_with_cbam_inside(block: str, at: str, mine: Callable[[str], str], tmp_path: Path) -> None:
    backbone, _, neck = bundled_text("yolov5n").partition("head:")
    neck = re.sub(r"C3, \[(\d+), False\]", rf"{block}, [\1, False, {{reduction: 4}}]", neck)
    assert neck.count(block) == 4
    file = tmp_path / "model.yaml"
    file.write_text(f"{backbone}head:{neck}")
    by_file = with_every_weight(attendet.build(file, num_classes=3))
    by_plan = attendet.build("yolov5n", num_classes=3)
    attach(by_plan, "cbam", at, start="paper", reduction=4)
    assert_equal_outputs(by_file, by_plan, {key: mine(key) for key in by_file.state_dict()})


def test_blocks_with_shortcuts(tmp_path: Path) -> None:
    """Bottlenecks of the backbone add their input, and CBAM is applied before the addition."""
    backbone, _, neck = bundled_text("yolov5s").partition("head:")
    file = tmp_path / "model.yaml"
    file.write_text(f"{backbone.replace('C3, [512]', 'C3CBAM, [512]')}head:{neck}")
    by_file = with_every_weight(attendet.build(file, num_classes=3))
    by_plan = attendet.build("yolov5s", num_classes=3)
    attach(by_plan, "cbam", [f"model.6.m.{number}.cv2" for number in range(3)], start="paper")
    move = re.compile(r"(\.m\.\d+)\.attention\.")
    assert_equal_outputs(by_file, by_plan, {key: move.sub(r"\1.cv2.attention.", key) for key in by_file.state_dict()})
    named = attendet.build("yolov5s", num_classes=3)
    attach(named, "cbam", "inside:C3", start="paper", reduction=8)
    inside_six = {key for key in named.state_dict() if key.startswith("model.6.") and ".attention." in key}
    assert inside_six == {move.sub(r"\1.cv2.attention.", key) for key in by_file.state_dict() if ".attention." in key}
