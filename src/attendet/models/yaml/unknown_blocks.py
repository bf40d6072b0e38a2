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
_TEXT = "a head for classes that are given as text; attendet trains detectors with fixed classes"
_BLOCKS_OF_FAMILIES = {
    "YOLO-World (arXiv:2401.17270)": ("C2fAttn", "ImagePoolingAttn"),
    "YOLOv9 (arXiv:2402.13616)": (
        *("ADown", "AConv", "CBFuse", "CBLinear", "ELAN1"),
        *("RepCSP", "RepNCSPELAN4", "SPPELAN"),
    ),
    "YOLOv10 (arXiv:2405.14458)": ("C2fCIB", "CIB", "SCDown"),
    "YOLO12 (arXiv:2502.12524)": ("A2C2f", "ABlock", "AAttn"),
    "RT-DETR (arXiv:2304.08069)": ("AIFI", "HGBlock", "HGStem", "RepC3"),
}
# Heads for other tasks, in whose place a model file for detection has `Detect`.
_OTHER_TASKS = ("segment", "pose", "obb", "yoloesegment", "yoloedetect", "worlddetect")
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
    "yoloesegment": _TEXT,
    "yoloedetect": _TEXT,
    "worlddetect": _TEXT,
    "classify": "a head for classification; attendet trains detectors",
    "obb": "a head for rotated boxes; attendet trains detectors of upright boxes",
    "pose": "a head for key points; attendet trains detectors",
    "rtdetrdecoder": "the decoder of RT-DETR (arXiv:2304.08069); attendet has the heads of YOLOv5, YOLOv8, and YOLO11",
    "v10detect": "a head with a second assignment that replaces non-maximum suppression",
    "bilevelroutingattention": "attention of BiFormer (arXiv:2303.08810), whose copies differ in their layers",
    "c3str": "a C3 with Swin Transformer blocks, whose copies differ in window and depth",
    "cot3": "a C3 with Contextual Transformer blocks (arXiv:2107.12292), whose copies differ from the paper",
    "acmix": "a mix of convolution and attention (arXiv:2111.14556), whose copies differ in their layers",
    "parnetattention": "attention of ParNet (arXiv:2110.07641), whose copies differ in their layers",
    "s2attention": "attention of S2-MLPv2 (arXiv:2108.01072), whose copies differ in their layers",
    **{
        normalize_name(name): f"a block of {family}; attendet has the blocks of YOLOv5, YOLOv8, and YOLO11"
        for family, names in _BLOCKS_OF_FAMILIES.items()
        for name in names
    },
}


def unknown_block(name: str) -> AttendetError:
    """Return the error about a block that attendet does not have. It states the reason if the block is a known one.

    Example:
        >>> print(unknown_block("ASFF_Detect"))  # doctest: +ELLIPSIS
        attendet does not have 'ASFF_Detect': a head whose layers differ between forks ...
    """
    key = normalize_name(name)
    reason = _REASONS.get(key)
    if reason is None:
        nearest = misspelled_name(name, (*blocks.spellings(), *attentions.spellings()))
        return UnknownNameError(
            f"unknown block or attention {short_repr(name)}",
            remedy=f"did you mean {nearest!r}?" if nearest else "register the block with attendet.blocks.block",
        )
    remedy = "use Detect" if key in _OTHER_TASKS else "register the block with attendet.blocks.block"
    return UnknownNameError(f"attendet does not have {short_repr(name)}: {reason}", remedy=remedy)
