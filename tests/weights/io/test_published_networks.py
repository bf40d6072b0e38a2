"""Checkpoints of published networks with attention load into torchvision's networks with attached attention."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
import timm
import torch
from safetensors.torch import save_file
from timm.models.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torchvision.models import ResNet, resnet18
from torchvision.models.resnet import BasicBlock as TorchvisionBlock
from torchvision.models.resnet import Bottleneck as TorchvisionBottleneck

import attendet
from attendet.attention import CBAM
from tests.helpers import fork_modules as fork
from tests.helpers.fork_modules import ForkModule

AUTHORS = (("ChannelGate.mlp.1", "ChannelGate.mlp.3"), "SpatialGate.spatial.conv")
WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512)


def blocks_of(network: ResNet) -> dict[str, TorchvisionBlock]:
    return {name: block for name, block in network.named_modules() if isinstance(block, TorchvisionBlock)}


def run_resnet(network: ResNet, x: Tensor, attentions: Mapping[str, Callable[[Tensor], Tensor]]) -> Tensor:
    """Run a ResNet-18 with attention at the end of each residual branch, as in figure 3 of the CBAM paper."""
    x = network.maxpool(network.relu(network.bn1(network.conv1(x))))
    for name, block in blocks_of(network).items():
        branch = block.bn2(block.conv2(block.relu(block.bn1(block.conv1(x)))))
        x = torch.relu(attentions[name](branch) + (block.downsample(x) if block.downsample else x))
    return network.fc(network.avgpool(x).flatten(1))


NetworkType = TypeVar("NetworkType", bound=nn.Module)


def randomize_norms(network: NetworkType) -> NetworkType:
    for key, buffer in network.named_buffers():
        if key.endswith("running_mean"):
            nn.init.uniform_(buffer, -0.1, 0.1)
        elif key.endswith("running_var"):
            nn.init.uniform_(buffer, 0.8, 1.2)
    return network.train(False)


def timm_resnet(block: type, depths: list[int], layer: str) -> nn.Module:
    """Return timm's ResNet with attention at the end of each residual branch."""
    # The annotations of timm name instances of the classes of blocks.
    return cast(Callable[..., nn.Module], timm.models.ResNet)(
        block, depths, num_classes=10, block_args={"attn_layer": layer}
    )


def authors_cbam(channels: int) -> ForkModule:
    return fork.cbam(
        channels, *AUTHORS, bn="SpatialGate.spatial.bn", maximum_first=True, biases=True, as_convolutions=False
    )


def community_cbam(channels: int) -> ForkModule:
    return fork.cbam(channels, ("ca.fc1", "ca.fc2"), "sa.conv1")


@torch.no_grad()
@pytest.mark.parametrize(
    ("variant", "make", "name"),
    [("authors", authors_cbam, "cbam"), ("plain", community_cbam, "")],
    ids=["one child per block", "two children per block"],
)
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("sorted_keys", [False, True])
def test_cbam_in_every_residual_branch(
    tmp_path: Path, variant: str, make: Callable[[int], ForkModule], name: str, prefix: str, sorted_keys: bool
) -> None:
    torch.manual_seed(0)
    network = randomize_norms(resnet18(num_classes=10))
    attentions = {path: make(width) for path, width in zip(blocks_of(network), WIDTHS, strict=True)}
    state = {prefix + key: value for key, value in network.state_dict().items()}
    for path, attention in attentions.items():
        middle = f"{path}.{name}." if name else f"{path}."
        state |= {prefix + middle + key: value for key, value in attention.state_dict().items()}
    file = tmp_path / "published.pth"
    if sorted_keys:  # safetensors files do not keep the order of the keys
        save_file({key: value.contiguous() for key, value in sorted(state.items())}, file)
    else:
        torch.save({"epoch": 90, "best_prec1": 77.3, "state_dict": state, "optimizer": {}}, file)
    model = resnet18(num_classes=10)
    attendet.attach(model, "cbam", "residual-branch", variant=variant)
    report = attendet.load_weights(model, file)
    assert report.complete, report
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model.train(False)(x), run_resnet(network, x, attentions))


