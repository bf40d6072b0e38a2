"""CBAM against timm's module: outputs, and weights loaded in both directions."""

import pytest
import torch
from timm.layers.cbam import CbamModule

from attendet.attention import CBAM
from tests.helpers.oracles import relative_difference


@pytest.mark.parametrize(("channels", "reduction", "kernel_size"), [(64, 16, 7), (40, 16, 3), (24, 16, 7)])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.filterwarnings("ignore:a reduction of 16 leaves")
def test_equal_to_timm_with_its_weights(channels: int, reduction: int, kernel_size: int, training: bool) -> None:
    torch.manual_seed(0)
    theirs = CbamModule(channels, rd_ratio=1 / reduction, spatial_kernel_size=kernel_size).train(training)
    ours = CBAM(channels, reduction, kernel_size, variant="timm")
    ours.load_state_dict(theirs.state_dict())
    ours.train(training)
    x = torch.randn(3, channels, 11, 8, requires_grad=True)
    x_theirs = x.detach().clone().requires_grad_()
    upstream = torch.randn(3, channels, 11, 8)

    ours(x).backward(upstream)
    theirs(x_theirs).backward(upstream)

    assert relative_difference(ours(x), theirs(x_theirs)) < 1e-5
    assert x.grad is not None
    assert x_theirs.grad is not None
    assert relative_difference(x.grad, x_theirs.grad) < 1e-5
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.grad is not None
        assert other.grad is not None
        assert relative_difference(mine.grad, other.grad.reshape(mine.shape)) < 1e-5
    assert sum(p.numel() for p in ours.parameters()) == sum(p.numel() for p in theirs.parameters())
