"""Batch norms with masks equal torch's batch norm of the real positions."""

import pytest
import torch
from torch import nn

from attendet.attention.norms import normalize


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    "norm",
    [
        nn.BatchNorm2d(3, momentum=0.3),
        nn.BatchNorm2d(3, momentum=None),
        nn.BatchNorm2d(3, affine=False),
        nn.BatchNorm2d(3, track_running_stats=False),
    ],
    ids=["ordinary", "cumulative", "without parameters", "without statistics"],
)
def test_a_masked_norm_equals_a_norm_of_the_real_positions(norm: nn.BatchNorm2d, dtype: torch.dtype) -> None:
    masked, plain = (
        type(norm)(3, momentum=norm.momentum, affine=norm.affine, track_running_stats=norm.track_running_stats)
        for _ in range(2)
    )
    masked.to(torch.float64 if dtype == torch.float64 else torch.float32)
    plain.to(torch.float64 if dtype == torch.float64 else torch.float32)
    for _ in range(3):
        x, mask = torch.randn(4, 3, 5, 6, dtype=dtype), torch.rand(4, 5, 6) < 0.6
        y = normalize(masked, torch.where(mask[:, None], x, torch.inf), mask)
        expected = plain(x.movedim(1, -1)[mask][:, :, None, None])[:, :, 0, 0]
        assert y.dtype == x.dtype
        torch.testing.assert_close(y.movedim(1, -1)[mask], expected)
        assert torch.count_nonzero(y.movedim(1, -1)[~mask]) == 0
    for (name, ours), theirs in zip(masked.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(ours, theirs, msg=name)


@pytest.mark.parametrize("count", [0, 1])
def test_at_most_one_real_position_uses_the_running_statistics(count: int) -> None:
    norm = nn.BatchNorm1d(3)
    norm(2 + torch.randn(8, 3, 5))
    x, mask = torch.randn(2, 3, 5), torch.zeros(2, 5, dtype=torch.bool)
    mask[1, :count] = True
    before = {key: value.clone() for key, value in norm.named_buffers()}
    y = normalize(norm, x, mask)
    assert all(torch.equal(value, before[key]) for key, value in norm.named_buffers())
    torch.testing.assert_close(y[1, :, :count], norm.train(False)(x)[1, :, :count])
    assert torch.count_nonzero(y) == 3 * count
