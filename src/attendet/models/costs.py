"""Count the cost of models and attention modules on torch's meta device, without computing or allocating anything."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, UntypedStorage, nn
from torch.autograd.graph import saved_tensors_hooks

from attendet.attention import create, names
from attendet.attention.catalog import attentions
from attendet.errors import AttendetError, AttendetWarning
from attendet.models.planning import ModelPlan
from attendet.utils.shape_propagation import ShapePropagation

# Costs are counted on two images, because batch norms cannot train on a single value per channel.
_BATCH_SIZE = 2

# Memory that is saved for the backward pass, by identity. Holding on to it keeps identities from being used again.
SavedMemory: TypeAlias = dict[int, UntypedStorage]


@dataclass(frozen=True)
class Cost:
    """The cost of one forward pass in training mode.

    Attributes:
        flops: Floating-point operations of convolutions and matrix products, a multiply-add counted as two.
        activation_bytes: Memory that is saved for the backward pass, in float32, without the weights.
    """

    flops: int
    activation_bytes: int


def count_rows(plan: ModelPlan) -> list[Cost]:
    """Count the cost per image of each row of a plan, at the plan's image size.

    Memory that several rows save for the backward pass is counted for the first of them.

    Example:
        >>> from attendet.models.planning import plan_model
        >>> count_rows(plan_model("yolov5n", imgsz=640))[0]
        Cost(flops=353894400, activation_bytes=18022528)
    """
    with torch.device("meta"), ShapePropagation():
        modules = plan.create_modules()
        images = torch.empty(_BATCH_SIZE, 3, plan.imgsz, plan.imgsz, requires_grad=True)
    maps: dict[int, Tensor] = {-1: images}
    saved: SavedMemory = {}
    costs = []
    for planned, module in zip(plan.rows, modules, strict=True):
        inputs = [maps[source.row] for source in planned.row.sources]
        joins = planned.spec is not None and planned.spec.joins
        cost, output = count_pass(module, inputs if joins else inputs[0], saved)
        costs.append(_per_image(cost))
        maps[planned.row.index] = output[0] if isinstance(output, tuple) else output
    return costs


def count_network(network: nn.Module, imgsz: int) -> Cost:
    """Count the cost per image of a network that takes images (N, 3, imgsz, imgsz).

    Args:
        network: Any network; it is copied, not changed.
        imgsz: Side of the image in pixels.

    Example:
        >>> count_network(nn.Conv2d(3, 8, 1, bias=False), 10)
        Cost(flops=4800, activation_bytes=1200)
    """
    with torch.device("meta"):
        images = torch.empty(_BATCH_SIZE, 3, imgsz, imgsz)
    cost, _ = count_pass(copy.deepcopy(network).to("meta"), images)
    return _per_image(cost)


def count_pass(
    module: nn.Module, inputs: Tensor | list[Tensor], saved: SavedMemory | None = None
) -> tuple[Cost, Tensor | tuple[Tensor, ...]]:
    """Count the cost of one forward pass in training mode, and return it with the output.

    Args:
        module: Any module, on the meta device.
        inputs: Its argument.
        saved: Memory that earlier passes saved, which is not counted again; the memory of this pass is added.

    Example:
        >>> with torch.device("meta"):
        ...     cost, _ = count_pass(nn.Conv2d(8, 16, 1, bias=False), torch.empty(1, 8, 10, 10))
        >>> cost
        Cost(flops=25600, activation_bytes=3200)
    """
    saved = {} if saved is None else saved
    before = _total_bytes(saved)
    parameters = {_identity(parameter.untyped_storage()) for parameter in module.parameters()}

    def save(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if _identity(storage) not in parameters:
            saved[_identity(storage)] = storage
        return tensor

    with ShapePropagation(count_flops=True) as propagation, saved_tensors_hooks(save, lambda tensor: tensor):
        output = module.train()(inputs)
    return Cost(propagation.flops, _total_bytes(saved) - before), output


def sum_costs(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs.

    Example:
        >>> sum_costs([Cost(1, 2), Cost(3, 4)])
        Cost(flops=4, activation_bytes=6)
    """
    listed = list(costs)
    return Cost(sum(cost.flops for cost in listed), sum(cost.activation_bytes for cost in listed))


def attention_costs(channels: int, size: int) -> list[dict[str, Any]]:
    """Count the parameters, FLOPs, and activation memory per image of every attention module.

    Args:
        channels: Number of channels of the features.
        size: Side of the feature map in cells.

    Returns:
        One dictionary per module with `name`, `paper`, `parameters`, `flops`, and `activation_bytes`. If a module does
        not support the number of channels, `error` with the reason takes the place of the numbers.

    Example:
        >>> by_name = {entry["name"]: entry for entry in attention_costs(8, 20)}
        >>> by_name["eca"]["parameters"], "error" in by_name["cbam"]
        (3, True)
    """
    entries = []
    for name in names():
        entry: dict[str, Any] = {"name": name, "paper": attentions.get(name).paper}
        try:
            entry |= _attention_cost(name, channels, size)
        except (AttendetError, TypeError, ValueError, RuntimeError) as error:
            entry["error"] = str(error)
        entries.append(entry)
    return entries


def _attention_cost(name: str, channels: int, size: int) -> dict[str, int]:
    with torch.device("meta"), ShapePropagation(), warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        module = create(name, channels)
        features = torch.empty(_BATCH_SIZE, channels, size, size, requires_grad=True)
    cost = _per_image(count_pass(module, features)[0])
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "flops": cost.flops,
        "activation_bytes": cost.activation_bytes,
    }


def _per_image(cost: Cost) -> Cost:
    return Cost(cost.flops // _BATCH_SIZE, cost.activation_bytes // _BATCH_SIZE)


def _identity(storage: UntypedStorage) -> int:
    # On the meta device all data pointers are zero, so only the storage object distinguishes tensors.
    return storage._cdata  # noqa: SLF001


def _total_bytes(saved: SavedMemory) -> int:
    return sum(storage.nbytes() for storage in saved.values())
