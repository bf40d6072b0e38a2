"""Placements in detectors, whose rows have the numbers of their model files."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import nn

import attendet
from attendet.blocks import SPPF
from attendet.errors import AttendetError, AttendetWarning, OptionError, UnknownNameError
from attendet.surgery import attach, attached
from attendet.surgery.placement import At
from tests.helpers.module_snapshot import ModuleSnapshot, hooks
from tests.helpers.third_party_networks import equal, run

# Rows in the published model file of YOLOv5: C3 in the backbone, C3 in the neck.
BACKBONE_C3, NECK_C3 = (2, 4, 6, 8), (13, 17, 20, 23)
# Bottlenecks of each C3 in size n: a third of 3, 6, 9, and 3 in the backbone, and of 3 in the neck.
REPEATS = {2: 1, 4: 2, 6: 3, 8: 1, 13: 1, 17: 1, 20: 1, 23: 1}


@cache
def built() -> nn.Module:
    return attendet.build("yolov5n", num_classes=3).train(False)


def detector() -> nn.Module:
    """Return a new detector: a copy, because building takes longer."""
    return copy.deepcopy(built())


def images() -> tuple[torch.Tensor]:
    return (torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)),)


def rows(*numbers: int, end: str = "") -> list[str]:
    return [f"model.{number}{end}" for number in numbers]


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("before:SPPF", rows(9)),
        ("after:SPPF", rows(9)),
        ("after:C3", rows(*BACKBONE_C3, *NECK_C3)),
        ("after:backbone.C3", rows(*BACKBONE_C3)),
        ("after:neck.C3", rows(*NECK_C3)),
        # Strides 4, 8, and 16 end with the C3 of rows 2, 4, and 6; stride 32 ends with SPPF, which follows row 8.
        ("backbone", rows(2, 4, 6, 9)),
        ("stage", rows(2, 4, 6, 9)),
        ("stage:2-3", rows(4, 6)),
        ("stage:4", rows(9)),
        ("neck", rows(*NECK_C3)),
        # Detect reads rows 17, 20, and 23, each with a convolution of its own.
        ("head", rows(*[24] * 3, end=".m.{}")),
        (
            "inside:C3",
            [f"model.{row}.m.{number}.cv2" for row, repeats in REPEATS.items() for number in range(repeats)],
        ),
        ("inside:neck.C3", [f"model.{row}.m.0.cv2" for row in NECK_C3]),
        ("inside:C3.cv3", rows(*BACKBONE_C3, *NECK_C3, end=".cv3")),
        ("inside:neck.C3.cv3", rows(*NECK_C3, end=".cv3")),
        ("model.9.cv2", ["model.9.cv2"]),
        ("model.?.cv3", rows(*BACKBONE_C3, end=".cv3")),
        ("model.*.cv3", rows(*BACKBONE_C3, *NECK_C3, end=".cv3")),
        ("**.cv3", rows(*BACKBONE_C3, *NECK_C3, end=".cv3")),
        ("model.[24].cv3", rows(2, 4, end=".cv3")),
        ("model.[!2].cv3", rows(4, 6, 8, end=".cv3")),
        ("stage~model.9", rows(2, 4, 6)),
        ("stage~stage:2-3", rows(2, 9)),
        ("after:C3~model.1?~model.2?", rows(*BACKBONE_C3)),
        ("inside:C3~after:neck.C3~model.4~model.6", ["model.2.m.0.cv2", "model.8.m.0.cv2"]),
        (["stage", SPPF, "~model.9"], rows(2, 4, 6)),
        (SPPF, rows(9)),
        ([SPPF, "model.9", "stage:4", "after:SPPF"], rows(9)),
        (["model.9", "stage:1"], rows(2, 9)),
    ],
    ids=str,
)
def test_places(at: At, expected: list[str]) -> None:
    model = detector()
    if at == "head":
        expected = [path.format(number) for number, path in enumerate(expected)]
    attachment = attach(model, "eca", at, example=images())
    found = [site.path for site in attachment.sites]
    attachment.detach()
    assert found == expected


def test_channels_and_strides_are_measured() -> None:
    """The channels of size n are a quarter of 128, 256, 512, and 1024."""
    model = detector()
    attachment = attach(model, "eca", "backbone", example=images())
    attachment.detach()
    assert [(site.channels, site.stride) for site in attachment.sites] == [(32, 4), (64, 8), (128, 16), (256, 32)]


def test_before_applies_to_the_input_and_after_to_the_output() -> None:
    model = detector()
    seen: dict[str, torch.Tensor] = {}
    attachment = attach(model, "cbam", ["before:SPPF", "after:SPPF"], start="paper", example=images())
    before, after = attachment.modules().values()
    assert before is not after
    handles = [
        model.get_submodule("model.8").register_forward_hook(lambda *args: seen.update(eight=args[2])),
        model.get_submodule("model.9.cv1").register_forward_pre_hook(lambda *args: seen.update(into=args[1][0])),
        model.get_submodule("model.9.cv2").register_forward_hook(lambda *args: seen.update(out=args[2])),
        model.get_submodule("model.10").register_forward_pre_hook(lambda *args: seen.update(ten=args[1][0])),
    ]
    run(model, *images())
    for handle in handles:
        handle.remove()
    assert torch.equal(seen["into"], run(before, seen["eight"]))
    assert torch.equal(seen["ten"], run(after, seen["out"]))
    attachment.detach()
    assert not hooks(model)


def test_several_attachments_at_one_place() -> None:
    model = detector()
    snapshot, plain = ModuleSnapshot(model), run(model, *images())
    first = attach(model, "cbam", "after:SPPF", example=images())
    second = attach(model, "se", ["stage", "model.9"], start="paper", reduction=4, example=images())
    assert [site.child for site in second.sites] == ["attention", "attention", "attention", "attention2"]
    assert [attachment.sites for attachment in attached(model)] == [first.sites, second.sites]
    attentive = run(model, *images())
    assert not equal(attentive, plain)
    first.detach()
    assert equal(run(model, *images()), attentive)
    second.detach()
    assert snapshot.matches(model)


def test_replaced_rows_come_back_after_detach() -> None:
    model = detector()
    snapshot = ModuleSnapshot(model)
    attachment = attach(model, "cbam", "replace:backbone.C3", reduction=8, example=images())
    assert [site.path for site in attachment.sites] == rows(*BACKBONE_C3)
    assert not any(key.startswith("model.2.cv") for key in model.state_dict())
    with pytest.raises(OptionError, match=r"replaced at model\.2 is not known to a copy"):
        attached(model)[0].detach()
    attachment.detach()
    assert snapshot.matches(model)


def test_a_module_that_contains_attention_cannot_be_replaced_or_detached() -> None:
    model = detector()
    snapshot = ModuleSnapshot(model)
    inner = attach(model, "eca", "inside:C3.cv3", example=images())
    with pytest.raises(
        OptionError,
        match=r"model\.2 cannot be replaced, because attention is attached inside it; detach that attention first",
    ):
        attach(model, "eca", "replace:backbone.C3", example=images())
    inner.detach()
    outer = attach(model, "eca", "replace:backbone.C3", example=images())
    second = attach(model, "se", "model.2", reduction=4, example=images())
    with pytest.raises(OptionError, match=r"se is attached to this attention, at model\.2; detach it first"):
        outer.detach()
    second.detach()
    outer.detach()
    assert snapshot.matches(model)
    with pytest.raises(OptionError, match=r"model\.2 cannot be replaced, because attention is attached inside it"):
        attach(model, "eca", ["replace:backbone.C3", "inside:C3.cv3"], example=images())
    assert snapshot.matches(model)


def test_attached_attention_is_not_searched() -> None:
    """Patterns, classes, and residual branches do not match modules inside attached attention."""
    model = detector()
    first = attach(model, "cbam", "after:SPPF", example=images())
    with pytest.warns(AttendetWarning, match="places, more than 30"):
        second = attach(model, "eca", [nn.Conv2d, "**.conv", "model.9.**"], example=images())
    inside = [site.path for site in second.sites if site.path.startswith("model.9.attention.")]
    second.detach()
    first.detach()
    assert inside == []


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("after:C33", r"no module of class 'C33' runs; did you mean 'C3'\?"),
        ("after:neck.SPPF", r"no module of class 'SPPF' runs in the neck; the classes are .*C3, Concat, Conv"),
        ("replace:head.C3", r"no module of class 'C3' runs in the head"),
        ("inside:C3.cv4", r"a child 'cv4' of C3 matches nothing"),
        ("inside:SPPF", r"a residual branch inside SPPF matches nothing in Detector; "),
        ("model.9.cv3", r"model\.9\.cv3 matches nothing in Detector; did you mean 'model\.9\.cv[12]'\?"),
        ("stages", r"matches nothing in Detector; did you mean 'stage'\?"),
        (
            "*.nothing",
            r"matches nothing .*placements are residual-branch, stage, .*classes are .*SPPF.*paths are model\.0\.conv",
        ),
        (nn.Conv3d, r"the class Conv3d matches nothing"),
        ("stage:0", r"`stage` must be followed by stages from 1 to 4, got '0'; write it like stage:1-4"),
        ("stage:2-5", r"stages from 1 to 4, got '2-5'"),
        ("stage:3-2", r"stages from 1 to 4, got '3-2'"),
        ("stage:", r"stages from 1 to 4, got ''"),
        ("stage:²", r"stages from 1 to 4, got '²'"),
        ("stage:one", r"stages from 1 to 4, got 'one'"),
        (
            "*.cv3",
            r"\*.cv3 matches nothing in Detector, where \* stops at a dot and .*; did you mean '\*\*.cv3'",
        ),
        ("stage~model.3", r"~model.3 leaves out none of model.2, model.4, model.6, model.9; name one of these places"),
        (
            "stage~model.*",
            r"~model.\* leaves out every place: model.2, model.4, model.6, model.9; leave out fewer places",
        ),
        ("stage~nowhere", r"nowhere matches nothing in Detector"),
        (["~stage"], r"`at` must name a place before `~`; write, for example, stage~stage"),
        ([], r"`at` must be a placement, a path, a class, or a list of these, got \[\]"),
        (None, r"`at` must be .*, got None; use, for example, stage"),
        ([nn.ReLU()], r"`at` must be .*, got \[ReLU\(\)\]"),
        (
            "replace:Detector",
            r"the whole network turns \(1, 3, 64, 64\) into several maps and cannot be replaced by attention",
        ),
        ("model.24", r"model\.24 must return exactly one feature map, but does not"),
        ("before:Concat", r"model\.12 must take exactly one feature map, but does not"),
        ("replace:Conv", r"model\.0 turns \(1, 3, 64, 64\) into \(1, 16, 32, 32\) and cannot be replaced"),
    ],
    ids=str,
)
def test_an_unmatched_place_lists_the_existing_ones(at: At, message: str) -> None:
    model = detector()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match=message):
        attach(model, "eca", at, example=images())
    assert snapshot.matches(model)


def test_attention_after_a_concat_is_applied_to_the_joined_map() -> None:
    model = detector()
    snapshot = ModuleSnapshot(model)
    attachment = attach(model, "eca", "model.12", example=images())
    (site,) = attachment.sites
    # Rows 10 and 6 have a quarter of 512 channels each, at stride 16.
    assert (site.path, site.channels, site.stride) == ("model.12", 128 + 128, 16)
    attachment.detach()
    assert snapshot.matches(model)


@pytest.mark.filterwarnings("default::attendet.errors.AttendetWarning")
def test_many_places_are_a_warning() -> None:
    model = detector()
    with pytest.warns(AttendetWarning, match=r"after:Conv matches 57 places, more than 30; if .*~layer4"):
        attach(model, "eca", "after:Conv", example=images())


def test_a_missing_region_is_reported() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    with pytest.raises(
        OptionError, match=r"Sequential has no known neck, only modules named neck, backbone.fpn, fpn are recognized"
    ):
        attach(model, "eca", "neck")
    with pytest.raises(OptionError, match="has no known head"):
        attach(model, "eca", "head")
    for at in ("backbone", "after:backbone.Conv2d"):
        with pytest.raises(OptionError, match=r"Sequential has no known backbone, .*; write stage for .*whole network"):
            attach(model, "eca", at)
    with pytest.raises(OptionError, match="residual-branch matches nothing"):
        attach(model, "eca", "residual-branch")
    with pytest.raises(UnknownNameError, match="did you mean 'cbam'"):
        attach(model, "cbamm", "1")
    with pytest.raises(AttendetError, match=r"cannot be run on an example .*; pass `example`"):
        attach(model, "eca", "1", example=torch.rand(1, 4, 32, 32))
    with pytest.raises(OptionError, match=r"it has no convolution, from which the size of its input could be inferred"):
        attach(nn.Sequential(nn.Linear(3, 3)), "eca", "0")