BAM_NAMES = {
    "gate.channel.fc1": "channel_att.gate_c.gate_c_fc_0",
    "gate.channel.norm": "channel_att.gate_c.gate_c_bn_1",
    "gate.channel.fc2": "channel_att.gate_c.gate_c_fc_final",
    "gate.spatial.reduce.conv": "spatial_att.gate_s.gate_s_conv_reduce0",
    "gate.spatial.reduce.norm": "spatial_att.gate_s.gate_s_bn_reduce0",
    "gate.spatial.dilated1.conv": "spatial_att.gate_s.gate_s_conv_di_0",
    "gate.spatial.dilated1.norm": "spatial_att.gate_s.gate_s_bn_di_0",
    "gate.spatial.dilated2.conv": "spatial_att.gate_s.gate_s_conv_di_1",
    "gate.spatial.dilated2.norm": "spatial_att.gate_s.gate_s_bn_di_1",
    "gate.spatial.final": "spatial_att.gate_s.gate_s_conv_final",
}


@torch.no_grad()
def test_bam_after_three_stages(tmp_path: Path) -> None:
    model = resnet18(num_classes=10)
    attendet.attach(model, "bam", "stage:1-3", variant="authors", start="paper")
    randomize_norms(model)
    theirs = {}
    for key, value in model.state_dict().items():
        stage, _, rest = key.partition(".attention.")
        layer, _, leaf = rest.rpartition(".")
        if leaf != "range":
            theirs["module." + (f"{stage.replace('layer', 'bam')}.{BAM_NAMES[layer]}.{leaf}" if rest else key)] = value
    torch.save({"state_dict": theirs}, tmp_path / "bam.pth")
    again = resnet18(num_classes=10)
    attendet.attach(again, "bam", "stage:1-3", variant="authors")
    assert attendet.load_weights(again, tmp_path / "bam.pth").complete
    x = torch.rand(2, 3, 64, 64)
    assert torch.equal(again.train(False)(x), model(x))


@torch.no_grad()
@pytest.mark.parametrize(
    ("layer", "name", "options"),
    [
        ("cbam", "cbam", {"variant": "timm"}),
        ("se", "se", {"bias": True}),
        ("eca", "eca", {}),
    ],
)
def test_timms_resnets(tmp_path: Path, layer: str, name: str, options: dict[str, Any]) -> None:
    depths = [1, 1, 1, 1]
    theirs = timm_resnet(Bottleneck, depths, layer)
    for parameter in theirs.parameters():
        if parameter.ndim == 1:
            nn.init.uniform_(parameter, 0.5, 1)
    randomize_norms(theirs)
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    model = ResNet(TorchvisionBottleneck, depths, num_classes=10)
    attendet.attach(model, name, "residual-branch", **options)
    assert attendet.load_weights(model, tmp_path / "timm.pth").complete
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(model.train(False)(x), theirs(x))


def test_timms_basic_blocks(tmp_path: Path) -> None:
    theirs = randomize_norms(timm_resnet(BasicBlock, [2, 2, 2, 2], "cbam"))
    torch.save(theirs.state_dict(), tmp_path / "timm.pth")
    model = resnet18(num_classes=10)
    attendet.attach(model, "cbam", "residual-branch", variant="timm")
    assert attendet.load_weights(model, tmp_path / "timm.pth").complete
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.train(False)(x), theirs(x))


def test_without_attention_in_the_file_attached_attention_stays_an_identity(tmp_path: Path) -> None:
    network = randomize_norms(resnet18(num_classes=10))
    torch.save(network.state_dict(), tmp_path / "plain.pth")
    model = resnet18(num_classes=10)
    attendet.attach(model, "cbam", "residual-branch")
    report = attendet.load_weights(model, tmp_path / "plain.pth")
    assert all(".attention." in key for key in report.new)
    assert not report.dropped + report.reshaped
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(model.train(False)(x), network(x))


