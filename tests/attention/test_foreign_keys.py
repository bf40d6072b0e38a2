"""State dicts with the keys of the authors' code load, and weights of other packages give the same outputs."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from timm.layers.eca import EcaModule
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from attendet.attention import create

KEYS: dict[str, Mapping[str, str]] = {
    "se": {"fc.0.weight": "gate.fc1.weight", "fc.2.weight": "gate.fc2.weight"},
    "eca": {"conv.weight": "gate.conv.weight"},
    "ultralytics-cbam": {
        "channel_attention.fc.weight": "channel.fc.weight",
        "channel_attention.fc.bias": "channel.fc.bias",
        "spatial_attention.cv1.weight": "spatial.conv.weight",
    },
    "coordinate": {
        "conv1.weight": "gate.encode.weight",
        "conv1.bias": "gate.encode.bias",
        "bn1.weight": "gate.norm.weight",
        "bn1.bias": "gate.norm.bias",
        "bn1.running_mean": "gate.norm.running_mean",
        "bn1.running_var": "gate.norm.running_var",
        "bn1.num_batches_tracked": "gate.norm.num_batches_tracked",
        "conv_h.weight": "gate.height.conv.weight",
        "conv_h.bias": "gate.height.conv.bias",
        "conv_w.weight": "gate.width.conv.weight",
        "conv_w.bias": "gate.width.conv.bias",
    },
    "scse": {
        "cSE.fc1.weight": "channel.fc1.weight",
        "cSE.fc1.bias": "channel.fc1.bias",
        "cSE.fc2.weight": "channel.fc2.weight",
        "cSE.fc2.bias": "channel.fc2.bias",
        "sSE.conv.weight": "spatial.conv.weight",
        "sSE.conv.bias": "spatial.conv.bias",
    },
    "gc": {
        "conv_mask.weight": "context.positions.conv.weight",
        "conv_mask.bias": "context.positions.conv.bias",
        "channel_add_conv.0.weight": "context.fc1.weight",
        "channel_add_conv.0.bias": "context.fc1.bias",
        "channel_add_conv.1.weight": "context.norm.weight",
        "channel_add_conv.1.bias": "context.norm.bias",
        "channel_add_conv.3.weight": "context.fc2.weight",
        "channel_add_conv.3.bias": "context.fc2.bias",
    },
    "triplet": {
        f"{plane}.conv.{theirs}.{kind}": f"gate.{plane}.{ours}.{kind}"
        for plane in ("cw", "hc", "hw")
        for theirs, ours, kinds in (
            ("conv", "conv", ["weight"]),
            ("bn", "norm", ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]),
        )
        for kind in kinds
    },
    "shuffle": {
        "cweight": "gate.channel_weight",
        "cbias": "gate.channel_bias",
        "sweight": "gate.spatial_weight",
        "sbias": "gate.spatial_bias",
        "gn.weight": "gate.norm.weight",
        "gn.bias": "gate.norm.bias",
    },
    "gam": {
        f"{theirs}.{kind}": f"{ours}.{kind}"
        for theirs, ours, kinds in (
            ("channel_attention.0", "channel.fc1", ["weight", "bias"]),
            ("channel_attention.2", "channel.fc2", ["weight", "bias"]),
            ("spatial_attention.0", "spatial.conv1", ["weight", "bias"]),
            ("spatial_attention.1", "spatial.norm1", ["weight", "bias", "running_mean", "running_var"]),
            ("spatial_attention.3", "spatial.conv2", ["weight", "bias"]),
            ("spatial_attention.4", "spatial.norm2", ["weight", "bias", "running_mean", "running_var"]),
        )
        for kind in kinds
    },
    "ema": {
        f"{theirs}.{kind}": f"gate.{ours}.{kind}"
        for theirs, ours in (("conv1x1", "conv1x1"), ("gn", "norm"), ("conv3x3", "conv3x3"))
        for kind in ("weight", "bias")
    },
    "nam": {f"Channel_Att.bn2.{k}": f"gate.norm.{k}" for k in ("weight", "bias", "running_mean", "running_var")},
    "lsk": {
        f"{theirs}.{kind}": f"gate.{ours}.{kind}"
        for theirs, ours in (
            ("conv0", "near"),
            ("conv_spatial", "far"),
            ("conv1", "mix_near"),
            ("conv2", "mix_far"),
            ("conv_squeeze", "selection.conv"),
            ("conv", "join"),
        )
        for kind in ("weight", "bias")
    },
}
# Other keys that the same authors published for the same module.
OTHER_KEYS: dict[str, Mapping[str, str]] = {
    "coordinate": {
        key.replace("conv_h.", "conv2.").replace("conv_w.", "conv3."): ours for key, ours in KEYS["coordinate"].items()
    },
    # The permutation (0, 2, 1, 3) pools over H and keeps the plane (C, W); (0, 3, 2, 1) pools over W and keeps (H, C).
    "triplet": {
        f"{theirs}.spatial.{layer}.{kind}": f"gate.{plane}.{ours}.{kind}"
        for theirs, plane in (("ChannelGateH", "cw"), ("ChannelGateW", "hc"), ("SpatialGate", "hw"))
        for layer, ours, kinds in (
            ("conv", "conv", ["weight"]),
            ("bn", "norm", ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]),
        )
        for kind in kinds
    },
}
FORMS = [*KEYS.items(), *OTHER_KEYS.items()]
OPTIONS: dict[str, dict[str, Any]] = {"scse": {"bias": True}}
OUR_OWN_KEYS = ("range", "strength", "in_order")


def random_module(name: str) -> nn.Module:
    module = create(name, 64, **OPTIONS.get(name, {}))
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim and tensor.is_floating_point() and tensor.shape != (2,):
            nn.init.uniform_(tensor, 0.2, 0.8)
    return module.train(False)


@torch.no_grad()
@pytest.mark.parametrize("start", ["paper", "identity"])
@pytest.mark.parametrize(("name", "keys"), FORMS, ids=[*KEYS, *(f"{name}, other keys" for name in OTHER_KEYS)])
def test_weights_with_the_authors_keys_load(name: str, keys: Mapping[str, str], start: str) -> None:
    module = random_module(name)
    ours = module.state_dict()
    theirs = {foreign: ours[key] for foreign, key in keys.items()}
    missing = {key.rpartition(".")[2] for key in set(ours) - set(keys.values())}
    assert missing <= {*OUR_OWN_KEYS, "num_batches_tracked"}
    if "num_batches_tracked" in missing:
        # Older state dicts have no such entry.
        theirs |= {key: value for key, value in ours.items() if key.endswith("num_batches_tracked")}
    loaded = create(name, 64, start=start, **OPTIONS.get(name, {})).train(False)
    loaded.load_state_dict(theirs)
    x = torch.randn(2, 64, 6, 5)
    assert torch.equal(loaded(x), module(x))


@torch.no_grad()
def test_matrices_saved_as_convolutions_load() -> None:
    module = random_module("gc")
    theirs: dict[str, Tensor] = {}
    for foreign, key in KEYS["gc"].items():
        value = module.state_dict()[key]
        as_convolution = foreign.startswith(("channel_add_conv.0", "channel_add_conv.3"))
        if foreign.startswith("channel_add_conv.1") or (as_convolution and value.ndim == 2):
            value = value[..., None, None]
        theirs[foreign] = value
    loaded = create("gc", 64).train(False)
    loaded.load_state_dict(theirs)
    x = torch.randn(2, 64, 6, 5)
    assert torch.equal(loaded(x), module(x))


@torch.no_grad()
@pytest.mark.parametrize(
    ("peer", "name", "options"),
    [
        (SEModule(64, rd_channels=8), "se", {"reduction": 8, "bias": True}),
        (SqueezeExcitation(64, 16), "se", {"reduction": 4, "bias": True}),
        (EcaModule(256), "eca", {}),
    ],
    ids=["timm's SE", "torchvision's SE", "timm's ECA"],
)
def test_state_dicts_of_other_packages_load(peer: nn.Module, name: str, options: dict[str, Any]) -> None:
    x = torch.randn(2, 256 if name == "eca" else 64, 6, 5)
    loaded = create(name, x.shape[1], start="identity", **options)
    loaded.load_state_dict(peer.state_dict())
    torch.testing.assert_close(loaded(x), peer(x))


@torch.no_grad()
def test_the_gates_of_triplet_attention_have_the_right_axes() -> None:
    """Compare with the authors' module, where `ChannelGateH` gates the plane (C, W) after pooling over H."""
    module = random_module("triplet")
    theirs = {foreign: module.state_dict()[key] for foreign, key in OTHER_KEYS["triplet"].items()}
    x, summed = torch.randn(2, 5, 6, 7), torch.zeros(2, 5, 6, 7)
    for gate, turn in (("ChannelGateH", (0, 2, 1, 3)), ("ChannelGateW", (0, 3, 2, 1)), ("SpatialGate", (0, 1, 2, 3))):
        turned = x.permute(turn)
        planes = torch.stack([turned.amax(1), turned.mean(1)], 1)
        logits = nn.functional.batch_norm(
            nn.functional.conv2d(planes, theirs[f"{gate}.spatial.conv.weight"], padding=3),
            *(theirs[f"{gate}.spatial.bn.{kind}"] for kind in ("running_mean", "running_var", "weight", "bias")),
        )
        summed += (turned * torch.sigmoid(logits)).permute(turn)
    loaded = create("triplet", 5).train(False)
    loaded.load_state_dict(theirs)
    torch.testing.assert_close(loaded(x), summed / 3)


