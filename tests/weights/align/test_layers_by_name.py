"""Models that are no rows are matched by name and shape; modules of others by their names for things."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from attendet.attention.cbam.module import CBAM, FOREIGN_KEYS
from attendet.weights.align.alignment import align
from tests.weights.align.numbered_tensors import own, tool


@pytest.fixture(scope="module")
def resnet() -> dict[str, Tensor]:
    return torchvision.models.resnet18(num_classes=10).state_dict()


@pytest.mark.parametrize("theirs, ours", [("module.", ""), ("", "model."), ("model.", "backbone."), ("", "")])
def test_a_wrapper_is_seen_through(resnet, theirs, ours):
    file = tool.numbered({theirs + key: value for key, value in resnet.items()})
    aligned = align({ours + key: value for key, value in resnet.items()}, file)
    assert len(aligned.report.kept) == len(resnet)
    assert all(own(aligned, file, ours + key, theirs + key) for key in resnet)


def test_a_backbone_inside_a_larger_model_is_found(resnet):
    model = {**{f"backbone.{key}": value for key, value in resnet.items()}, "neck.weight": torch.ones(3)}
    aligned = align(model, resnet)
    assert len(aligned.report.kept) == len(resnet)
    assert aligned.report.new == ("neck.weight",)


def test_two_wrappers_that_fit_as_well_are_not_chosen_from(resnet):
    twice = {f"{side}.{key}": value for side in ("model", "backbone") for key, value in resnet.items()}
    assert align(resnet, twice).values == {}


def test_another_number_of_classes_keeps_the_rest_by_name(resnet):
    aligned = align(torchvision.models.resnet18(num_classes=4).state_dict(), resnet)
    assert aligned.report.reshaped == ("fc.weight", "fc.bias")
    assert aligned.report.kept == tuple(key for key in resnet if not key.startswith("fc."))


def test_a_deeper_network_takes_what_has_the_same_name(resnet):
    with torch.device("meta"):
        deeper = torchvision.models.resnet34(num_classes=10).state_dict()
    aligned = align(deeper, resnet)
    assert aligned.report.kept == tuple(key for key in deeper if key in resnet)


def test_counters_of_batch_norms_are_nothing_by_themselves():
    with torch.device("meta"):
        wider = torchvision.models.wide_resnet50_2().state_dict()
        narrow = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1]).state_dict()
    file = {key: torch.ones([3, *value.shape[1:]][: value.ndim], dtype=value.dtype) for key, value in wider.items()}
    assert align(narrow, file).values == {}


def test_attached_attention_in_a_network_of_others(resnet):
    gates = {f"layer1.0.attention.{key}": value for key, value in CBAM(64).state_dict().items()}
    aligned = align({**resnet, **gates}, resnet)
    assert aligned.report.kept == tuple(resnet)
    assert align({**resnet, **gates}, {**resnet, **gates}).report.complete


# What timm and the authors' code call our layers; timm's are convolutions of one tap.
NAMES = {
    "timm": {
        "channel.fc1": "channel.fc1",
        "channel.fc2": "channel.fc2",
        "spatial.conv": "spatial.conv.conv",
        "spatial.norm": "spatial.conv.bn",
    },
    "authors": {
        "channel.fc1": "ChannelGate.mlp.1",
        "channel.fc2": "ChannelGate.mlp.3",
        "spatial.conv": "SpatialGate.spatial.conv",
        "spatial.norm": "SpatialGate.spatial.bn",
    },
}


@pytest.mark.parametrize(("variant", "names"), [("plain", "authors"), ("authors", "authors"), ("timm", "timm")])
def test_attention_saved_by_others_is_taken_with_its_range(variant, names):
    model = nn.Module()
    model.model = nn.ModuleList([CBAM(64, variant=variant, start="identity")])
    theirs = CBAM(64, variant=variant)
    state = {}
    for key, value in theirs.state_dict().items():
        layer, _, kind = key.rpartition(".")
        if kind == "range":
            continue
        foreign = f"module.model.3.{NAMES[names][layer]}.{kind}"
        state[foreign] = value[..., None, None] if ".fc" in foreign and value.ndim == 2 else value
    aligned = align(model.state_dict(), state, foreign=FOREIGN_KEYS)
    assert aligned.report.new == ("model.0.channel.range", "model.0.spatial.range")
    assert not aligned.report.dropped + aligned.report.reshaped
    model.load_state_dict(aligned.values, strict=False)
    for key, value in theirs.state_dict().items():
        assert torch.equal(model.model[0].state_dict()[key], value), key
