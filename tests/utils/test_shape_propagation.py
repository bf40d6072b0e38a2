"""Shape propagation gives what torch's own implementation of the meta device gives."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from attendet.attention.catalog import attentions, create
from attendet.models.builder import build
from attendet.utils.shape_propagation import ShapePropagation
from attendet.utils.shape_rules import RULES

Layout = tuple[tuple[int, ...], torch.dtype, tuple[int, ...]]


def layouts(result: Any) -> list[Layout]:
    """Return shape, type, and strides of each tensor; the stride of an axis of length 1 has no meaning."""
    tensors = [result] if isinstance(result, Tensor) else result
    return [
        (tuple(t.shape), t.dtype, tuple(s for s, n in zip(t.stride(), t.shape, strict=True) if n != 1)) for t in tensors
    ]


class ComparedWithTorch(ShapePropagation):
    """Runs torch's implementation of every operator that a rule has answered, and compares the results."""

    def __init__(self) -> None:
        super().__init__(count_flops=True)
        self.compared: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = super().__torch_dispatch__(func, types, args, kwargs)
        if func.name() in RULES and not func._schema.is_mutable:
            assert layouts(result) == layouts(func(*args, **(kwargs or {}))), func.name()
            self.compared[func.name()] += 1
        return result


def features(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta", requires_grad=True)


def run_compared(module: nn.Module, inputs: Tensor) -> Counter[str]:
    """Run a module in training, then in evaluation, and compare every operator and the number of operations."""
    module = module.to("meta")
    with ComparedWithTorch() as compared:
        module.train()(inputs)
    with FlopCounterMode(display=False) as counter:
        module.train()(inputs)
    assert compared.flops == counter.get_total_flops()
    with ComparedWithTorch() as evaluated, torch.no_grad():
        module.train(False)(inputs)
    return compared.compared + evaluated.compared


@pytest.mark.parametrize("name", attentions.names())
def test_attention_modules(name: str) -> None:
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = create(name, 256)
    run_compared(module, features(2, 256, 20, 24))


@pytest.mark.parametrize("name", ["yolov5n", "yolov5s_CBAM", "yolov5s_CBAM-C3"])
def test_bundled_models(name: str) -> None:
    compared = run_compared(build(name), features(2, 3, 128, 192))
    assert compared["aten::convolution"] > 50


def permuted(x: Tensor) -> Tensor:
    return x.permute(0, 3, 1, 2)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "contiguous": lambda x: x,
    "permuted": permuted,
    "transposed": lambda x: x.transpose(2, 3),
    "sliced": lambda x: x[:, 2:6, :, ::2],
    "expanded": lambda x: x[:, :1].expand(-1, 6, -1, -1),
    "expanded from vectors": lambda x: x.mean((2, 3), keepdim=True).expand(-1, -1, 6, 10),
    "channels-last": lambda x: x.to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("other", LAYOUTS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, other: str) -> None:
    x, y = LAYOUTS[layout](features(2, 8, 6, 10)), LAYOUTS[other](features(2, 8, 6, 10))
    with ComparedWithTorch() as compared:
        torch.sigmoid(x)
        _ = x + y.mean((2, 3), keepdim=True).amax(1, keepdim=True)
        _ = x.mean((2, 3), keepdim=True) * y.sum((0, 1, 2, 3))
        torch.cat([x, x], 1)
        torch.stack([x, x], 2)
        if x.shape == y.shape:
            torch.where(torch.ones((), dtype=torch.bool, device="meta"), x - y, y / x)
            torch.cat([x, y], 1)
        nn.functional.conv2d(x, torch.empty(4, x.shape[1], 3, 1, device="meta"), padding=1, stride=2)
        nn.functional.max_pool2d(x, 3, 1, 1)
        x.flatten(2)[0] @ y.flatten(2)[0].T.expand(x.shape[2] * x.shape[3], -1) if x.shape[2:] == y.shape[2:] else None
    assert compared.compared["aten::sigmoid"]


def test_an_invalid_call_raises_the_error_of_torch() -> None:
    with ShapePropagation():
        for call in (
            lambda: nn.Conv2d(4, 8, 3, device="meta")(features(1, 5, 8, 8)),
            lambda: nn.Conv2d(4, 8, 9, device="meta")(features(1, 4, 8, 8)),
            lambda: features(2, 3) + features(2, 4),
            lambda: torch.cat([features(2, 3), features(3, 4)], 1),
            lambda: features(2, 3) @ features(4, 2),
        ):
            with pytest.raises(RuntimeError):
                call()


def test_operators_without_a_rule_are_run_and_counted_by_torch() -> None:
    module = nn.ConvTranspose2d(8, 4, 2, stride=2, device="meta")
    with ShapePropagation(count_flops=True) as propagation:
        output = nn.GELU()(module(features(1, 8, 5, 5)))
    with FlopCounterMode(display=False) as counter:
        module(features(1, 8, 5, 5))
    assert output.shape == (1, 4, 10, 10)
    assert propagation.flops == counter.get_total_flops() > 0


def test_tensors_with_values_are_left_to_torch() -> None:
    with ShapePropagation():
        assert torch.equal(torch.ones(3) + torch.ones(3), torch.full((3,), 2.0))
