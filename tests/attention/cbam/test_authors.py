"""CBAM against the results of the module of the paper's authors."""

from collections.abc import Callable

import pytest
import torch

from attendet.attention import CBAM
from tests.helpers.cbam_oracles import NAMES, assert_equal_to_the_authors, cbam_of_the_authors
from tests.helpers.oracles import Oracle, oracle_weights


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_every_gradient_equal_the_authors(
    oracle: Callable[..., Oracle], name: str, device: torch.device
) -> None:
    expected = oracle(name, device)
    module = cbam_of_the_authors(expected, device)
    gated: list[torch.Tensor] = []
    module.channel.register_forward_hook(lambda _module, inputs, weights: gated.append(inputs[0] * weights))
    assert_equal_to_the_authors(module, expected)
    assert expected.difference("after_channel_gate", gated[0]) < 1e-5


def test_the_authors_keys_load_inside_a_larger_model(oracle: Callable[[str], Oracle]) -> None:
    shapes = oracle("cbam_eval_c64_r16").settings["state_dict"]
    weights = oracle_weights({key: torch.zeros(shape) for key, shape in shapes.items()}, "bn.weight")
    model = torch.nn.Sequential(torch.nn.Identity(), CBAM(64, variant="authors", start="identity"))
    model.load_state_dict({f"1.{key}": value for key, value in weights.items()})
    alone = CBAM(64, variant="authors")
    alone.load_state_dict(weights)
    x = torch.rand(1, 64, 9, 7)
    assert torch.equal(model.train(False)(x), alone.train(False)(x))
    assert not torch.equal(alone(x), x)
