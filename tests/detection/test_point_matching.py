"""Task-aligned assignment against YOLOv8's numbers and a plain search, and CIoU against torchvision."""

from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.ops import complete_box_iou_loss

from attendet.detection import point_matching
from attendet.detection.point_matching import PointMatches, assign_points, complete_iou
from tests.helpers.oracles import SUBSET, Oracle, relative_difference
from tests.helpers.typed_access import gradient

STRIDES = (8, 16, 32)
ORACLES = ["loss8_basic", "loss8_empty_image", "loss8_no_targets", "loss8_single_class_crowded", "loss8_tiny"]


@pytest.mark.parametrize("name", ORACLES)
def test_the_matches_equal_the_original(oracle: partial[Oracle], name: str, device: torch.device) -> None:
    if name == "loss8_basic" and oracle.args == (SUBSET,) and not (SUBSET / f"{name}.npz").exists():
        pytest.skip("the subset has no loss8_basic")
    expected = oracle(name, device)
    height, width = expected.settings["input"]
    points, stride = plain_points(height, width)
    points, stride = points.to(device), stride.to(device)
    distributions = expected["boxes"].unflatten(1, (4, 16)).softmax(2)
    sides = (distributions * torch.arange(16, device=device)[:, None]).sum(2).transpose(1, 2) * stride[:, None]
    boxes = torch.cat([points - sides[..., :2], points + sides[..., 2:]], dim=2)
    targets = expected["targets"]
    matches = assign_points(expected["scores"].transpose(1, 2), boxes, targets, points, (height, width))

    shape = expected["foreground"].shape
    foreground = torch.zeros(shape, dtype=torch.bool, device=device)
    foreground[matches.image, matches.point] = True
    assert torch.equal(foreground, expected["foreground"])
    index = torch.zeros(shape, dtype=torch.int16, device=device)
    index[matches.image, matches.point] = index_in_image(targets)[matches.target].to(torch.int16)
    assert torch.equal(index, expected["target_index"])
    scores = torch.zeros(*shape, expected["scores"].shape[1], device=device)
    scores[matches.image, matches.point, targets[matches.target, 1].long()] = matches.scores
    assert expected.difference("target_scores", scores) < 1e-5


def plain_points(height: int, width: int) -> tuple[Tensor, Tensor]:
    rows = [
        (x + stride / 2, y + stride / 2, stride)
        for stride in STRIDES
        for y in range(0, height, stride)
        for x in range(0, width, stride)
    ]
    return torch.tensor(rows)[:, :2], torch.tensor(rows)[:, 2]


def index_in_image(targets: Tensor) -> Tensor:
    images = targets[:, 0].tolist()
    return torch.tensor([images[:row].count(image) for row, image in enumerate(images)]).to(targets.device)


