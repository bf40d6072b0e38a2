"""Attention modules against the implementations of timm and torchvision that follow the authors, with equal weights.

Differences in timm's defaults: it rounds widths to multiples of eight; GlobalContext scales instead of adding, and its
layer norm has another epsilon; SelectiveKernel splits its input; CoordAttn has no biases.
"""

from collections.abc import Callable, Mapping

import pytest
import torch
from timm.layers.coord_attn import CoordAttn
from timm.layers.eca import EcaModule
from timm.layers.global_context import GlobalContext
from timm.layers.mlp import ConvMlp
from timm.layers.selective_kernel import SelectiveKernel
from timm.layers.squeeze_excite import SEModule
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from attendet.attention import create
from tests.attention.papers.comparison import assert_close, randomize
from tests.helpers.typed_access import submodule

C = 32


def gcnet() -> nn.Module:
    module = GlobalContext(C, rd_channels=8, fuse_add=True, fuse_scale=False)
    assert isinstance(module.mlp_add, ConvMlp)
    submodule(module, "mlp_add.norm", nn.LayerNorm).eps = 1e-5
    return module


BRANCH_WEIGHTS = {
    "branch_weights.norm": "attn.bn",
    "branch_weights.fc": "attn.fc_reduce",
    "branch_weights.select": "attn.fc_select",
}
BRANCHES = {"branches.0.norm": "paths.0.bn", "branches.1.norm": "paths.1.bn", "branches.": "paths."}
COORDINATE = {"gate.encode": "conv1", "gate.norm": "bn1", "gate.height.conv": "conv_h", "gate.width.conv": "conv_w"}
CONTEXT = {"context.positions.conv": "conv_attn", "context.": "mlp_add."}
GATE = {"gate.": ""}

Peer = tuple[str, dict[str, object], Callable[[], nn.Module], Mapping[str, str]]
PEERS: dict[str, Peer] = {
    "timm SEModule": ("se", {"reduction": 4, "bias": True}, lambda: SEModule(C, rd_channels=8), GATE),
    "timm SEModule, no bias": ("se", {"reduction": 4}, lambda: SEModule(C, rd_channels=8, bias=False), GATE),
    "torchvision SqueezeExcitation": ("se", {"reduction": 4, "bias": True}, lambda: SqueezeExcitation(C, 8), GATE),
    "timm EcaModule": ("eca", {}, lambda: EcaModule(C), GATE),
    "timm CoordAttn": ("coordinate", {"reduction": 4}, lambda: CoordAttn(C, rd_channels=8, bias=True), COORDINATE),
    "timm GlobalContext": ("gc", {"reduction": 4}, gcnet, CONTEXT),
    "timm SelectiveKernel": (
        "sk",
        {"reduction": 4, "groups": 4, "min_width": 8},
        lambda: SelectiveKernel(C, groups=4, rd_channels=8, split_input=False),
        BRANCH_WEIGHTS | BRANCHES,
    ),
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("size", [(5, 7), (8, 3)])
@pytest.mark.parametrize("peer", PEERS)
def test_equal_to_the_peer(peer: str, size: tuple[int, int], training: bool) -> None:
    name, options, make, keys = PEERS[peer]
    ours = randomize(create(name, C, **options)).train(training)
    theirs = make().double().train(training)
    theirs.load_state_dict(rename(ours.state_dict(), keys, theirs.state_dict()))
    x = torch.randn(3, C, *size, dtype=torch.float64, requires_grad=True)
    x_theirs = x.detach().clone().requires_grad_()
    upstream = torch.randn(x.shape, dtype=torch.float64)

    y, y_theirs = ours(x), theirs(x_theirs)
    assert_close(y, y_theirs, "output")
    y.backward(upstream)
    y_theirs.backward(upstream)
    assert_close(x.grad, x_theirs.grad, "gradient of the features")


def rename(weights: Mapping[str, Tensor], keys: Mapping[str, str], theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our weights with the peer's names and shapes, without weights that the peer does not have."""
    renamed = {}
    for name, value in weights.items():
        start = next((start for start in keys if name.startswith(start)), None)
        other = name if start is None else name.replace(start, keys[start], 1)
        if other in theirs:
            renamed[other] = value.reshape(theirs[other].shape)
    return renamed
