"""The loss of the raw maps of a head with anchors, as in YOLOv5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from attendet.detection.anchor_matching import AnchorMatches, assign_anchors
from attendet.detection.loss_value import BatchProcesses, DetectionLoss

# Levels with small strides have many more cells, so their mean loss is small and easy to learn.
_LEVEL_WEIGHTS = {3: (4.0, 1.0, 0.4)}
_MANY_LEVEL_WEIGHTS = (4.0, 1.0, 0.25, 0.06, 0.02)
_MIN_SIDE = 1e-12


@dataclass(frozen=True)
class AnchorLossWeights:
    """Weights and options of the loss, named as in YOLOv5's hyperparameter files.

    Attributes:
        box: Weight of the box loss.
        cls: Weight of the class loss.
        obj: Weight of the objectness loss.
        cls_pw: Weight of positive classes in the binary cross-entropy.
        obj_pw: Weight of positive objectness in the binary cross-entropy.
        anchor_t: Largest ratio of the sides of an object and a matching anchor, in either direction.
        fl_gamma: γ of the focal loss; 0 for cross-entropy.
        label_smoothing: ε of label smoothing; class targets are 1 − ε/2 and ε/2.
    """

    box: float = 0.05
    cls: float = 0.5
    obj: float = 1.0
    cls_pw: float = 1.0
    obj_pw: float = 1.0
    anchor_t: float = 4.0
    fl_gamma: float = 0.0
    label_smoothing: float = 0.0

    def scaled(self, *, num_classes: int, levels: int, imgsz: int) -> AnchorLossWeights:
        """Return the weights for another task than COCO's 80 classes, 3 levels, and 640 pixels.

        Args:
            num_classes: Number of classes.
            levels: Number of levels of the head.
            imgsz: Side of the images in pixels.

        Example:
            >>> AnchorLossWeights().scaled(num_classes=80, levels=3, imgsz=320).obj
            0.25
        """
        return replace(
            self,
            box=self.box * 3 / levels,
            cls=self.cls * num_classes / 80 * 3 / levels,
            obj=self.obj * (imgsz / 640) ** 2 * 3 / levels,
        )


def anchor_based_loss(
    raw: Sequence[Float[Tensor, "n a _ _ outputs"]],
    targets: Float[Tensor, "t 6"],
    anchors: Float[Tensor, "levels a 2"],
    strides: Sequence[float],
    weights: AnchorLossWeights | None = None,
    processes: BatchProcesses | None = None,
) -> DetectionLoss:
    """Return the loss of raw maps; its parts are `box`, `obj`, and `cls`.

    `box` is the mean over matches of 1 − CIoU, `obj` the mean over all cells of the binary cross-entropy of objectness,
    and `cls` the mean over matches of the binary cross-entropy of classes, each weighted.

    The box loss is 1 − CIoU ("Distance-IoU Loss", AAAI 2020, equation 10). The objectness target of a matched cell is
    the IoU of its box, and 0 elsewhere. If two matches share a cell and an anchor, the later one sets the target.

    Args:
        raw: One map (N, A, H, W, num_classes + 5) of logits per level.
        targets: Image index, class index, and x, y of the center, width, and height in 0-1, (T, 6).
        anchors: Widths and heights of the anchors in pixels, (levels, A, 2).
        strides: Stride of each level in pixels.
        weights: Weights of the loss, not scaled any further (default: `AnchorLossWeights()`), see
            `AnchorLossWeights.scaled`.
        processes: The processes that share a batch (default: this one has the whole batch).

    Example:
        >>> raw = [torch.zeros(1, 1, 4, 4, 6)]
        >>> loss = anchor_based_loss(raw, torch.zeros(0, 6), torch.tensor([[[10.0, 13.0]]]), [8.0])
        >>> round(loss.total.item(), 4)
        2.7726
    """
    weights = weights or AnchorLossWeights()
    levels = [
        _level_loss(level, targets.to(level.dtype), sides / stride, weights, processes)
        for level, sides, stride in zip(raw, anchors.to(raw[0].dtype), strides, strict=True)
    ]
    box, objectness, classes = (torch.stack(part) for part in zip(*levels, strict=True))
    balance = objectness.new_tensor(_LEVEL_WEIGHTS.get(len(raw), _MANY_LEVEL_WEIGHTS)[: len(raw)])
    parts = {
        "box": weights.box * box.sum(),
        "obj": weights.obj * (objectness * balance).sum(),
        "cls": weights.cls * classes.sum(),
    }
    return DetectionLoss(sum(parts.values(), start=box.new_zeros(())) * raw[0].shape[0], parts)


def _level_loss(
    raw: Tensor,
    targets: Tensor,
    anchors: Tensor,
    weights: AnchorLossWeights,
    processes: BatchProcesses | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the unweighted box, objectness, and class losses of one level."""
    height, width = raw.shape[2:4]
    matches = assign_anchors(targets, anchors, height, width, weights.anchor_t)
    matched = raw[matches.image, matches.anchor, matches.y, matches.x]
    scores = matched[:, :4].sigmoid()
    centers, sides = 2 * scores[:, :2] - 0.5, (2 * scores[:, 2:]) ** 2 * anchors[matches.anchor]
    distance = _complete_iou_loss(centers, sides, matches.boxes)
    objectness_targets = raw.new_zeros(raw.shape[:-1])
    _set_last(objectness_targets, matches, (1 - distance.detach()).clamp(min=0))
    objectness = _cross_entropy(raw[..., 4], objectness_targets, weights.obj_pw, weights.fl_gamma).mean()
    count = raw.new_tensor(float(len(matches.image)))
    count = (processes.mean(count) if processes else count).clamp(min=1e-6)
    return distance.sum() / count, objectness, _class_loss(matched[:, 5:], matches.classes, weights) / count