def random_problem(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return logits, boxes, targets, and points with equal objects, and points with equal predictions."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, dtype=torch.float64)

    points, stride = plain_points(64, 96)
    points = points.double()
    sides = uniform(3, len(points), 4) * 2 * stride[:, None]
    boxes = torch.cat([points - sides[..., :2], points + sides[..., 2:]], dim=2)
    logits = uniform(3, len(points), 2) * 6 - 4
    objects = torch.cat([uniform(14, 2), uniform(14, 2) ** 2 * 0.8], dim=1)
    targets = torch.cat([(uniform(14, 1) * 3).floor(), (uniform(14, 1) * 2).floor(), objects], dim=1)
    targets[9:12, :] = targets[:3, :]
    # Adjacent points with equal predictions have equal alignments with each object that contains both.
    boxes[:, 1:90:3], logits[:, 1:90:3] = boxes[:, 0:89:3], logits[:, 0:89:3]
    return logits, boxes, targets, points


def searched(
    logits: Tensor, boxes: Tensor, targets: Tensor, points: Tensor, top_k: int
) -> list[tuple[int, int, int, float]]:
    """Return image, point, row of the object, and score of each match by a plain search."""
    found = []
    for image in range(len(logits)):
        overlaps: dict[int, dict[int, float]] = {}
        alignments: dict[int, dict[int, float]] = {}
        for row, (own_image, label, x, y, w, h) in enumerate(targets.tolist()):
            if own_image != image:
                continue
            cx, cy, w, h = x * 96, y * 64, w * 96, h * 64  # noqa: PLW2901 (pixels)
            box = torch.tensor([[cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]], dtype=torch.float64)
            overlaps[row], alignments[row] = {}, {}
            for point, (px, py) in enumerate(points.tolist()):
                if abs(px - cx) < max(w, 16) / 2 and abs(py - cy) < max(h, 16) / 2:
                    u = max(1 - complete_box_iou_loss(boxes[image, point][None], box).item(), 0)
                    overlaps[row][point] = u
                    alignments[row][point] = logits[image, point, int(label)].sigmoid().item() ** 0.5 * u**6
        claims: dict[int, list[int]] = {}
        for row, values in alignments.items():
            best = sorted((point for point in values if values[point] > 0), key=lambda p: (-values[p], p))
            for point in best[:top_k]:
                claims.setdefault(point, []).append(row)
        owners = {}
        for point, rows in claims.items():
            containing = [row for row in overlaps if point in overlaps[row]]
            rivals = containing if len(rows) > 1 else rows
            owners[point] = min(rivals, key=lambda row: (-overlaps[row][point], row))
        for point, row in sorted(owners.items()):
            own = [other for other in owners if owners[other] == row]
            largest = max(overlaps[row][p] for p in own), max(alignments[row][p] for p in own)
            found.append((image, point, row, alignments[row][point] * largest[0] / (largest[1] + 1e-9)))
    return found


@pytest.mark.parametrize("max_pairs", [2**21, 300])
@pytest.mark.parametrize("seed", range(8))
def test_the_matches_equal_a_plain_search(seed: int, max_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(point_matching, "_MAX_PAIRS", max_pairs)
    logits, boxes, targets, points = random_problem(seed)
    for top_k in (1, 3, 10):
        matches = assign_points(logits, boxes, targets, points, (64, 96), top_k=top_k)
        expected = searched(logits, boxes, targets, points, top_k)
        assert expected
        found = zip(matches.image.tolist(), matches.point.tolist(), matches.target.tolist(), strict=True)
        assert list(found) == [match[:3] for match in expected]
        scores = torch.tensor([match[3] for match in expected], dtype=torch.float64)
        assert relative_difference(matches.scores, scores) < 1e-6


def test_of_equal_points_the_first_ones_are_claimed_and_of_equal_objects_the_first_one_wins(
    device: torch.device,
) -> None:
    points = plain_points(64, 64)[0].to(device)
    boxes = torch.tensor([4.0, 4, 60, 60]).repeat(1, len(points), 1).to(device)
    targets = torch.tensor([[0, 0, 0.5, 0.5, 1, 1], [0, 0, 0.5, 0.5, 1, 1]]).to(device)
    matches = assign_points(torch.zeros(1, len(points), 1, device=device), boxes, targets, points, (64, 64))
    assert matches.point.tolist() == list(range(10))
    assert matches.target.tolist() == [0] * 10


def test_objects_without_area_or_outside_of_the_image_are_never_matched() -> None:
    points = plain_points(64, 64)[0]
    boxes = torch.cat([points - 8, points + 8], dim=1)[None]
    targets = torch.tensor([[0, 0, 0.5, 0.5, 0, 0], [0, 0, 0.5, 0.5, 0.2, 0], [0, 0, 1.5, 0.5, 0.2, 0.2]])
    assert len(assign_points(torch.zeros(1, len(points), 1), boxes, targets, points, (64, 64)).point) == 0


def test_without_points_or_targets_there_are_no_matches() -> None:
    points = plain_points(64, 64)[0]
    boxes = torch.cat([points - 8, points + 8], dim=1)[None]
    nothing = assign_points(torch.zeros(1, len(points), 2), boxes, torch.zeros(0, 6), points, (64, 64))
    assert isinstance(nothing, PointMatches)
    assert [len(values) for values in vars(nothing).values()] == [0, 0, 0, 0]
    nothing = assign_points(torch.zeros(1, 0, 2), boxes[:, :0], torch.ones(1, 6) * 0, points[:0], (64, 64))
    assert len(nothing.target) == 0


def test_complete_iou_and_its_gradient_equal_torchvision() -> None:
    corners = torch.rand(2, 200, 4, dtype=torch.float64) * 30
    boxes, others = (torch.cat([c[:, :2], c[:, :2] + c[:, 2:] + 0.1], dim=1) for c in corners)
    mine, theirs = boxes.clone().requires_grad_(), boxes.clone().requires_grad_()
    values, expected = complete_iou(mine, others), 1 - complete_box_iou_loss(theirs, others)
    torch.testing.assert_close(values, expected)
    values.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(gradient(mine), gradient(theirs))


@pytest.mark.parametrize(
    "box", [[3.0, 3, 3, 3], [3.0, 3, 3, 8], [3.0, 3, 8, 3], [0.0, 0, 1e-20, 1e-20], [-1e6, -1e6, 1e6, 1e6]]
)
@pytest.mark.parametrize("other", [[0.0, 0, 10, 10], [3.0, 3, 3, 3], [500.0, 500, 500, 501]])
def test_complete_iou_of_empty_and_huge_boxes_is_finite(box: list[float], other: list[float]) -> None:
    boxes = torch.tensor([box], requires_grad=True)
    values = complete_iou(boxes, torch.tensor([other]))
    values.sum().backward()
    assert -2 - 1e-5 <= values.item() <= 1
    assert torch.isfinite(gradient(boxes)).all()
