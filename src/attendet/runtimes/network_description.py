"""The descriptions of networks in torch: what their exported files will contain."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

from attendet.attention.base import Attention
from attendet.models.detector import Detector
from attendet.runtimes.file_description import FileDescription, LetterboxRule
from attendet.surgery import attached
from attendet.utils.provenance import versions
from attendet.weights.io.model_card import ModelCard


def describe_network(network: nn.Module) -> FileDescription:
    """Return the description of a network that is not a detector.

    Example:
        >>> describe_network(nn.Conv2d(3, 8, 1)).kind
        'network'
    """
    return FileDescription(
        kind="network",
        outputs=("output",),
        attention=tuple(each.plan.to_dict() for each in attached(network)),
        has_attention=any(isinstance(module, Attention) for module in network.modules()),
        weights_digest=digest_of_weights(network),
        versions=versions(["torch"]),
    )


def describe_detector(detector: Detector, card: ModelCard) -> FileDescription:
    """Return the description of a detector.

    Args:
        detector: The detector.
        card: Its model file, class names, and image size.
    """
    return describe_network(detector).model_copy(
        update={
            "kind": "detector",
            "names": card.names,
            "imgsz": card.imgsz,
            "bit_depth": card.bit_depth,
            "strides": detector.strides,
            "suppression": detector.head.suppression,
            "letterbox": LetterboxRule(),
            "outputs": ("predictions",),
            "model": card.model or None,
            "text": card.text or None,
        }
    )


def digest_of_weights(network: nn.Module) -> str:
    """Return the SHA-256 digest of the names, types, shapes, and values of the tensors of a network.

    It does not depend on the device.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> before = digest_of_weights(layer)
        >>> _ = nn.init.zeros_(layer.weight)
        >>> len(before), digest_of_weights(layer) == before
        (64, False)
    """
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{key} {values.dtype} {tuple(values.shape)}\n".encode())
        if values.numel():
            digest.update(values.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