def _complete_iou_loss(centers: Tensor, sides: Tensor, targets: Tensor) -> Tensor:
    """Return 1 − CIoU (M,) of predicted centers (M, 2) and sides (M, 2) with target boxes (M, 4), center and sides."""
    from torchvision.ops import box_convert, complete_box_iou_loss  # noqa: PLC0415 (takes a second to import)

    # Relative to the predicted center. Otherwise the corners of a tiny box could round to one point, with aspect 0 / 0.
    predicted = torch.cat([torch.zeros_like(centers), sides.clamp(min=_MIN_SIDE)], dim=1)
    relative = torch.cat([targets[:, :2] - centers, targets[:, 2:]], dim=1)
    return complete_box_iou_loss(
        box_convert(predicted, "cxcywh", "xyxy"), box_convert(relative, "cxcywh", "xyxy"), eps=1e-7
    )


def _set_last(targets: Tensor, matches: AnchorMatches, values: Tensor) -> None:
    """Set the cells of matches in place. If matches share a cell, the last one sets it, on every device."""
    shape = targets.shape
    cell = ((matches.image * shape[1] + matches.anchor) * shape[2] + matches.y) * shape[3] + matches.x
    order = torch.arange(len(cell), device=cell.device)
    last = torch.full((targets.numel(),), -1, device=cell.device).scatter_reduce(0, cell, order, "amax")
    is_last = last[cell] == order
    targets.view(-1)[cell[is_last]] = values[is_last].to(targets.dtype)


def _class_loss(logits: Tensor, classes: Tensor, weights: AnchorLossWeights) -> Tensor:
    """Return the sum over matches of the mean over classes."""
    if logits.shape[1] == 1:
        return logits.sum() * 0
    low, high = weights.label_smoothing / 2, 1 - weights.label_smoothing / 2
    targets = functional.one_hot(classes, logits.shape[1]).to(logits.dtype) * (high - low) + low
    return _cross_entropy(logits, targets, weights.cls_pw, weights.fl_gamma).sum() / logits.shape[1]


def _cross_entropy(logits: Tensor, targets: Tensor, positive_weight: float, gamma: float) -> Tensor:
    """Return the binary cross-entropy of each logit, or the focal loss for γ > 0 ("Focal Loss", ICCV 2017, eq. 5)."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits, targets, pos_weight=logits.new_tensor(positive_weight), reduction="none"
    )
    if gamma > 0:
        scores = logits.sigmoid()
        agreement = targets * scores + (1 - targets) * (1 - scores)
        entropy = entropy * (targets * 0.25 + (1 - targets) * 0.75) * (1 - agreement) ** gamma
    return entropy
