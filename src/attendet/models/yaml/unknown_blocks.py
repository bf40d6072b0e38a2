"""Errors about blocks that attendet does not have."""

from __future__ import annotations

from attendet.attention.catalog import attentions
from attendet.blocks.catalog import blocks
from attendet.errors import AttendetError, UnknownNameError, misspelled_name
from attendet.registry import normalize_name
from attendet.utils.text import short_repr

_SEGMENTATION = "a head for segmentation; attendet trains detectors"
_YOLOV7 = "a block of YOLOv7, which no paper or table defines completely"
_HEAD = "a head whose layers differ between forks and which no paper or table defines"
_REASONS = {
    "asffdetect": _HEAD,
    "decoupleddetect": _HEAD,
    "decoupledhead": _HEAD,
    "idetect": _YOLOV7,
    "iauxdetect": _YOLOV7,
    "repconv": _YOLOV7,
    "mp": _YOLOV7,
    "sppcspc": _YOLOV7,
    "segment": _SEGMENTATION,
    "bilevelroutingattention": "attention of BiFormer (arXiv:2303.08810), whose copies differ in their layers",
    "c3str": "a C3 with Swin Transformer blocks, whose copies differ in window and depth",
    "cot3": "a C3 with Contextual Transformer blocks (arXiv:2107.12292), whose copies differ from the paper",
    "acmix": "a mix of convolution and attention (arXiv:2111.14556), whose copies differ in their layers",
    "parnetattention": "attention of ParNet (arXiv:2110.07641), whose copies differ in their layers",
    "s2attention": "attention of S2-MLPv2 (arXiv:2108.01072), whose copies differ in their layers",
}


def unknown_block(name: str) -> AttendetError:
    """Return the error about a block that attendet does not have. It states the reason if the block is a known one.

    Example:
        >>> print(unknown_block("ASFF_Detect"))  # doctest: +ELLIPSIS
        attendet does not have 'ASFF_Detect': a head whose layers differ between forks ...
    """
    reason = _REASONS.get(normalize_name(name))
    if reason is None:
        nearest = misspelled_name(name, (*blocks.spellings(), *attentions.spellings()))
        return UnknownNameError(
            f"unknown block or attention {short_repr(name)}",
            remedy=f"did you mean {nearest!r}?" if nearest else "register the block with attendet.blocks.block",
        )
    return UnknownNameError(
        f"attendet does not have {short_repr(name)}: {reason}", remedy="register the block with attendet.blocks.block"
    )
