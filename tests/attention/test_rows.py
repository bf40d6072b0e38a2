"""Attention as rows of model files, under every name and with the arguments that community files use."""

from pathlib import Path

import pytest
import torch

import attendet
from attendet.attention import create, names
from attendet.attention.base import Start
from attendet.attention.catalog import attentions
from attendet.errors import ModelFileError, UnknownNameError
from attendet.models.lint.checker import check_model_file

TEXT = """\
nc: 3
depth_multiple: 0.33
width_multiple: 0.25
anchors: [[10, 13, 16, 30, 33, 23]]
backbone:
  - [-1, 1, Conv, [64, 6, 2, 2]]
  - [-1, 1, Conv, [256, 3, 2]]
  - {row}
head:
  - [[-1], 1, Detect, [nc, anchors]]
"""

COMMUNITY = {
    "se": ["SE", "SELayer", "SEAttention", "SEBlock", "SEModule", "SE_Layer", "SqueezeExcitation", "ChannelSELayer"],
    "eca": ["ECA", "ECAAttention", "ECALayer", "eca_layer", "EcaModule", "ECABlock"],
    "coordinate": ["CoordAtt", "CA", "CoordAttention", "CoordinateAttention", "Coord_Att"],
    "simam": ["SimAM", "simam_module", "SimAMAttention"],
    "scse": ["scSE", "SCSEModule", "ScSEAttention"],
    "gc": ["GC", "GCBlock", "GCNet", "ContextBlock", "GlobalContext", "GlobalContextBlock", "ContextBlock2d"],
    "sk": ["SK", "SKAttention", "SKConv", "SelectiveKernel"],
    "triplet": ["Triplet", "TripletAttention"],
    "shuffle": ["ShuffleAttention", "SA", "sa_layer"],
    "gam": ["GAM", "GAMAttention", "GAM_Attention"],
    "ema": ["EMA", "EMAAttention", "EMA_attention"],
    "nam": ["NAM", "NAMAttention"],
    "lsk": ["LSK", "LSKBlock", "LSKblock", "LSKAttention"],
    "cbam": ["CBAM", "CBAMBlock", "CBAM_Block", "cbam_block", "CBAMLayer", "CbamModule"],
    "ultralytics-cbam": ["UltralyticsCBAM"],
    "bam": ["BAM", "BAMBlock", "BAMModule"],
}


def model_file(tmp_path: Path, row: str) -> Path:
    file = tmp_path / "model.yaml"
    file.write_text(TEXT.replace("{row}", row))
    return file


@pytest.mark.parametrize(("name", "alias"), [(name, alias) for name, aliases in COMMUNITY.items() for alias in aliases])
def test_community_names_are_registered(name: str, alias: str) -> None:
    assert attentions.get(alias) is attentions.get(name)


@pytest.mark.parametrize("name", names())
def test_class_names_are_registered(name: str) -> None:
    assert attentions.get(attentions.get(name).__name__) is attentions.get(name)


def test_an_ambiguous_name_is_unknown() -> None:
    # An SE in super-resolution networks, coordinate attention in some detectors.
    with pytest.raises(UnknownNameError):
        attentions.get("CALayer")


def test_every_module_has_community_names() -> None:
    assert {name for name in names() if not name.startswith("control-")} == set(COMMUNITY)


@pytest.mark.filterwarnings("ignore:.*of 64 channels in the hidden layer")
@pytest.mark.parametrize("start", ["paper", "identity"])
@pytest.mark.parametrize("name", names())
def test_every_module_works_as_a_row(name: str, start: Start, tmp_path: Path) -> None:
    row = f"[-1, 1, {COMMUNITY.get(name, [name])[0]}, [256]]"
    file = model_file(tmp_path, row)
    assert check_model_file(file) == []
    detector = attendet.build(file, start=start)
    assert type(detector.model[2]) is attentions.get(name)
    levels = detector(torch.rand(2, 3, 64, 64))
    assert [tuple(level.shape) for level in levels] == [(2, 3, 16, 16, 8)]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("[-1, 1, SE, [256, 8]]", create("se", 64, reduction=8)),
        ("[-1, 1, SE, [256, {reduction: 4, bias: true}]]", create("se", 64, reduction=4, bias=True)),
        ("[-1, 1, ECA, [256, 5]]", create("eca", 64, kernel_size=5)),
        ("[-1, 1, CA, [256, 256, 16]]", create("coordinate", 64, reduction=16)),
        ("[-1, 1, SimAM, []]", create("simam", 64)),
        ("[-1, 3, SimAM, [{regularizer: 0.001}]]", create("simam", 64, regularizer=0.001)),
        ("[-1, 1, EMA, [256, {groups: 8}]]", create("ema", 64, groups=8)),
        ("[-1, 1, EMA, [256, 16]]", create("ema", 64, groups=16)),
        ("[-1, 1, TripletAttention, [7]]", create("triplet", 64, kernel_size=7)),
        ("[-1, 1, control-conv1x1, [256, {like: se}]]", create("control-conv1x1", 64, like="se")),
    ],
)
@pytest.mark.filterwarnings("ignore:.*forks disagree about 3 repeats")
def test_arguments_reach_the_module(row: str, expected: torch.nn.Module, tmp_path: Path) -> None:
    module = attendet.build(model_file(tmp_path, row)).model[2]
    assert repr(module) == repr(expected)
    assert {key: value.shape for key, value in module.state_dict().items()} == {
        key: value.shape for key, value in expected.state_dict().items()
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("[-1, 1, EMA, [256, {groups: 7}]]", "`groups` must divide 64 channels evenly, got 7; use 4 or 8 groups"),
        (
            "[-1, 1, SE, [256, {reduction: 128}]]",
            "`reduction` must leave at least 1 of 64 channels, got 128; use a reduction of 16 or less",
        ),
        ("[-1, 1, ECA, [256, 4]]", "has no option 'reduction'"),
        ("[-1, 1, TripletAtention, []]", "did you mean 'TripletAttention'"),
    ],
)
def test_invalid_rows(row: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=message):
        attendet.build(model_file(tmp_path, row))
