"""Models without numbered rows are matched by name and shape, also with the layer names of other projects."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from attendet.attention.cbam.module import CBAM
from attendet.weights.align.alignment import align_tensors
from tests.weights.align.numbered_tensors import is_loaded, tool


@pytest.fixture(scope="module")
def resnet() -> dict[str, Tensor]:
    return torchvision.models.resnet18(num_classes=10).state_dict()


@pytest.mark.parametrize(
    "file_prefix, model_prefix", [("module.", ""), ("", "model."), ("model.", "backbone."), ("", "")]
)
def test_a_wrapper_prefix_is_ignored(resnet, file_prefix, model_prefix):
    file = tool.numbered_state({file_prefix + key: value for key, value in resnet.items()})
    aligned = align_tensors({model_prefix + key: value for key, value in resnet.items()}, file)
    assert len(aligned.report.kept) == len(resnet)
    assert all(is_loaded(aligned, file, model_prefix + key, file_prefix + key) for key in resnet)


def test_a_backbone_inside_a_larger_model_is_found(resnet):
    model = {**{f"backbone.{key}": value for key, value in resnet.items()}, "neck.weight": torch.ones(3)}
    aligned = align_tensors(model, resnet)
    assert len(aligned.report.kept) == len(resnet)
    assert aligned.report.new == ("neck.weight",)


def test_two_wrappers_that_fit_equally_well_are_ambiguous(resnet):
    twice = {f"{side}.{key}": value for side in ("model", "backbone") for key, value in resnet.items()}
    assert align_tensors(resnet, twice).values == {}


def test_another_number_of_classes_keeps_the_rest_by_name(resnet):
    aligned = align_tensors(torchvision.models.resnet18(num_classes=4).state_dict(), resnet)
    assert aligned.report.reshaped == ("fc.weight", "fc.bias")
    assert aligned.report.kept == tuple(key for key in resnet if not key.startswith("fc."))


def test_a_deeper_network_takes_tensors_of_the_same_name(resnet):
    with torch.device("meta"):
        deeper = torchvision.models.resnet34(num_classes=10).state_dict()
    aligned = align_tensors(deeper, resnet)
    assert aligned.report.kept == tuple(key for key in deeper if key in resnet)


def test_batch_counters_alone_are_not_loaded():
    with torch.device("meta"):
        wider = torchvision.models.wide_resnet50_2().state_dict()
        narrow = torchvision.models.ResNet(torchvision.models.resnet.Bottleneck, [1, 1, 1, 1]).state_dict()
    file = {key: torch.ones([3, *value.shape[1:]][: value.ndim], dtype=value.dtype) for key, value in wider.items()}
    assert align_tensors(narrow, file).values == {}


def test_attached_attention_in_a_torchvision_network(resnet):
    gates = {f"layer1.0.attention.{key}": value for key, value in CBAM(64).state_dict().items()}
    aligned = align_tensors({**resnet, **gates}, resnet)
    assert aligned.report.kept == tuple(resnet)
    assert align_tensors({**resnet, **gates}, {**resnet, **gates}).report.complete


# The names of CBAM's layers in timm and in the authors' code; timm uses 1x1 convolutions instead of linear layers.
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
def test_attention_of_other_projects_is_loaded(variant, names):
    model = nn.Module()
    model.model = nn.ModuleList([CBAM(64, variant=variant, start="identity")])
    # The names show which pool comes first.
    theirs = CBAM(64, variant=variant, planes=["max", "avg"] if names == "authors" else ["avg", "max"])
    state = {}
    for key, value in theirs.state_dict().items():
        layer, _, kind = key.rpartition(".")
        if kind == "range":
            continue
        foreign = f"module.model.3.{NAMES[names][layer]}.{kind}"
        state[foreign] = value[..., None, None] if ".fc" in foreign and value.ndim == 2 else value
    aligned = align_tensors(model.state_dict(), state, attentions={"model.0": model.model[0]})
    assert aligned.report.complete
    model.load_state_dict(aligned.values, strict=False)
    x = torch.randn(2, 64, 6, 5)
    torch.testing.assert_close(model.model[0].train(False)(x), theirs.train(False)(x))
