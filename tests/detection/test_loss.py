"""The loss and all its gradients against the numbers of the original YOLOv5."""

from collections.abc import Callable

import pytest
import torch

from attendet.detection.anchor_loss import AnchorLossWeights, anchor_based_loss
from attendet.detection.loss_value import BatchProcesses
from tests.helpers.oracles import Oracle, relative_difference
from tests.helpers.typed_access import gradient

ANCHORS = torch.tensor(
    [
        [[10.0, 13.0], [16.0, 30.0], [33.0, 23.0]],
        [[30.0, 61.0], [62.0, 45.0], [59.0, 119.0]],
        [[116.0, 90.0], [156.0, 198.0], [373.0, 326.0]],
    ]
)
STRIDES = (8.0, 16.0, 32.0)


@pytest.mark.parametrize("name", ["loss_basic", "loss_no_targets", "loss_single_class", "loss_smooth_focal"])
def test_value_and_gradients_equal_the_original(oracle: Callable[..., Oracle], name: str, device: torch.device) -> None:
    expected = oracle(name, device)
    raw = [expected[f"pred{level}"].requires_grad_() for level in range(3)]
    weights = AnchorLossWeights(**expected.settings["hyp"])
    loss = anchor_based_loss(raw, expected["targets"], ANCHORS.to(device), STRIDES, weights)
    loss.total.backward()
    parts = torch.stack([*loss.parts.values()])
    assert expected.difference("total", loss.total[None]) < 1e-5
    assert expected.difference("box_obj_cls", parts) < 1e-5
    for level, prediction in enumerate(raw):
        assert prediction.grad is not None
        assert expected.difference(f"grad{level}", prediction.grad) < 1e-5


def random_maps(batch: int, seed: int = 0) -> tuple[list[torch.Tensor], torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    raw = [torch.randn(batch, 3, 64 // s, 64 // s, 7, generator=generator) for s in (8, 16, 32)]
    counts = [1, 4, 0, 2][:batch]
    rows = [
        torch.cat([torch.tensor([float(image), float(number % 2)]), torch.rand(4, generator=generator) * 0.6 + 0.2])
        for image, count in enumerate(counts)
        for number in range(count)
    ]
    return raw, torch.stack(rows)


def test_the_mean_gradient_of_two_processes_equals_that_of_the_whole_batch() -> None:
    raw, targets = random_maps(4)
    whole = [level.clone().requires_grad_() for level in raw]
    anchor_based_loss(whole, targets, ANCHORS, STRIDES).total.backward()

    halves = []
    for first in (0, 2):
        own = targets[(targets[:, 0] >= first) & (targets[:, 0] < first + 2)].clone()
        own[:, 0] -= first
        halves.append(([level[first : first + 2].clone().requires_grad_() for level in raw], own))
    # The processes exchange their numbers of matches for each level.
    counts: list[list[torch.Tensor]] = []
    for maps, own in halves:
        own_counts: list[torch.Tensor] = []

        def record(count: torch.Tensor, into: list[torch.Tensor] = own_counts) -> torch.Tensor:
            into.append(count)
            return count

        anchor_based_loss(maps, own, ANCHORS, STRIDES, processes=BatchProcesses(2, record))
        counts.append(own_counts)
    assert [float(count) for count in counts[0]] != [float(count) for count in counts[1]]
    for maps, own in halves:
        means = iter([(a + b) / 2 for a, b in zip(*counts, strict=True)])
        # Training multiplies the loss by the number of processes and then averages their gradients.
        loss = anchor_based_loss(
            maps, own, ANCHORS, STRIDES, processes=BatchProcesses(2, lambda _, means=means: next(means))
        )
        (loss.total * 2 / 2).backward()
    for level, expected in enumerate(whole):
        together = torch.cat([gradient(maps[level]) for maps, _ in halves])
        assert relative_difference(together, gradient(expected)) < 1e-5


def test_the_memory_layout_has_no_effect() -> None:
    raw, targets = random_maps(4)
    # The head returns maps with these strides for channels-last features.
    strided = [level.permute(0, 2, 3, 1, 4).contiguous().permute(0, 3, 1, 2, 4) for level in raw]
    assert not strided[0].is_contiguous()
    for maps in (raw, strided):
        for level in maps:
            level.requires_grad_()
    one = anchor_based_loss(raw, targets, ANCHORS, STRIDES)
    other = anchor_based_loss(strided, targets, ANCHORS, STRIDES)
    assert torch.allclose(one.total, other.total, rtol=1e-6)
    one.total.backward()
    other.total.backward()
    for first, second in zip(raw, strided, strict=True):
        torch.testing.assert_close(second.grad, first.grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("logit", [-10.0, -18.0, -40.0, -200.0, 200.0])
def test_a_vanishing_or_huge_box_has_a_gradient(logit: float) -> None:
    raw = torch.zeros(1, 1, 2, 2, 6)
    raw[..., :2], raw[..., 2:4] = 0.7, logit
    raw.requires_grad_()
    target = torch.tensor([[0.0, 0.0, 0.55, 0.55, 0.5, 0.5]])
    anchor_based_loss([raw], target, torch.tensor([[[8.0, 8.0]]]), [8.0]).total.backward()
    assert raw.grad is not None
    assert torch.isfinite(raw.grad).all()
