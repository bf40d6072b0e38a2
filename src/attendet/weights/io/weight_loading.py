"""Load the weights of any supported file into any network, and report the tensors that do not fit."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from attendet.attention.base import Attention
from attendet.errors import AttendetError, AttendetWarning, Location, WeightsError
from attendet.surgery import Attachment, AttentionPlan, reattach
from attendet.surgery.attachment_plan import plans_of
from attendet.surgery.module_creation import create_at, creation_options
from attendet.weights.align.alignment import align_tensors
from attendet.weights.align.head_tensors import is_constant
from attendet.weights.align.load_report import LoadReport
from attendet.weights.formats.reader import Checkpoint, read_checkpoint
from attendet.weights.io.model_card import stored_attention, stored_card

_CONVOLUTION = "conv.weight"


def load_weights(model: nn.Module, path: str | os.PathLike[str], *, names: Sequence[str] | None = None) -> LoadReport:
    """Load the tensors of a weights file that fit into a network.

    The file may be one that attendet wrote, any state dict (`.safetensors`, `.pt`, `.pth`, `.ckpt`), or a checkpoint of
    the original YOLOv5, YOLOv8, or YOLO11; no code in the file is run. Numbered rows, as in a detector or an
    `nn.Sequential`, are matched by structure, regardless of their numbers. The tensors of other networks are matched by
    name and shape. Attention of other implementations is recognized by its place, its names, and its shapes, and
    computes the same in the network. Attention that was attached to the network of the file is attached again, unless
    the network has attached attention already.

    Args:
        model: Any network; changed in place.
        path: The weights file.
        names: Class names of the detector in the order of their indices; classes of the same name keep their weights.

    Returns:
        The tensors that were kept, are new, were dropped, or have another shape.

    Raises:
        WeightsError: If the file cannot be read, or no tensor fits; the network is then unchanged.

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
        plans = () if any(plans_of(model)) else stored_attention(checkpoint)
        attachments = restore_attention(model, plans, checkpoint.tensors)
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
    """Load the tensors of a file that has been read, as `load_weights` does, without attaching attention.

    Args:
        model: Any network; changed in place.
        checkpoint: Content of the file.
        where: The file, for error messages.
        names: Class names of the detector in the order of their indices.

    Raises:
        WeightsError: If no tensor fits, or the tensors are complex numbers and the network is not.
    """
    card = stored_card(checkpoint, where.file)
    state = model.state_dict()
    complex_keys = [key for key, value in checkpoint.tensors.items() if value.is_complex()]
    if complex_keys and not any(value.is_complex() for value in state.values()):
        message = (
            f"the weights must be real numbers, got {checkpoint.tensors[complex_keys[0]].dtype} in {complex_keys[0]}"
        )
        raise WeightsError(message, where=where)
    aligned = align_tensors(
        state,
        checkpoint.tensors,
        model_names=names,
        file_names=card.names if card else checkpoint.names,
        attentions=attentions_of(model),
    )
    if all(map(is_constant, aligned.report.kept)):
        raise WeightsError(
            f"no tensor fits into {type(model).__name__}: {aligned.report}".replace("\n", "; "),
            where=where,
            remedy="run `attendet weights inspect` to see the content of the file",
        )
    with torch.no_grad():
        model.load_state_dict(aligned.values, strict=False)
    return replace(aligned.report, activations=_other_activations(model, aligned.sources, checkpoint))


def _other_activations(
    model: nn.Module, sources: Mapping[str, str], checkpoint: Checkpoint
) -> tuple[tuple[str, str], ...]:
    """Return the paths of the activations after loaded convolutions that differ in the file, and their classes there.

    Only classes with the name of one of torch's are compared, because copies of SiLU have other names, such as Swish.
    """
    found: list[tuple[str, str]] = []
    for path, module in model.named_modules():
        activation, prefix = getattr(module, "act", None), f"{path}." if path else ""
        source = sources.get(f"{prefix}{_CONVOLUTION}", "")
        stored = checkpoint.activations.get(f"{source.removesuffix(_CONVOLUTION)}act")
        own = {kind.__name__ for kind in type(activation).__mro__} if isinstance(activation, nn.Module) else {stored}
        if source.endswith(_CONVOLUTION) and stored in vars(nn) and stored not in own:
            found.append((f"{prefix}act", str(stored)))
    return tuple(found)


def attentions_of(model: nn.Module) -> dict[str, Attention]:
    """Return the attention modules of a network by path, without those inside another one."""
    found: dict[str, Attention] = {}
    for path, module in model.named_modules():
        inside = any(path.startswith(f"{outer}." if outer else "") for outer in found)
        if isinstance(module, Attention) and not inside:
            found[path] = module
    return found


def restore_attention(
    model: nn.Module, plans: Sequence[AttentionPlan], tensors: Mapping[str, Tensor]
) -> list[Attachment]:
    """Attach the attention that was attached to the network of a weights file: all of it, or none after an error.

    Args:
        model: The network; changed in place.
        plans: The attention to attach.
        tensors: The tensors of the file.

    Raises:
        OptionError: If the network does not have the sites of the plans.
        WeightsError: If the file lacks the tensors of the attention modules. A module is created only if its weights
            are in the file, so that a small file cannot ask for huge modules.
    """
    attachments: list[Attachment] = []
    try:
        for plan in plans:
            _require_tensors(plan, tensors)
            attachments.append(reattach(model, plan))
    except BaseException:
        for attachment in reversed(attachments):
            attachment.detach()
        raise
    return attachments


def _require_tensors(plan: AttentionPlan, tensors: Mapping[str, Tensor]) -> None:
    options = creation_options(plan)
    for site in plan.sites:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore", AttendetWarning)
            module = create_at(plan.attention, site, options)
        for key, value in module.state_dict().items():
            stored = tensors.get(f"{site.module}.{key}")
            if stored is None or stored.shape != value.shape:
                raise WeightsError(f"the weights of the {plan.attention} attached at {site.path} are not in the file")
