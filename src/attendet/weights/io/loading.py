"""Weights of any file into any network: what has a place there is never lost, and what has none is told."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from attendet.attention import bam
from attendet.attention.cbam import module
from attendet.errors import AttendetError, AttendetWarning, Location, WeightsError
from attendet.surgery import Attachment, AttentionPlan, reattach
from attendet.surgery.attachment_plan import plans_of
from attendet.surgery.module_creation import create_at, options_at
from attendet.weights import Checkpoint, read_checkpoint
from attendet.weights.align.alignment import align_tensors
from attendet.weights.align.load_report import LoadReport
from attendet.weights.io.card import card_of, plans_of_file


def load_weights(model: nn.Module, path: str | os.PathLike[str], *, names: Sequence[str] | None = None) -> LoadReport:
    """Copy what a file of weights has for a network into it.

    The file may be one of ours, any state dict (`.safetensors`, `.pt`, `.pth`, `.ckpt`), or a checkpoint of the
    original YOLOv5; a pickle is read and never run. Numbered rows, as of a detector or an `nn.Sequential`, are found by
    their structure, whatever their numbers; other networks' tensors by name and shape. Attention that was attached to
    the network of the file is attached again, where nothing is attached yet.

    Args:
        model: Any network; changed in place.
        path: The file.
        names: The classes of a detector, by number: classes of the same name keep their weights.

    Returns:
        What was kept, what is new, what was dropped and what reshaped.

    Raises:
        WeightsError: If the file cannot be read, or has nothing for this network, which is then left as it was.

    Example:
        >>> import attendet, tempfile, torch
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "yolov5n.pt")
        ...     torch.save(attendet.build("yolov5n").state_dict(), path)
        ...     report = load_weights(attendet.build("yolov5n_CBAM", start="identity"), path)
        >>> print(report)
        kept 349 of 354 tensors
        new: 5 tensors (row 9)
    """
    checkpoint = read_checkpoint(path)
    where = Location(os.fspath(path))
    try:
        plans = () if any(plans_of(model)) else plans_of_file(checkpoint)
        attachments = attach_again(model, plans, checkpoint.tensors)
    except AttendetError as error:
        raise WeightsError(error.message, where=where, remedy=error.remedy) from error
    try:
        return load_checkpoint(model, checkpoint, where, names=names)
    except BaseException:
        for attachment in reversed(attachments):
            attachment.detach()
        raise


def load_checkpoint(
    model: nn.Module, checkpoint: Checkpoint, where: Location, *, names: Sequence[str] | None = None
) -> LoadReport:
    """Copy what a file has for a network into it, as `load_weights`, from a file that has been read.

    Raises:
        WeightsError: If it has nothing for this network.
    """
    card = card_of(checkpoint, where.file)
    theirs = card.names if card else checkpoint.names
    foreign = {**module.FOREIGN_KEYS, **bam.FOREIGN_KEYS}
    aligned = align_tensors(
        model.state_dict(),
        checkpoint.tensors,
        model_names=names,
        file_names=theirs,
        foreign=foreign,
    )
    if not aligned.report.kept:
        raise WeightsError(
            f"it has nothing for {type(model).__name__}: {aligned.report}".replace("\n", "; "),
            where=where,
            remedy="`attendet weights inspect` says what it would fit",
        )
    with torch.no_grad():
        model.load_state_dict(aligned.values, strict=False)
    return aligned.report


def attach_again(model: nn.Module, plans: Sequence[AttentionPlan], tensors: Mapping[str, Tensor]) -> list[Attachment]:
    """Attach what was attached to the network whose weights these are; all of it or nothing.

    Raises:
        OptionError: If the network has no such places.
        WeightsError: If the tensors are not those of such modules: nothing is made from a file's word alone.
    """
    done: list[Attachment] = []
    try:
        for plan in plans:
            _require_tensors(plan, tensors)
            done.append(reattach(model, plan))
    except BaseException:
        for attachment in reversed(done):
            attachment.detach()
        raise
    return done


def _require_tensors(plan: AttentionPlan, tensors: Mapping[str, Tensor]) -> None:
    options = options_at(plan)
    for site in plan.sites:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", AttendetWarning)
            module = create_at(plan.attention, site, options)
        for key, value in module.state_dict().items():
            held = tensors.get(f"{site.module}.{key}")
            if held is None or held.shape != value.shape:
                raise WeightsError(
                    f"it says that {plan.attention} is attached at {site.path}, and holds no such weights"
                )
