"""Numbers of the CBAM module of the paper's authors, and the comparison with ours."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from attendet.attention import CBAM
from tests.helpers.oracles import oracle_weights, relative_difference

NAMES = ["cbam_eval_c32_r4", "cbam_eval_c64_r16", "cbam_train_c64_r16"]
OUR_KEYS = {
    "ChannelGate.mlp.1": "channel.fc1",
    "ChannelGate.mlp.3": "channel.fc2",
    "SpatialGate.spatial.conv": "spatial.conv",
    "SpatialGate.spatial.bn": "spatial.norm",
}


def published(oracles: Path, name: str, device: torch.device) -> tuple[CBAM, dict[str, Tensor]]:
    """Return CBAM as the authors ran theirs, with the same weights, and the numbers that they got."""
    settings = json.loads((oracles / f"{name}.json").read_text())
    numbers = {key: torch.from_numpy(value).to(device) for key, value in np.load(oracles / f"{name}.npz").items()}
    module = CBAM(settings["channels"], settings["reduction"], variant="authors")
    shapes = {key: torch.zeros(shape) for key, shape in settings["state_dict"].items()}
    module.load_state_dict(oracle_weights(shapes, "bn.weight"))
    return module.train(settings["train_mode"]).to(device), numbers


def assert_equal_to_the_authors(module: CBAM, numbers: dict[str, Tensor]) -> None:
    """Run a module forward and backward, and compare output and all gradients."""
    x = numbers["x"].requires_grad_()
    y = module(x)
    y.backward(numbers["upstream"])
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
