"""BAM against a literal transcription of its formulas; tests/surgery tests its parameters in the published networks."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from attendet.attention import BAM
from attendet.attention.bam import Variant
from attendet.errors import OptionError


def normalize(x: Tensor, norm: torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | torch.nn.BatchNorm3d) -> Tensor:
    """Apply a batch norm in training mode, written as its formula."""
    dims = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    mean, variance = x.mean(dims, keepdim=True), x.var(dims, keepdim=True, unbiased=False)
    return (x - mean) / (variance + norm.eps).sqrt() * norm.weight.view(shape) + norm.bias.view(shape)


@pytest.mark.parametrize("variant", ["paper", "authors"])
@pytest.mark.parametrize("dilation", [1, 4])
def test_both_published_forms(variant: Variant, dilation: int) -> None:
    torch.manual_seed(0)
    module = BAM(32, 8, dilation, variant=variant)
    x = torch.randn(3, 32, 9, 6)
    channel, spatial = module.gate.channel, module.gate.spatial
    mc = channel.fc2(normalize(channel.fc1(x.mean((2, 3))), channel.norm).clamp(min=0))[:, :, None, None]
    ms = functional.conv2d(x, spatial.reduce.conv.weight, spatial.reduce.conv.bias)
    ms = normalize(ms, spatial.reduce.norm).clamp(min=0)
    for layer in (spatial.dilated1, spatial.dilated2):
        ms = functional.conv2d(ms, layer.conv.weight, layer.conv.bias, padding=dilation, dilation=dilation)
        ms = normalize(ms, layer.norm).clamp(min=0)
    ms = functional.conv2d(ms, spatial.final.weight, spatial.final.bias)
    joined = mc + ms if variant == "paper" else mc * ms
    torch.testing.assert_close(module(x), x * (1 + torch.sigmoid(joined)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", ["paper", "authors"])
def test_identity_start_is_the_identity_and_learns(variant: Variant) -> None:
    torch.manual_seed(0)
    module = BAM(64, variant=variant, start="identity")
    x = torch.randn(4, 64, 6, 6)
    assert torch.equal(module(x), x)
    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimizer = torch.optim.SGD(module.parameters(), lr=1.0)
    losses = []
    for _ in range(100):
        loss = functional.mse_loss(module(x), x * torch.linspace(0, 2, 64)[:, None, None])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    for name, parameter in module.named_parameters():
        # A bias directly before a batch norm has no effect and receives no gradient.
        if not name.endswith(("conv.bias", "fc1.bias")):
            assert not torch.equal(parameter, before[name]), name


def test_dilations_below_one_are_errors() -> None:
    with pytest.raises(OptionError, match="`dilation` must be a positive integer, got 0"):
        BAM(64, dilation=0)


def test_the_authors_keys_load() -> None:
    module = BAM(64, variant="authors")
    theirs = {
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
    saved = {}
    for key, value in module.state_dict().items():
        layer, _, kind = key.rpartition(".")
        if kind != "range":
            saved[f"{theirs[layer]}.{kind}"] = torch.randn(value.shape).abs() if value.ndim else value
    module.load_state_dict(saved)
    for layer, name in theirs.items():
        assert torch.equal(module.state_dict()[f"{layer}.weight"], saved[f"{name}.weight"])
