"""Gates, weights, additive terms, and softmax weights of every attention module fulfill their base class."""

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import AdditiveTerm, AttentionWeights, Gate, SoftmaxWeights, create
from tests.attention.contract_cases import CHANNELS, features, randomize, started
from tests.helpers.typed_access import tensor

# gc adds a term and sk mixes branches, by softmax weights; these two controls are there because they do not gate.
WITHOUT_GATES = {"gc", "sk", "control-conv1x1", "control-identity"}


# The sum of two gated maps, and a shuffle of channels behind the gates.
MORE_THAN_A_PRODUCT = {"scse", "shuffle"}


def outermost(module: nn.Module) -> list[AttentionWeights]:
    """Return the weights that are not part of others."""
    found = []
    for child in module.children():
        found += [child] if isinstance(child, AttentionWeights) else outermost(child)
    return found


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_gates_stay_in_their_range(name: str, start: str) -> None:
    module = randomize(started(name, start))
    gates = [child for child in module.modules() if isinstance(child, Gate)]
    assert bool(gates) == (name not in WITHOUT_GATES)
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(gate: nn.Module, _: object, weights: Tensor) -> None:
        seen.append((tensor(gate, "range"), weights))

    for gate in gates:
        gate.register_forward_hook(keep)
    module(features(6, 5))
    assert len(seen) == len(gates)
    for span, weights in seen:
        assert span[0] <= weights.min()
        assert weights.max() <= span[1]
        assert weights.max() > weights.min()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_outermost_weights_are_what_features_are_multiplied_by(name: str, layout: torch.memory_format) -> None:
    module = randomize(create(name, CHANNELS))
    weights = outermost(module)
    assert bool(weights) == (name not in WITHOUT_GATES)
    seen: list[tuple[Tensor, Tensor]] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...], weights: Tensor) -> None:
        seen.append((inputs[0], weights))

    for part in weights:
        part.register_forward_hook(keep)
    x = features(6, 5).contiguous(memory_format=layout)
    y = module(x)
    assert len(seen) == len(weights)
    product = x
    for inputs, weights_seen in seen:
        assert inputs.shape == x.shape
        assert torch.broadcast_shapes(weights_seen.shape, x.shape) == x.shape
        product = product * weights_seen
    if name not in MORE_THAN_A_PRODUCT | WITHOUT_GATES:
        torch.testing.assert_close(y, product)


def test_addends_are_what_is_added(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    addends = [child for child in module.modules() if isinstance(child, AdditiveTerm)]
    assert bool(addends) == (name == "gc")
    x = features(6, 5)
    for addend in addends:
        assert torch.equal(module(x), x + addend(x))


def test_shares_are_positive_and_of_sum_one(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    shares = [child for child in module.modules() if isinstance(child, SoftmaxWeights)]
    assert bool(shares) == (name in ("gc", "sk"))
    for share in shares:
        given = share(features(6, 5))
        chosen_among = (1, 2, 3) if given.ndim == 4 else (1,)
        assert given.min() > 0
        assert given.max() < 1
        torch.testing.assert_close(given.sum(chosen_among), torch.ones(()).expand(given.sum(chosen_among).shape))


@pytest.mark.parametrize("training", [True, False])
def test_identity_start_is_exact(name: str, training: bool, device: torch.device) -> None:
    module = started(name, "identity").to(device).train(training)
    for dtype in (torch.float32, torch.bfloat16):
        x = features(6, 5, device=device).to(dtype)
        assert torch.equal(module.to(dtype)(x), x)


def test_identity_start_learns_with_its_first_step(name: str) -> None:
    module = started(name, "identity")
    if not list(module.parameters()):
        pytest.skip("there is nothing to learn")
    module(features(6, 5)).square().sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())
