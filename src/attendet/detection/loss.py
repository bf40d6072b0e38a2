"""The loss of a detector's raw maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional
from torchvision.ops import box_convert, complete_box_iou_loss

from attendet.detection.assignment import Matches, assign

# Small strides have many more cells, so that their mean is small and easily learned.
LEVEL_WEIGHTS = {3: (4.0, 1.0, 0.4)}
MANY_LEVEL_WEIGHTS = (4.0, 1.0, 0.25, 0.06, 0.02)
LEAST_SIDE = 1e-12


@dataclass(frozen=True)
class LossWeights:
    """What the loss is made of, in the names of YOLOv5's hyperparameter files.

    Attributes:
        box: Weight of the box part.
        cls: Weight of the class part.
        obj: Weight of the objectness part.
        cls_pw: Weight of positive classes.
        obj_pw: Weight of positive objectness.
        anchor_t: Largest ratio of an object's side to an anchor's, either way.
        fl_gamma: γ of the focal loss; 0 is cross-entropy.
        label_smoothing: ε; targets are 1 − ε/2 and ε/2.
    """

    box: float = 0.05
    cls: float = 0.5
    obj: float = 1.0
    cls_pw: float = 1.0
    obj_pw: float = 1.0
    anchor_t: float = 4.0
    fl_gamma: float = 0.0
    label_smoothing: float = 0.0

    def scaled(self, *, num_classes: int, levels: int, imgsz: int) -> LossWeights:
        """Return the weights for another task than COCO's: 80 classes, 3 levels, 640 pixels.

        Example:
            >>> LossWeights().scaled(num_classes=80, levels=3, imgsz=320).obj
            0.25
        """
        return LossWeights(
            box=self.box * 3 / levels,
            cls=self.cls * num_classes / 80 * 3 / levels,
            obj=self.obj * (imgsz / 640) ** 2 * 3 / levels,
            cls_pw=self.cls_pw,
            obj_pw=self.obj_pw,
            anchor_t=self.anchor_t,
            fl_gamma=self.fl_gamma,
            label_smoothing=self.label_smoothing,
        )


@dataclass(frozen=True)
class DetectionLoss:
    """The loss of a batch.

    Attributes:
        total: What to descend: the sum of the parts times the batch size.
        box: 1 − CIoU, mean over matches, weighted.
        objectness: Binary cross-entropy over all cells, weighted.
        classes: Binary cross-entropy over the classes of matches, weighted.
    """

    total: Float[Tensor, ""]
    box: Float[Tensor, ""]
    objectness: Float[Tensor, ""]
    classes: Float[Tensor, ""]


def detection_loss(
    raw: Sequence[Float[Tensor, "n a _ _ outputs"]],
    targets: Float[Tensor, "t 6"],
    anchors: Float[Tensor, "levels a 2"],
    strides: Sequence[float],
    weights: LossWeights | None = None,
    mean_count: Callable[[Tensor], Tensor] | None = None,
) -> DetectionLoss:
    """Return the loss of raw maps.

    The box part is 1 − CIoU ("Distance-IoU Loss", AAAI 2020, equation 10). The objectness of a matched cell is to be
    its box's IoU; where two matches share cell and anchor, the later one's.

    Args:
        raw: One map of logits per level.
        targets: Image, class, x, y of the center, width and height in 0-1.
        anchors: Sides (width, height) in pixels.
        strides: Stride of each level in pixels.
        weights: What the loss is made of, as it stands (see `LossWeights.scaled`).
        mean_count: From the number of matches here to its mean over all processes, where several share a batch: the
            mean of their gradients is then that of one process with the whole batch.

    Example:
        >>> raw = [torch.zeros(1, 1, 4, 4, 6)]
        >>> loss = detection_loss(raw, torch.zeros(0, 6), torch.tensor([[[10.0, 13.0]]]), [8.0])
        >>> round(loss.total.item(), 4)
        2.7726
    """
    weights = weights or LossWeights()
    levels = [
        _level_loss(level, targets.to(level.dtype), sides / stride, weights, mean_count)
        for level, sides, stride in zip(raw, anchors.to(raw[0].dtype), strides, strict=True)
    ]
    box, objectness, classes = (torch.stack(part) for part in zip(*levels, strict=True))
    balance = objectness.new_tensor(LEVEL_WEIGHTS.get(len(raw), MANY_LEVEL_WEIGHTS)[: len(raw)])
    parts = (weights.box * box.sum(), weights.obj * (objectness * balance).sum(), weights.cls * classes.sum())
    return DetectionLoss(sum(parts, start=box.new_zeros(())) * raw[0].shape[0], *parts)


def _level_loss(
    raw: Tensor,
    targets: Tensor,
    anchors: Tensor,
    weights: LossWeights,
    mean_count: Callable[[Tensor], Tensor] | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the unweighted box, objectness and class losses of one level."""
    height, width = raw.shape[2:4]
    matches = assign(targets, anchors, height, width, weights.anchor_t)
    chosen = raw[matches.image, matches.anchor, matches.y, matches.x]
    scores = chosen[:, :4].sigmoid()
    centers, sides = 2 * scores[:, :2] - 0.5, (2 * scores[:, 2:]) ** 2 * anchors[matches.anchor]
    distance = _complete_iou_loss(centers, sides, matches.boxes)
    wanted = raw.new_zeros(raw.shape[:-1])
    _set_last(wanted, matches, (1 - distance.detach()).clamp(min=0))
    objectness = _cross_entropy(raw[..., 4], wanted, weights.obj_pw, weights.fl_gamma).mean()
    count = raw.new_tensor(float(len(matches.image)))
    count = (mean_count(count) if mean_count else count).clamp(min=1e-6)
    return distance.sum() / count, objectness, _class_loss(chosen[:, 5:], matches.classes, weights) / count


