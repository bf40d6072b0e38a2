"""CBAM against numbers that the authors' own module gave."""

import json
from pathlib import Path

import pytest
import torch

from attendet.attention import CBAM
from tests.helpers.cbam_oracles import NAMES, assert_equal_to_the_authors, published
from tests.helpers.oracles import oracle_weights, relative_difference


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_every_gradient_equal_the_authors(oracles: Path, name: str, device: torch.device) -> None:
    module, numbers = published(oracles, name, device)
    gated: list[torch.Tensor] = []
    module.channel.register_forward_hook(lambda _module, inputs, weights: gated.append(inputs[0] * weights))
    assert_equal_to_the_authors(module, numbers)
    assert relative_difference(gated[0], numbers["after_channel_gate"]) < 1e-5


def test_the_authors_keys_load_inside_a_larger_model(oracles: Path) -> None:
    settings = json.loads((oracles / "cbam_eval_c64_r16.json").read_text())
    weights = oracle_weights({key: torch.zeros(shape) for key, shape in settings["state_dict"].items()}, "bn.weight")
    model = torch.nn.Sequential(torch.nn.Identity(), CBAM(64, variant="authors", start="identity"))
    model.load_state_dict({f"1.{key}": value for key, value in weights.items()})
    alone = CBAM(64, variant="authors")
    alone.load_state_dict(weights)
    x = torch.rand(1, 64, 9, 7)
    assert torch.equal(model.train(False)(x), alone.train(False)(x))
    assert not torch.equal(alone(x), x)
