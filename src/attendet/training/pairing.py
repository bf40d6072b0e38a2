"""Digests that show whether two runs with the same seed are paired: equal initial weights, and equal image order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain

import torch
from torch import nn

from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.training.freezing import base_modules

_DIGEST_LENGTH = 12


def weight_digests(model: nn.Module) -> dict[str, str]:
    """Return a digest of the weights of each layer outside attention, by the path of the layer.

    Attached attention does not change the paths of other layers. A network with attention and one without it therefore
    have equal digests for all layers that both contain, if these layers started with equal weights.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> list(weight_digests(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.BatchNorm2d(8))))
        ['0', '2']
    """
    base = set(base_modules(model))
    digests = {}
    for path, module in model.named_modules():
        weights = dict(module.named_parameters(recurse=False)) if module in base else {}
        if weights:
            digests[path] = _digest(
                chain.from_iterable(
                    (f"{name} {tuple(value.shape)}".encode(), _bytes(value)) for name, value in weights.items()
                )
            )
    return digests


def image_order_digest(batches: TrainingBatchSampler, images: Sequence[str]) -> str:
    """Return a digest of the images of the first epoch in their order, and of the seed of their augmentation.

    Images that fill up the last batch are left out, so that the digest does not depend on the batch size.

    Args:
        batches: The batch sampler of a single process; its epoch is set to the first.
        images: A digest of the content of each image.

    Example:
        >>> names = ["a", "b", "c", "d", "e"]
        >>> samplers = [TrainingBatchSampler(5, size, (64, 64), seed=0) for size in (2, 4, 5)]
        >>> digests = {image_order_digest(sampler, names) for sampler in samplers}
        >>> len(digests), image_order_digest(TrainingBatchSampler(5, 2, (64, 64), seed=1), names) in digests
        (1, False)
    """
    batches.set_epoch(0)
    samples = [sample for batch in batches for sample in batch][: batches.images]
    order = (f"{sample.epoch} {sample.position} {images[sample.image]}".encode() for sample in samples)
    return _digest(chain([str(batches.seed).encode()], order))


def _digest(parts: chain[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part + b"\0")
    return digest.hexdigest()[:_DIGEST_LENGTH]


def _bytes(value: torch.Tensor) -> bytes:
    return value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
