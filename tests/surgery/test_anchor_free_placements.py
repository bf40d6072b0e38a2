"""Placements in YOLOv8 and YOLO11, whose rows have the numbers of their model files."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import attendet
from attendet.errors import OptionError
from attendet.models import Detector
from attendet.models.bundled import bundled_text
from attendet.surgery import attach
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.third_party_networks import equal, randomize, run, vary_norms


@cache
def built(name: str) -> Detector:
    torch.manual_seed(0)
    model = attendet.build(name, num_classes=3).train(False)
    # With torch's own initialization, the features vanish, and any two outputs are equal.
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.requires_grad:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    return model


def detector(name: str) -> Detector:
    """Return a new detector: a copy, because building takes longer."""
    return copy.deepcopy(built(name))


def images() -> tuple[torch.Tensor]:
    return (torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(2)),)


def rows(*numbers: int, end: str = "") -> list[str]:
    return [f"model.{number}{end}" for number in numbers]


# Rows of the published files: blocks in the backbone and in the neck.
V8_BACKBONE, V8_NECK = (2, 4, 6, 8), (12, 15, 18, 21)
V11_BACKBONE, V11_NECK = (2, 4, 6, 8), (13, 16, 19, 22)
# Bottlenecks of each C2f in size n: a third of 3, 6, 6, and 3 in the backbone, and of 3 in the neck.
V8_BRANCHES = [f"model.{row}.m.{n}.cv2" for row, count in ((2, 1), (4, 2), (6, 2), (8, 1)) for n in range(count)]
V8_NECK_ENDS = rows(*V8_NECK, end=".m.0.cv2")
# Half of two inner blocks in size n: a bottleneck in rows 2, 4, 13, 16, and 19, else a C3k of two bottlenecks.
V11_BEFORE = [*rows(2, 4, end=".m.0.cv2"), *[f"model.{row}.m.0.m.{n}.cv2" for row in (6, 8) for n in (0, 1)]]
V11_AFTER = [*rows(13, 16, 19, end=".m.0.cv2"), "model.22.m.0.m.0.cv2", "model.22.m.0.m.1.cv2"]
V11_SELF_ATTENTION = ["model.10.m.0.attn", "model.10.m.0.ffn"]


def head_inputs(row: int, classes: str) -> list[str]:
    """Return the first convolutions of the box and the class branch of every level."""
    return [f"model.{row}.{branch}" for level in range(3) for branch in (f"cv2.{level}.0", f"cv3.{level}.{classes}")]


PLACES = {
    "yolov8n": {
        "backbone": rows(2, 4, 6, 9),
        "stage": rows(2, 4, 6, 9),
        "stage:1-3": rows(2, 4, 6),
        "neck": rows(*V8_NECK),
        "head": head_inputs(22, "0"),
        "before:SPPF": rows(9),
        "after:SPPF": rows(9),
        "after:C2f": rows(*V8_BACKBONE, *V8_NECK),
        "after:neck.C2f": rows(*V8_NECK),
        # The neck has no shortcuts, so that its bottlenecks are not residual branches.
        "residual-branch": V8_BRANCHES,
        "inside:C2f": [*V8_BRANCHES, *V8_NECK_ENDS],
        "inside:neck.C2f": V8_NECK_ENDS,
        "inside:C2f.cv2": rows(*V8_BACKBONE, *V8_NECK, end=".cv2"),
        "replace:backbone.C2f": rows(*V8_BACKBONE),
        "neck~model.21": rows(12, 15, 18),
    },
    "yolo11n": {
        "backbone": rows(2, 4, 6, 10),
        "stage": rows(2, 4, 6, 10),
        "stage:4": rows(10),
        "neck": rows(*V11_NECK),
        "head": head_inputs(23, "0.0"),
        "before:SPPF": rows(9),
        "after:SPPF": rows(9),
        "after:C2PSA": rows(10),
        "after:C3k2": rows(*V11_BACKBONE, *V11_NECK),
        "residual-branch": [*V11_BEFORE, *V11_SELF_ATTENTION, *V11_AFTER],
        "inside:C3k2": [*V11_BEFORE, *V11_AFTER],
        "inside:backbone.C3k2": V11_BEFORE,
        "inside:C3k": [path for path in (*V11_BEFORE, *V11_AFTER) if path.count(".m.") == 2],
        # The position encoding inside of the self-attention is added without a shortcut.
        "inside:C2PSA": V11_SELF_ATTENTION,
        "inside:C3k2.cv2": rows(*V11_BACKBONE, *V11_NECK, end=".cv2"),
        "replace:C2PSA": rows(10),
        "replace:backbone.C3k2~model.2~model.4": rows(6, 8),
    },
}
CASES = [(name, at) for name, places in PLACES.items() for at in places]
# The widest pyramid has 16 channels in its narrowest bottleneck.
OPTIONS: dict[str, Any] = {"reduction": 4}


@pytest.mark.filterwarnings("ignore:a reduction of 4")
@pytest.mark.parametrize(("name", "at"), CASES)
def test_places_are_found_start_at_the_identity_get_gradients_and_come_off(name: str, at: str) -> None:
    model = detector(name)
    snapshot, plain = ModuleSnapshot(model), run(model, *images())
    attachment = attach(model, "cbam", at, example=images(), **OPTIONS)
    assert [site.path for site in attachment.sites] == PLACES[name][at]
    attended = run(model, *images())
    assert equal(attended, plain) is not at.startswith("replace:")

    learned = [value for module in attachment.modules().values() for value in module.parameters()]
    for value in learned:
        # Positive, so that no hidden channel is off, and too small to saturate a gate.
        nn.init.constant_(value, 0.02)
    raw = model(*images())
    assert not equal(raw, attended)
    torch.stack([level.square().mean() for level in raw]).sum().backward()
    # Two matrices of the channel gate, and the convolution of the spatial gate.
    assert len(learned) == 3 * len(attachment.sites)
    assert all(value.grad is not None for value in learned)
    for module in attachment.modules().values():
        assert any(value.grad is not None and bool(value.grad.any()) for value in module.parameters())

    model.zero_grad()
    attachment.detach()
    assert snapshot.matches(model)
    assert equal(run(model, *images()), plain)


def test_channels_and_strides_are_measured() -> None:
    """Size n has a quarter of the declared channels: 512, 256, 512, and 1024 in the neck of both families."""
    for name in ("yolov8n", "yolo11n"):
        sites = attach(detector(name), "eca", "neck", example=images()).sites
        assert [(site.channels, site.stride) for site in sites] == [(128, 16), (64, 8), (128, 16), (256, 32)]


@pytest.mark.parametrize(
    ("name", "at", "message"),
    [
        ("yolov8n", "replace:neck.C2f", r"model\.12 turns \(1, 384, .*\) into \(1, 128, .*\) and cannot be replaced"),
        ("yolo11n", "replace:backbone.C3k2", r"model\.2 turns \(1, 32, .*\) into \(1, 64, .*\) and cannot be replaced"),
        ("yolo11n", "inside:C2f", r"no module of class 'C2f' runs; .*C3k2"),
        ("yolov8n", "inside:SPPF", "a residual branch inside SPPF matches nothing"),
    ],
)
def test_places_that_do_not_exist_are_refused(name: str, at: str, message: str) -> None:
    with pytest.raises(OptionError, match=message):
        attach(detector(name), "eca", at, example=torch.rand(1, 3, 64, 96))


def inside(key: str) -> str:
    """Return the key of attached attention: after the last convolution of a bottleneck."""
    return re.sub(r"(\.m\.\d+)\.attention\.", r"\1.cv2.attention.", key)


@pytest.mark.parametrize(
    ("name", "block", "row", "at", "mine"),
    [
        ("yolov8n", "C2f", "C2f_CBAM", "inside:C2f", inside),
        ("yolov8n", "C2f", "CBAMC2f", "after:C2f", str),
        ("yolo11n", "C3k2", "C3k2_CBAM", "inside:C3k2", inside),
        ("yolo11n", "C3k2", "CBAMC3k2", "after:C3k2", str),
        ("yolo11m", "C3k2", "C3k2CBAM", "inside:C3k2", inside),
    ],
)
@pytest.mark.filterwarnings("ignore:a reduction of 4")
def test_a_row_and_attach_give_equal_outputs(
    name: str, block: str, row: str, at: str, mine: Callable[[str], str], tmp_path: Path
) -> None:
    """The blocks with attention in the name, whose head and inner blocks belong to the family."""
    file = tmp_path / f"{name}.yaml"
    text, count = re.subn(rf"{block}, \[(.*?)\]\]", rf"{row}, [\1, {{reduction: 4}}]]", bundled_text(name))
    assert count == 8
    file.write_text(text)
    by_file = attendet.build(file, num_classes=3)
    vary_norms(by_file)
    randomize(by_file)
    by_plan = attendet.build(name, num_classes=3)
    attach(by_plan, "cbam", at, start="paper", **OPTIONS)
    theirs = by_file.train(False).state_dict()
    assert sorted(map(mine, theirs)) == sorted(by_plan.state_dict())
    by_plan.load_state_dict({mine(key): value for key, value in theirs.items()})
    assert equal(run(by_plan.train(False), *images()), run(by_file, *images()))
