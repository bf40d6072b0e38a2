"""Defects of widely copied CBAM tutorials, and tests that attendet does not have them.

The eighth defect, a gain reported from one run with and one run without attention, does not concern modules.
"""

from pathlib import Path

import pytest
import torch

import attendet
from attendet.attention import CBAM, ChannelAttention, Gate, SpatialAttention
from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file
from attendet.models.planning import plan_model
from attendet.models.readings import attention_readings

X = torch.rand(2, 64, 8, 8, generator=torch.Generator().manual_seed(0)) + 0.5


def test_1_the_output_are_features_instead_of_squared_weights() -> None:
    attention = ChannelAttention(64)
    weights = attention.gate(X)
    assert not torch.allclose(attention(X), (weights * weights).expand_as(X))
    torch.testing.assert_close(attention(X) / weights, X)


@pytest.mark.parametrize("attention", [ChannelAttention(64), SpatialAttention(), CBAM(64)])
def test_2_features_are_multiplied_once(attention: torch.nn.Module) -> None:
    gates: list[torch.Tensor] = []

    def keep(_: torch.nn.Module, __: object, weights: torch.Tensor) -> None:
        gates.append(weights)

    hooks = [module.register_forward_hook(keep) for module in attention.modules() if isinstance(module, Gate)]
    y = attention(X)
    for hook in hooks:
        hook.remove()
    product = torch.ones_like(X)
    for weights in gates:
        product = product * weights
    # The quotient of the output and all gates equals the features, to the first power.
    torch.testing.assert_close(y / product, X)


def test_3_the_channel_mlp_runs_on_two_dimensional_input() -> None:
    hidden = ChannelAttention(64).gate.fc1(X.mean((2, 3)))
    assert hidden.shape == (2, 4)


def test_4_weights_multiply_and_are_not_added() -> None:
    attention = CBAM(64, order="channel-only")
    assert torch.count_nonzero(attention(torch.zeros_like(X))) == 0


def test_5_the_reduction_is_reported() -> None:
    assert "reduction 16, kernel_size 7" in attention_readings(plan_model("yolov5s_CBAM"))[0].description
    assert all("reduction 16" in reading.description for reading in attention_readings(plan_model("yolov5s_CBAM-C3")))


@pytest.mark.parametrize("name", ["yolov5n_CBAM", "yolov5n_CBAM-C3"])
def test_6_every_parameter_has_a_gradient_after_the_insertion(name: str) -> None:
    assert check_model_file(name) == []
    torch.manual_seed(0)
    detector = attendet.build(name, num_classes=2)
    torch.stack([level.square().mean() for level in detector(torch.rand(2, 3, 64, 64))]).sum().backward()
    for key, parameter in detector.named_parameters():
        assert parameter.grad is not None, key
        assert torch.count_nonzero(parameter.grad) > 0, key


def test_6_an_inserted_row_only_shifts_keys() -> None:
    torch.manual_seed(0)
    base = attendet.build("yolov5n", num_classes=2).train(False)
    attentive = attendet.build("yolov5n_CBAM", num_classes=2, start="identity").train(False)
    moved = {}
    for key, value in base.state_dict().items():
        _, row, rest = key.split(".", 2)
        moved[f"model.{int(row) + (int(row) >= 9)}.{rest}"] = value
    missing, unexpected = attentive.load_state_dict(moved, strict=False)
    assert unexpected == []
    assert all(key.startswith("model.9.") for key in missing)
    x = torch.rand(1, 3, 64, 96)
    for raw, expected in zip(attentive(x), base(x), strict=True):
        assert torch.equal(raw, expected)


@pytest.mark.parametrize(
    ("row", "dialect"), [("[1024, 16, 7]", "auto"), ("[1024]", "width-list"), ("[512, 7]", "unscaled")]
)
def test_7_the_module_has_the_channels_of_its_input(row: str, dialect: str, tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(bundled_text("yolov5s_CBAM").replace("[1024, 16, 7]", row))
    detector = attendet.build(file, dialect=dialect)
    attention = detector.model[9]
    assert isinstance(attention, CBAM)
    assert attention.channel.fc1.weight.shape == (32, 512)
    assert "512 channels (declared: 512)" in attention_readings(plan_model(file, dialect=dialect))[0].description
