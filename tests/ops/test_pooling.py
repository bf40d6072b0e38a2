"""Pooling against the pools and reductions of torch."""

import torch
from torch.nn import functional

from attendet.ops.pooling import pool_channels, pool_positions

X = torch.randn(2, 5, 6, 4, generator=torch.Generator().manual_seed(0))


def test_pools_over_positions_equal_torch() -> None:
    assert torch.equal(pool_positions(X, "max"), functional.adaptive_max_pool2d(X, 1).flatten(1))
    torch.testing.assert_close(pool_positions(X, "avg"), functional.adaptive_avg_pool2d(X, 1).flatten(1))
    torch.testing.assert_close(pool_positions(X, "lp"), functional.lp_pool2d(X, 2, (6, 4)).flatten(1))
    torch.testing.assert_close(pool_positions(X, "lse"), X.exp().sum((2, 3)).log())


def test_pools_over_channels_equal_reductions_of_torch() -> None:
    assert torch.equal(pool_channels(X, "max"), torch.max(X, 1)[0].unsqueeze(1))
    torch.testing.assert_close(pool_channels(X, "avg"), torch.mean(X, 1).unsqueeze(1))


def test_a_shared_maximum_splits_its_gradient_evenly() -> None:
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    pool_positions(x, "max").sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.25] * 4


def test_the_gradient_of_the_norm_of_zeros_is_zero() -> None:
    x = torch.zeros(1, 1, 2, 2, requires_grad=True)
    pool_positions(x, "lp").sum().backward()
    assert x.grad is not None
    assert x.grad.flatten().tolist() == [0.0] * 4
