"""Compare CBAM with the module of the paper's authors."""

import torch

from attendet.attention import CBAM
from tests.helpers.oracles import Oracle, oracle_weights

NAMES = ["cbam_eval_c32_r4", "cbam_eval_c64_r16", "cbam_train_c64_r16"]
OUR_KEYS = {
    "ChannelGate.mlp.1": "channel.fc1",
    "ChannelGate.mlp.3": "channel.fc2",
    "SpatialGate.spatial.conv": "spatial.conv",
    "SpatialGate.spatial.bn": "spatial.norm",
}


def cbam_of_the_authors(oracle: Oracle, device: torch.device) -> CBAM:
    """Return CBAM with the settings and weights of an oracle."""
    module = CBAM(oracle.settings["channels"], oracle.settings["reduction"], variant="authors")
    shapes = {key: torch.zeros(shape) for key, shape in oracle.settings["state_dict"].items()}
    module.load_state_dict(oracle_weights(shapes, "bn.weight"))
    return module.train(oracle.settings["train_mode"]).to(device)


def assert_equal_to_the_authors(module: CBAM, oracle: Oracle) -> None:
    """Run a module forward and backward, and compare the output and all gradients with an oracle."""
    x = oracle["x"].requires_grad_()
    y = module(x)
    y.backward(oracle["upstream"])
    assert oracle.difference("y", y) < 1e-5
    assert x.grad is not None
    assert oracle.difference("grad_x", x.grad) < 1e-5
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    keys = [key.removeprefix("grad.") for key in oracle.arrays if key.startswith("grad.")]
    assert len(keys) == len(gradients) == 7
    for key in keys:
        layer, _, kind = key.rpartition(".")
        gradient = gradients[f"{OUR_KEYS[layer]}.{kind}"]
        assert gradient is not None
        assert oracle.difference(f"grad.{key}", gradient) < 1e-5, key
