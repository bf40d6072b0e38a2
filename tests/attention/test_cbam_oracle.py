"""CBAM against numbers that the authors' own module gave."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.attention import CBAM
from tests.attention.authors import NAMES, OUR_KEYS
from tests.conftest import oracle_weights, relative_difference


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_every_gradient_equal_the_authors(oracles: Path, name: str, device: torch.device) -> None:
    settings = json.loads((oracles / f"{name}.json").read_text())
    numbers = {key: torch.from_numpy(value).to(device) for key, value in np.load(oracles / f"{name}.npz").items()}
    module = CBAM(settings["channels"], settings["reduction"], variant="authors")
    shapes = {key: torch.zeros(shape) for key, shape in settings["state_dict"].items()}
    module.load_state_dict(oracle_weights(shapes, "bn.weight"))
    module.train(settings["train_mode"]).to(device)
    gated: list[torch.Tensor] = []
    module.channel.register_forward_hook(lambda _module, inputs, weights: gated.append(inputs[0] * weights))
    x = numbers["x"].requires_grad_()

    y = module(x)
    y.backward(numbers["upstream"])

    assert relative_difference(gated[0], numbers["after_channel_gate"]) < 1e-5
    assert relative_difference(y, numbers["y"]) < 1e-5
    assert x.grad is not None
    assert relative_difference(x.grad, numbers["grad_x"]) < 1e-5
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    expected = {key.removeprefix("grad."): value for key, value in numbers.items() if key.startswith("grad.")}
    assert len(expected) == len(gradients) == 7
    for key, value in expected.items():
        layer, _, kind = key.rpartition(".")
        gradient = gradients[f"{OUR_KEYS[layer]}.{kind}"]
        assert gradient is not None
        assert relative_difference(gradient, value) < 1e-5, key


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
