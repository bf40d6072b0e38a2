"""What each row of a model costs, counted on the meta device: nothing is computed and nothing allocated."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, UntypedStorage, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from attendet.attention import create, names
from attendet.attention.catalog import attentions
from attendet.errors import AttendetError, AttendetWarning
from attendet.models.planning import ModelPlan

# Two images, because batch norms cannot train on a single value per channel.
BATCH = 2

# Storages by what tells them apart; as they are held, none takes the place of another.
Kept: TypeAlias = dict[int, UntypedStorage]


@dataclass(frozen=True)
class Cost:
    """The cost of one image.

    Attributes:
        flops: Floating-point operations of convolutions and matrix products, a multiply-add counted as two.
        activation_bytes: What training keeps for the backward pass, float32, weights left out.
    """

    flops: int
    activation_bytes: int


def count_costs(plan: ModelPlan) -> list[Cost]:
    """Return the cost of each row of a plan, at the plan's image size; what several rows keep is the first one's."""
    with torch.device("meta"):
        modules = plan.make()
        images = torch.empty(BATCH, 3, plan.imgsz, plan.imgsz, requires_grad=True)
    maps: dict[int, Tensor] = {-1: images}
    kept: Kept = {}
    costs = []
    for planned, module in zip(plan.rows, modules, strict=True):
        inputs = [maps[source.row] for source in planned.row.sources]
        joins = planned.recipe is not None and planned.recipe.joins
        cost, output = count(module, inputs if joins else inputs[0], kept)
        costs.append(Cost(cost.flops // BATCH, cost.activation_bytes // BATCH))
        maps[planned.row.index] = output[0] if isinstance(output, tuple) else output
    return costs


def count(
    module: nn.Module, inputs: Tensor | list[Tensor], kept: Kept | None = None
) -> tuple[Cost, Tensor | tuple[Tensor, ...]]:
    """Return the cost of one forward pass in training mode, and what it gives.

    Args:
        module: Any module, on the meta device.
        inputs: What it takes.
        kept: What is kept already and costs nothing more; what this pass keeps is added.

    Example:
        >>> with torch.device("meta"):
        ...     cost, _ = count(nn.Conv2d(8, 16, 1, bias=False), torch.empty(1, 8, 10, 10))
        >>> cost
        Cost(flops=25600, activation_bytes=3200)
    """
    kept = {} if kept is None else kept
    before = _bytes(kept)
    parameters = {_identity(parameter.untyped_storage()) for parameter in module.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if _identity(storage) not in parameters:
            kept[_identity(storage)] = storage
        return tensor

    with FlopCounterMode(display=False) as counter, saved_tensors_hooks(keep, lambda tensor: tensor):
        output = module.train()(inputs)
    return Cost(counter.get_total_flops(), _bytes(kept) - before), output


def _identity(storage: UntypedStorage) -> int:
    # On the meta device all data pointers are zero; the storage object itself tells tensors apart.
    return storage._cdata  # noqa: SLF001


def _bytes(kept: Kept) -> int:
    return sum(storage.nbytes() for storage in kept.values())


def attention_costs(channels: int, size: int) -> list[dict[str, Any]]:
    """Return name, paper, parameters, FLOPs and bytes kept of every attention module, per image.

    A module that cannot be made for so many channels, or cannot run, has an `error`, which says why, in place of the
    numbers.

    Args:
        channels: Channels of the features.
        size: Side of the feature map.

    Example:
        >>> by_name = {listed["name"]: listed for listed in attention_costs(8, 20)}
        >>> by_name["eca"]["parameters"], by_name["cbam"]["error"]
        (3, 'a reduction of 16 leaves no hidden channel of 8; use a reduction of 2 or less')
    """
    listed = []
    for name in names():
        about: dict[str, Any] = {"name": name, "paper": attentions.get(name).paper}
        try:
            about |= _attention_cost(name, channels, size)
        except (AttendetError, TypeError, ValueError, RuntimeError) as error:
            about["error"] = str(error)
        listed.append(about)
    return listed


def _attention_cost(name: str, channels: int, size: int) -> dict[str, int]:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        module = create(name, channels)
        features = torch.empty(BATCH, channels, size, size, requires_grad=True)
    cost, _ = count(module, features)
    return {
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "flops": cost.flops // BATCH,
        "activation_bytes": cost.activation_bytes // BATCH,
    }


def total(costs: Iterable[Cost]) -> Cost:
    """Return the sum of costs.

    Example:
        >>> total([Cost(1, 2), Cost(3, 4)])
        Cost(flops=4, activation_bytes=6)
    """
    listed = list(costs)
    return Cost(sum(cost.flops for cost in listed), sum(cost.activation_bytes for cost in listed))
