"""Gates, weights, additive terms, and softmax weights of every attention module fulfill their base class."""

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import AdditiveTerm, AttentionWeights, Gate, SoftmaxWeights, create
from tests.attention.contract_cases import CHANNELS, features, randomize, started
from tests.helpers.typed_access import tensor

# `gc` adds a term, and `sk` mixes branches by softmax weights. These two controls have no gates by definition.
WITHOUT_GATES = {"gc", "sk", "control-conv1x1", "control-identity"}


# `scse` adds two gated maps, and `shuffle` permutes the channels after the gates.
MORE_THAN_A_PRODUCT = {"scse", "shuffle"}


def outermost(module: nn.Module) -> list[AttentionWeights]:
    """Return the weights that are not inside of other weights."""
    found = []
    for child in module.children():
        found += [child] if isinstance(child, AttentionWeights) else outermost(child)
    return found


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_gates_stay_in_their_range(name: str, start: str) -> None:
    module = randomize(started(name, start))
    gates = [child for child in module.modules() if isinstance(child, Gate)]
    assert bool(gates) == (name not in WITHOUT_GATES)
    recorded: list[tuple[Tensor, Tensor]] = []

    def record(gate: nn.Module, _: object, weights: Tensor) -> None:
        recorded.append((tensor(gate, "range"), weights))

    for gate in gates:
        gate.register_forward_hook(record)
    module(features(6, 5))
    assert len(recorded) == len(gates)
    for range_, weights in recorded:
        assert range_[0] <= weights.min()
        assert weights.max() <= range_[1]
        assert weights.max() > weights.min()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_outermost_weights_multiply_the_features(name: str, layout: torch.memory_format) -> None:
    module = randomize(create(name, CHANNELS))
    weights = outermost(module)
    assert bool(weights) == (name not in WITHOUT_GATES)
    recorded: list[tuple[Tensor, Tensor]] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...], weights: Tensor) -> None:
        recorded.append((inputs[0], weights))

    for part in weights:
        part.register_forward_hook(record)
    x = features(6, 5).contiguous(memory_format=layout)
    y = module(x)
    assert len(recorded) == len(weights)
    product = x
    for inputs, weight in recorded:
        assert inputs.shape == x.shape
        assert torch.broadcast_shapes(weight.shape, x.shape) == x.shape
        product = product * weight
    if name not in MORE_THAN_A_PRODUCT | WITHOUT_GATES:
        torch.testing.assert_close(y, product)


def test_additive_terms_are_added(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    terms = [child for child in module.modules() if isinstance(child, AdditiveTerm)]
    assert bool(terms) == (name == "gc")
    x = features(6, 5)
    for term in terms:
        assert torch.equal(module(x), x + term(x))


def test_softmax_weights_are_positive_and_sum_to_one(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    modules = [child for child in module.modules() if isinstance(child, SoftmaxWeights)]
    assert bool(modules) == (name in ("gc", "sk"))
    for softmax in modules:
        weights = softmax(features(6, 5))
        axes = (1, 2, 3) if weights.ndim == 4 else (1,)
        assert weights.min() > 0
        assert weights.max() < 1
        torch.testing.assert_close(weights.sum(axes), torch.ones(()).expand(weights.sum(axes).shape))


@pytest.mark.parametrize("training", [True, False])
def test_identity_start_is_exact(name: str, training: bool, device: torch.device) -> None:
    module = started(name, "identity").to(device).train(training)
    for dtype in (torch.float32, torch.bfloat16):
        x = features(6, 5, device=device).to(dtype)
        assert torch.equal(module.to(dtype)(x), x)


def test_an_identity_start_receives_a_gradient(name: str) -> None:
    module = started(name, "identity")
    if not list(module.parameters()):
        pytest.skip("the module has no parameters")
    module(features(6, 5)).square().sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())