@torch.no_grad()
def test_nam_loads_without_the_norm_of_the_pixel_part() -> None:
    module = random_module("nam")
    theirs = {foreign: module.state_dict()[key] for foreign, key in KEYS["nam"].items()}
    loaded = create("nam", 64).train(False)
    loaded.load_state_dict(theirs | {"Spatial_Att.bn.weight": torch.ones(30)}, strict=False)
    x = torch.randn(2, 64, 6, 5)
    assert torch.equal(loaded(x), module(x))


def network(attention: nn.Module) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), attention, nn.Conv2d(16, 4, 1)).train(False)


class ModuleWithoutTensors(nn.Module):
    """SimAM as its authors' code has it: no parameters and no buffers; the variance over M - 1."""

    def forward(self, x: Tensor) -> Tensor:
        squares = (x - x.mean((2, 3), keepdim=True)) ** 2
        variance = squares.sum((2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
        return x * torch.sigmoid(squares / (4 * (variance + 1e-4)) + 0.5)


@torch.no_grad()
def test_a_strict_load_of_a_network_with_simam_gives_the_published_module() -> None:
    theirs, ours = network(ModuleWithoutTensors()), network(create("simam", 16, variant="authors"))
    ours.load_state_dict(theirs.state_dict())
    images = torch.rand(2, 3, 8, 9)
    torch.testing.assert_close(ours(images), theirs(images))
    alone = create("simam", 16, variant="authors")
    alone.load_state_dict({})
    x = torch.rand(2, 16, 8, 9)
    torch.testing.assert_close(alone(x), ModuleWithoutTensors()(x))


@torch.no_grad()
def test_an_identity_start_of_simam_is_missing_in_a_network_without_it() -> None:
    ours = network(create("simam", 16, start="identity"))
    with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: .*gate\.strength"):
        ours.load_state_dict(network(nn.Identity()).state_dict())
    missing = ours.load_state_dict(network(nn.Identity()).state_dict(), strict=False).missing_keys
    assert sorted(missing) == ["2.gate.range", "2.gate.strength"]
    x = torch.rand(2, 16, 8, 9)
    assert torch.equal(ours.get_submodule("2")(x), x)