def _complete_iou_loss(centers: Tensor, sides: Tensor, wanted: Tensor) -> Tensor:
    """Return (m,) 1 − CIoU of boxes (m, 2), (m, 2) with boxes (m, 4), all as center and sides."""
    # Seen from the predicted center: elsewhere the corners of a tiny box round to one point, whose aspect is 0 / 0.
    predicted = torch.cat([torch.zeros_like(centers), sides.clamp(min=LEAST_SIDE)], dim=1)
    seen = torch.cat([wanted[:, :2] - centers, wanted[:, 2:]], dim=1)
    return complete_box_iou_loss(
        box_convert(predicted, "cxcywh", "xyxy"), box_convert(seen, "cxcywh", "xyxy"), eps=1e-7
    )


def _set_last(wanted: Tensor, matches: Matches, values: Tensor) -> None:
    """Set the cells of matches; of matches that share one, the last sets it, on every device."""
    shape = wanted.shape
    cell = ((matches.image * shape[1] + matches.anchor) * shape[2] + matches.y) * shape[3] + matches.x
    order = torch.arange(len(cell), device=cell.device)
    last = torch.full((wanted.numel(),), -1, device=cell.device).scatter_reduce(0, cell, order, "amax")
    is_last = last[cell] == order
    wanted.view(-1)[cell[is_last]] = values[is_last].to(wanted.dtype)


def _class_loss(logits: Tensor, classes: Tensor, weights: LossWeights) -> Tensor:
    """Return the sum over matches of the mean over classes."""
    if logits.shape[1] == 1:
        return logits.sum() * 0
    low, high = weights.label_smoothing / 2, 1 - weights.label_smoothing / 2
    wanted = functional.one_hot(classes, logits.shape[1]).to(logits.dtype) * (high - low) + low
    return _cross_entropy(logits, wanted, weights.cls_pw, weights.fl_gamma).sum() / logits.shape[1]


def _cross_entropy(logits: Tensor, wanted: Tensor, positive_weight: float, gamma: float) -> Tensor:
    """Return the binary cross-entropy of each logit, focal where γ is above 0 ("Focal Loss", ICCV 2017, equation 5)."""
    entropy = functional.binary_cross_entropy_with_logits(
        logits, wanted, pos_weight=logits.new_tensor(positive_weight), reduction="none"
    )
    if gamma > 0:
        scores = logits.sigmoid()
        agreement = wanted * scores + (1 - wanted) * (1 - scores)
        entropy = entropy * (wanted * 0.25 + (1 - wanted) * 0.75) * (1 - agreement) ** gamma
    return entropy
