"""What two runs of one seed have to have in common for their difference to be paired: first weights, and images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import chain

import torch
from torch import nn

from attendet.data.loading.sampler import TrainingBatchSampler
from attendet.training.freezing import base_modules

DIGITS = 12


def first_weights(model: nn.Module) -> dict[str, str]:
    """Return a fingerprint of the weights of each layer that is no part of attention, by the layer's path.

    Attention moves no paths; so a network with it and one without agree in all layers that both have, if these started
    alike.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> list(first_weights(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.BatchNorm2d(8))))
        ['0', '2']
    """
    base = set(base_modules(model))
    found = {}
    for path, module in model.named_modules():
        weights = dict(module.named_parameters(recurse=False)) if module in base else {}
        if weights:
            found[path] = _digest(
                chain.from_iterable(
                    (f"{name} {tuple(value.shape)}".encode(), _bytes(value)) for name, value in weights.items()
                )
            )
    return found


def first_order(batches: TrainingBatchSampler, images: Sequence[str]) -> str:
    """Return a fingerprint of which images come in the first epoch, in which order, and of the seed that varies them.

    What fills up a last batch is left out, so that it does not depend on the size of batches.

    Args:
        batches: Of one process; left at the first epoch.
        images: A digest of each image's content.

    Example:
        >>> names = ["a", "b", "c", "d", "e"]
        >>> orders = [first_order(TrainingBatchSampler(5, size, (64, 64), seed=0), names) for size in (2, 4, 5)]
        >>> len(set(orders)), orders[0] == first_order(TrainingBatchSampler(5, 2, (64, 64), seed=1), names)
        (1, False)
    """
    batches.set_epoch(0)
    draws = [draw for batch in batches for draw in batch][: batches.images]
    shown = (f"{draw.epoch} {draw.position} {images[draw.image]}".encode() for draw in draws)
    return _digest(chain([str(batches.seed).encode()], shown))


def _digest(parts: chain[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part + b"\0")
    return digest.hexdigest()[:DIGITS]


def _bytes(value: torch.Tensor) -> bytes:
    return value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