def test_attention_that_the_network_lacks_is_reported_with_a_remedy(tmp_path: Path) -> None:
    state = {f"layer1.0.cbam.{key}": value for key, value in community_cbam(64).state_dict().items()}
    torch.save({**resnet18().state_dict(), **state}, tmp_path / "a.pth")
    report = attendet.load_weights(resnet18(), tmp_path / "a.pth")
    assert "dropped: 3 tensors of the file; attach the same attention before loading to keep them" in str(report)


def test_attention_without_a_distinct_place_is_not_guessed(tmp_path: Path) -> None:
    # One CBAM in the file, two places of its shape in the model.
    state = {
        **resnet18().state_dict(),
        **{f"cbam.{key}": value for key, value in community_cbam(64).state_dict().items()},
    }
    torch.save(state, tmp_path / "one.pth")
    model = resnet18()
    attendet.attach(model, "cbam", ["layer1.0", "layer1.1"])
    report = attendet.load_weights(model, tmp_path / "one.pth")
    assert all(key.startswith("cbam.") for key in report.dropped)
    assert len(report.dropped) == 3


@pytest.mark.parametrize(
    ("before", "after", "changed"),
    [
        ({"kernel_size": 7}, {"kernel_size": 3}, ("spatial.conv.weight",)),
        ({"reduction": 16}, {"reduction": 8}, ("channel.fc1.weight", "channel.fc2.weight")),
        (
            {"reduction": 16, "variant": "authors"},
            {"reduction": 4, "variant": "authors"},
            ("channel.fc1.weight", "channel.fc1.bias", "channel.fc2.weight"),
        ),
    ],
)
@pytest.mark.parametrize("start", ["paper", "identity"])
def test_another_kernel_or_ratio_keeps_the_tensors_that_fit(
    tmp_path: Path, before: dict[str, Any], after: dict[str, Any], changed: tuple[str, ...], start: str
) -> None:
    trained = resnet18()
    attendet.attach(trained, "cbam", "stage", start=start, **before)
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    model = resnet18()
    attendet.attach(model, "cbam", "stage", start=start, **after)
    report = attendet.load_weights(model, tmp_path / "a.pth")
    assert set(report.reshaped) == {f"layer{stage}.attention.{key}" for stage in (1, 2, 3, 4) for key in changed}
    assert not report.new + report.dropped
    state = model.state_dict()
    assert all(torch.equal(state[key], trained.state_dict()[key]) for key in report.kept)


def test_a_gate_with_a_new_layer_keeps_the_range_of_its_start(tmp_path: Path) -> None:
    # A new layer of an identity start gives weights of 1 only with the range of the identity start.
    trained = resnet18()
    attendet.attach(trained, "cbam", "layer1", start="paper")
    torch.save(trained.state_dict(), tmp_path / "a.pth")
    model = resnet18()
    attendet.attach(model, "cbam", "layer1", start="identity", kernel_size=3)
    report = attendet.load_weights(model, tmp_path / "a.pth")
    assert report.reshaped == ("layer1.attention.spatial.range", "layer1.attention.spatial.conv.weight")
    attention = model.get_submodule("layer1.attention")
    assert isinstance(attention, CBAM)
    assert attention.channel.range.tolist() == [0, 1]
    assert torch.equal(attention.spatial(torch.rand(1, 64, 5, 5)), torch.ones(1, 1, 5, 5))


def test_foreign_names_with_another_kernel_keep_the_tensors_that_fit(tmp_path: Path) -> None:
    network = resnet18()
    state = {**network.state_dict()}
    state |= {f"layer1.0.cbam.{key}": value for key, value in authors_cbam(64).state_dict().items()}
    torch.save(state, tmp_path / "a.pth")
    attendet.attach(network, "cbam", "layer1.0", variant="authors", kernel_size=3)
    report = attendet.load_weights(network, tmp_path / "a.pth")
    assert set(report.reshaped) == {"layer1.0.attention.spatial.conv.weight", "layer1.0.attention.spatial.range"}
    assert not report.new + report.dropped
