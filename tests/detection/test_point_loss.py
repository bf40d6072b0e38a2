"""The loss without anchors against YOLOv8's numbers, and against a dense computation with torch and torchvision."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import complete_box_iou_loss

from attendet.detection.loss_value import BatchProcesses
from attendet.detection.point_loss import PointLossWeights, anchor_free_loss
from attendet.detection.point_matching import assign_points
from tests.helpers.oracles import SUBSET, Oracle, relative_difference
from tests.helpers.typed_access import gradient

STRIDES = (8.0, 16.0, 32.0)
ORACLES = ["loss8_basic", "loss8_empty_image", "loss8_no_targets", "loss8_single_class_crowded", "loss8_tiny"]


@pytest.mark.parametrize("name", ORACLES)
def test_value_and_gradients_equal_the_original(oracle: partial[Oracle], name: str, device: torch.device) -> None:
    if name == "loss8_basic" and oracle.args == (SUBSET,) and not (SUBSET / f"{name}.npz").exists():
        pytest.skip("the subset has no loss8_basic")
    expected = oracle(name, device)
    boxes, scores = expected["boxes"].requires_grad_(), expected["scores"].requires_grad_()
    height, width = expected.settings["input"]
    sizes = [(height // int(stride), width // int(stride)) for stride in STRIDES]
    levels = torch.cat([boxes, scores], dim=1).split([h * w for h, w in sizes], dim=2)
    raw = [level.unflatten(2, size) for level, size in zip(levels, sizes, strict=True)]
    weights = PointLossWeights(**expected.settings["gains"])
    loss = anchor_free_loss(raw, expected["targets"], STRIDES, weights, bins=expected.settings["reg_max"])
    loss.total.backward()
    assert list(loss.parts) == ["box", "cls", "dfl"]
    assert expected.difference("total", loss.total[None]) < 1e-5
    for part, value in zip(loss.parts.values(), expected["box_cls_dfl"], strict=True):
        assert relative_difference(part, value) < 1e-5
    assert expected.difference("grad_boxes", gradient(boxes)) < 1e-5
    assert expected.difference("grad_scores", gradient(scores)) < 1e-5


def random_maps(
    batch: int, num_classes: int = 2, bins: int = 16, size: tuple[int, int] = (64, 96), seed: int = 0
) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(seed)
    raw = [
        torch.randn(batch, 4 * bins + num_classes, size[0] // s, size[1] // s, generator=generator) for s in (8, 16, 32)
    ]
    rows = [
        torch.cat(
            [torch.tensor([float(image), float(number % num_classes)]), torch.rand(4, generator=generator) * 0.6 + 0.2]
        )
        for image, count in enumerate([1, 4, 0, 2][:batch])
        for number in range(count)
    ]
    # Means of the distributions near the sides of the objects make the scores of the targets large.
    for level in raw:
        level[:, : 4 * bins] -= torch.arange(bins).repeat(4)[:, None, None] * 0.3
    return raw, torch.stack(rows)


def dense_loss(raw: list[Tensor], targets: Tensor, bins: int, weights: PointLossWeights) -> Tensor:
    """Return the total with targets for all points and classes, in float64."""
    batch, num_classes = raw[0].shape[0], raw[0].shape[1] - 4 * bins
    height, width = (8 * cells for cells in raw[0].shape[2:])
    logits = torch.cat([level.double().flatten(2) for level in raw], dim=2).transpose(1, 2)
    cells = [(x, y, stride) for stride in (8, 16, 32) for y in range(height // stride) for x in range(width // stride)]
    points = torch.tensor([(stride * (x + 0.5), stride * (y + 0.5)) for x, y, stride in cells], dtype=torch.float64)
    stride = torch.tensor([[float(cell[2])] for cell in cells], dtype=torch.float64)
    distributions = logits[..., : 4 * bins].unflatten(2, (4, bins))
    sides = (distributions.softmax(3) * torch.arange(bins)).sum(3) * stride
    boxes = torch.cat([points - sides[..., :2], points + sides[..., 2:]], dim=2)
    matches = assign_points(logits[..., 4 * bins :].detach(), boxes.detach(), targets.double(), points, (height, width))
    wanted = torch.zeros(batch, len(points), num_classes, dtype=torch.float64)
    box = dfl = torch.zeros((), dtype=torch.float64)
    for image, point, row, score in zip(*(values.tolist() for values in vars(matches).values()), strict=True):
        _, label, x, y, w, h = targets[row].double().tolist()
        wanted[image, point, int(label)] = score
        corners = torch.tensor([x - w / 2, y - h / 2, x + w / 2, y + h / 2]) * torch.tensor([width, height] * 2)
        box = box + score * complete_box_iou_loss(boxes[image, point], corners.double())
        px, py = points[point].tolist()
        distances = [px - corners[0], py - corners[1], corners[2] - px, corners[3] - py]
        for side, distance in enumerate(distances):
            true = min(max(float(distance) / cells[point][2], 0), bins - 1.01)
            soft = torch.zeros(bins, dtype=torch.float64)
            soft[int(true)], soft[int(true) + 1] = 1 - true % 1, true % 1
            dfl = dfl + score * functional.cross_entropy(distributions[image, point, side], soft) / 4
    cls = functional.binary_cross_entropy_with_logits(logits[..., 4 * bins :], wanted, reduction="sum")
    parts = weights.box * box + weights.cls * cls + weights.dfl * dfl
    return parts * batch / wanted.sum().clamp(min=1)


@pytest.mark.parametrize(("num_classes", "bins"), [(1, 16), (5, 16), (3, 4)])
def test_total_and_gradients_equal_a_dense_computation(num_classes: int, bins: int) -> None:
    raw, targets = random_maps(4, num_classes, bins)
    weights = PointLossWeights(box=2.0, cls=3.0, dfl=5.0)
    sparse, dense = ([level.clone().requires_grad_() for level in raw] for _ in range(2))
    total = anchor_free_loss(sparse, targets, STRIDES, weights, bins=bins).total
    expected = dense_loss(dense, targets, bins, weights)
    total.backward()
    expected.backward()
    assert relative_difference(total.double(), expected) < 1e-5
    for level, other in zip(sparse, dense, strict=True):
        assert relative_difference(gradient(level), gradient(other)) < 1e-4


def test_the_mean_gradient_of_two_processes_equals_that_of_the_whole_batch() -> None:
    raw, targets = random_maps(4)
    whole = [level.clone().requires_grad_() for level in raw]
    anchor_free_loss(whole, targets, STRIDES).total.backward()

    halves: list[tuple[list[Tensor], Tensor]] = []
    counts: list[Tensor] = []
    for first in (0, 2):
        own = targets[(targets[:, 0] >= first) & (targets[:, 0] < first + 2)].clone()
        own[:, 0] -= first
        halves.append(([level[first : first + 2].clone().requires_grad_() for level in raw], own))

        def record(count: Tensor) -> Tensor:
            counts.append(count)
            return count

        anchor_free_loss(halves[-1][0], own, STRIDES, processes=BatchProcesses(2, record))
    assert len(counts) == 2
    assert counts[0] != counts[1]
    mean = torch.stack(counts).mean()
    # A mean below 1 would be replaced by 1, which hides a missing factor.
    assert mean > 1
    for maps, own in halves:
        # Training multiplies the loss by the number of processes and then averages their gradients.
        (anchor_free_loss(maps, own, STRIDES, processes=BatchProcesses(2, lambda _: mean)).total * 2 / 2).backward()
    for level, expected in enumerate(whole):
        together = torch.cat([gradient(maps[level]) for maps, _ in halves])
        assert relative_difference(together, gradient(expected)) < 1e-5


def test_the_parts_are_multiplied_by_the_weights_and_add_up() -> None:
    raw, targets = random_maps(3)
    one = anchor_free_loss(raw, targets, STRIDES, PointLossWeights(1.0, 1.0, 1.0))
    weighted = anchor_free_loss(raw, targets, STRIDES, PointLossWeights(2.0, 3.0, 5.0))
    for factor, name in ((2, "box"), (3, "cls"), (5, "dfl")):
        torch.testing.assert_close(weighted.parts[name], factor * one.parts[name])
    torch.testing.assert_close(weighted.total, 3 * torch.stack(list(weighted.parts.values())).sum())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_low_precision_maps_are_computed_in_float32(dtype: torch.dtype) -> None:
    raw, targets = random_maps(4)
    low = [level.to(dtype).requires_grad_() for level in raw]
    high = [level.detach().float().requires_grad_() for level in low]
    loss, expected = (anchor_free_loss(maps, targets, STRIDES).total for maps in (low, high))
    assert loss.dtype == torch.float32
    assert loss == expected
    loss.backward()
    expected.backward()
    for level, other in zip(low, high, strict=True):
        assert torch.equal(gradient(level), gradient(other).to(dtype))


def test_the_memory_layout_has_no_effect() -> None:
    raw, targets = random_maps(4)
    strided = [level.clone(memory_format=torch.channels_last) for level in raw]
    assert not strided[0].is_contiguous()
    losses = []
    for maps in (raw, strided):
        for level in maps:
            level.requires_grad_()
        losses.append(anchor_free_loss(maps, targets, STRIDES).total)
        losses[-1].backward()
    torch.testing.assert_close(*losses, rtol=1e-6, atol=0)
    for level, other in zip(raw, strided, strict=True):
        torch.testing.assert_close(gradient(other), gradient(level), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("scale", [0.0, 1e4])
@pytest.mark.parametrize("first_bin", [-1e4, 0.0, 20.0, 1e4])
def test_the_gradient_is_finite_for_extreme_logits_and_objects(scale: float, first_bin: float) -> None:
    raw, targets = random_maps(4)
    raw = [(level * scale).clamp(-1e4, 1e4) for level in raw]
    for level in raw:
        # A large first bin makes all four sides of a box zero.
        level[:, :64:16] += first_bin
        level.requires_grad_()
    odd = torch.tensor(
        [
            [0, 0, 0.5, 0.5, 0, 0],
            [0, 1, 0.5, 0.5, 1e-9, 1e-9],
            [1, 1, 0.99, 0.5, 0.4, 1.5],
            [2, 0, 1.5, 1.5, 0.2, 0.2],
            [3, 1, 0.5, 0.5, 3, 3],
        ]
    )
    loss = anchor_free_loss(raw, torch.cat([targets, odd]), STRIDES)
    loss.total.backward()
    assert torch.isfinite(loss.total)
    for level in raw:
        assert torch.isfinite(gradient(level)).all()


def test_without_objects_only_classes_have_a_gradient() -> None:
    raw, _ = random_maps(2)
    for level in raw:
        level.requires_grad_()
    loss = anchor_free_loss(raw, torch.zeros(0, 6), STRIDES)
    loss.total.backward()
    assert [loss.parts[name].item() for name in ("box", "dfl")] == [0, 0]
    for level in raw:
        # The gradient of the binary cross-entropy with target 0 is the sigmoid.
        torch.testing.assert_close(gradient(level)[:, 64:], level[:, 64:].detach().sigmoid() * 0.5 * 2)
        assert not gradient(level)[:, :64].any()
