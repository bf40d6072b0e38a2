"""Formulas, orders, pools, and starts of CBAM, each against a literal transcription."""

import math
import warnings

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from attendet.attention import CBAM, ChannelAttention, SpatialAttention
from attendet.attention.cbam.fused import Implementation
from attendet.attention.cbam.gates import ChannelGate, SpatialGate, Variant
from attendet.attention.cbam.module import Order
from attendet.errors import AttendetError, AttendetWarning, OptionError, UnknownNameError


def literal_channel_weights(x: Tensor, gate: ChannelGate) -> Tensor:
    """Return the weights of equation 2, computed separately for every image and channel."""
    rows = []
    for image in x:
        total = torch.zeros(x.shape[1])
        for kind in gate.pool:
            pooled = []
            for plane in image:
                values = plane.flatten().tolist()
                pooled.append(
                    {
                        "avg": sum(values) / len(values),
                        "max": max(values),
                        "lp": math.sqrt(sum(value * value for value in values)),
                        "lse": math.log(sum(math.exp(value) for value in values)),
                    }[kind]
                )
            hidden = gate.fc1.weight @ torch.tensor(pooled)
            if gate.fc1.bias is not None:
                hidden = hidden + gate.fc1.bias
            logits = gate.fc2.weight @ hidden.clamp(min=0)
            total = total + logits + (0 if gate.fc2.bias is None else gate.fc2.bias)
        rows.append(1 / (1 + torch.exp(-total)))
    return torch.stack(rows)[:, :, None, None]


def literal_spatial_weights(x: Tensor, gate: SpatialGate) -> Tensor:
    """Return the weights of equation 3, computed separately for every position."""
    n, _, height, width = x.shape
    kernel = gate.conv.weight[0]
    reach = kernel.shape[-1] // 2
    weights = torch.zeros(n, 1, height, width)
    for image in range(n):
        planes = [x[image].max(0).values if kind == "max" else x[image].sum(0) / x.shape[1] for kind in gate.planes]
        for row in range(height):
            for column in range(width):
                total = torch.zeros(1) if gate.conv.bias is None else gate.conv.bias
                for plane, taps in zip(planes, kernel, strict=True):
                    for dy in range(-reach, reach + 1):
                        for dx in range(-reach, reach + 1):
                            if 0 <= row + dy < height and 0 <= column + dx < width:
                                total = total + taps[dy + reach, dx + reach] * plane[row + dy, column + dx]
                weights[image, 0, row, column] = 1 / (1 + torch.exp(-total[0]))
    return weights


def features(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + sum(shape)))


@torch.no_grad()
@pytest.mark.parametrize("pool", ["avg", "max", "both", "lp", "lse", ["avg", "max", "lp", "lse"]])
@pytest.mark.parametrize("variant", ["plain", "biased", "authors"])
def test_channel_weights_are_equation_2(pool: str | list[str], variant: Variant) -> None:
    attention = ChannelAttention(8, reduction=2, variant=variant, pool=pool)
    x = features(2, 8, 3, 5)
    torch.testing.assert_close(attention(x), x * literal_channel_weights(x, attention.gate))


@torch.no_grad()
@pytest.mark.parametrize("kernel_size", [1, 3, 5, 7, 9])
@pytest.mark.parametrize("planes", [None, "avg", "max", "both", ["max", "avg"]])
@pytest.mark.parametrize("variant", ["plain", "biased"])
def test_spatial_weights_are_equation_3(kernel_size: int, planes: str | list[str] | None, variant: Variant) -> None:
    attention = SpatialAttention(kernel_size, variant=variant, planes=planes)
    x = features(2, 4, 5, 3)
    torch.testing.assert_close(attention(x), x * literal_spatial_weights(x, attention.gate))


@torch.no_grad()
def test_plain_is_the_papers_formulas_with_the_papers_order_of_planes() -> None:
    """Equation 3 concatenates [AvgPool(F); MaxPool(F)], written here without our layers or pools."""
    module, x = CBAM(32, 4), features(2, 32, 9, 6)
    torch.nn.init.normal_(module.spatial.conv.weight, std=0.3)
    w0, w1, taps = module.channel.fc1.weight, module.channel.fc2.weight, module.spatial.conv.weight[0]
    hidden = [(pool @ w0.T).clamp(min=0) @ w1.T for pool in (x.flatten(2).mean(2), x.flatten(2).max(2).values)]
    gated = x * torch.sigmoid(hidden[0] + hidden[1])[:, :, None, None]
    of_mean, of_max = (
        functional.conv2d(plane[:, None], tap[None, None], padding=3)
        for plane, tap in zip((gated.mean(1), gated.max(1).values), taps, strict=True)
    )
    torch.testing.assert_close(module(x), gated * torch.sigmoid(of_mean + of_max))


@torch.no_grad()
@pytest.mark.parametrize("implementation", ["reference", "auto"])
def test_swapped_planes_with_swapped_weights_are_the_same_function(implementation: Implementation) -> None:
    ours, swapped, x = CBAM(32, 4), CBAM(32, 4, planes=("max", "avg")), features(2, 32, 9, 6)
    ours.implementation = swapped.implementation = implementation
    torch.nn.init.normal_(ours.spatial.conv.weight, std=0.3)
    state = ours.state_dict()
    swapped.load_state_dict(state | {"spatial.conv.weight": state["spatial.conv.weight"].flip(1)})
    torch.testing.assert_close(swapped(x), ours(x))
    swapped.load_state_dict(state)
    assert (swapped(x) - ours(x)).abs().max() > 0.01


@torch.no_grad()
def test_the_lp_pool_equals_the_one_in_the_authors_code() -> None:
    attention = ChannelAttention(8, reduction=2, pool="lp")
    x = features(2, 8, 4, 4)
    pooled = functional.lp_pool2d(x, 2, (4, 4)).flatten(1)
    weights = torch.sigmoid(attention.gate.fc2(attention.gate.fc1(pooled).relu()))
    torch.testing.assert_close(attention(x), x * weights[:, :, None, None])


@torch.no_grad()
def test_orders_of_the_papers_ablation() -> None:
    x = features(2, 8, 4, 6)
    modules: dict[Order, CBAM] = {}
    for order in ("channel-first", "spatial-first", "parallel", "channel-only", "spatial-only"):
        torch.manual_seed(0)
        modules[order] = CBAM(8, 2, 3, order=order)
        modules[order].load_state_dict(modules["channel-first"].state_dict(), strict=False)
    full = modules["channel-first"]

    def channel(features: Tensor) -> Tensor:
        return literal_channel_weights(features, full.channel)

    def spatial(features: Tensor) -> Tensor:
        return literal_spatial_weights(features, full.spatial)

    by_channel, by_position = x * channel(x), x * spatial(x)
    torch.testing.assert_close(modules["channel-first"](x), by_channel * spatial(by_channel))
    torch.testing.assert_close(modules["spatial-first"](x), by_position * channel(by_position))
    torch.testing.assert_close(modules["parallel"](x), x * channel(x) * spatial(x))
    torch.testing.assert_close(modules["channel-only"](x), by_channel)
    torch.testing.assert_close(modules["spatial-only"](x), by_position)
    assert [name for name, _ in modules["channel-only"].named_children()] == ["channel"]
    assert [name for name, _ in modules["spatial-only"].named_children()] == ["spatial"]


@pytest.mark.parametrize(("variant", "parameters"), [("authors", 680), ("biased", 679), ("plain", 610), ("timm", 612)])
def test_parameters_of_the_table(variant: Variant, parameters: int) -> None:
    assert sum(parameter.numel() for parameter in CBAM(64, 16, 7, variant).parameters()) == parameters


@pytest.mark.parametrize("variant", ["plain", "biased", "authors", "timm"])
def test_variants_differ_as_in_the_table(variant: Variant) -> None:
    module = CBAM(64, variant=variant)
    assert (module.channel.fc1.bias is not None) == (variant in ("authors", "biased"))
    assert (module.spatial.conv.bias is not None) == (variant == "biased")
    momentum = {"plain": None, "biased": None, "authors": 0.01, "timm": 0.1}[variant]
    assert getattr(module.spatial.norm, "momentum", None) == momentum
    assert module.spatial.planes == (("max", "avg") if variant == "authors" else ("avg", "max"))


@pytest.mark.parametrize("variant", ["plain", "biased", "authors", "timm"])
@pytest.mark.parametrize("training", [False, True])
def test_identity_start_is_the_identity_and_learns(variant: Variant, training: bool) -> None:
    module = CBAM(64, variant=variant, start="identity").train(training)
    x = features(4, 64, 7, 5)
    assert torch.equal(module(x), x)

    before = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    target = x * torch.linspace(0, 2, 64)[:, None, None]
    losses = []
    for _ in range(60):
        loss = functional.mse_loss(module(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    for name, parameter in module.named_parameters():
        assert not torch.equal(parameter, before[name]), name


def test_the_state_dict_contains_the_start() -> None:
    trained = CBAM(64, start="identity")
    torch.nn.init.normal_(trained.channel.fc2.weight)
    fresh = CBAM(64, start="paper")
    fresh.load_state_dict(trained.state_dict())
    x = features(2, 64, 5, 5)
    assert torch.equal(fresh(x), trained(x))


def test_loading_weights_without_attention_keeps_its_start() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 1), CBAM(64, start="identity"))
    convolution = {key: value for key, value in model.state_dict().items() if key.startswith("0.")}
    model.load_state_dict(convolution, strict=False)
    x = features(1, 64, 4, 4)
    assert torch.equal(model[1](x), x)


def test_loading_a_part_of_a_gate_keeps_its_start() -> None:
    module = CBAM(64, start="identity")
    module.load_state_dict({"channel.fc1.weight": torch.randn(4, 64)}, strict=False)
    x = features(1, 64, 4, 4)
    assert torch.equal(module(x), x)


def test_gates_are_modules_whose_outputs_multiply_the_features() -> None:
    module = CBAM(64)
    recorded: list[Tensor] = []

    def keep(_: torch.nn.Module, __: object, weights: Tensor) -> None:
        recorded.append(weights)

    for gate in (module.channel, module.spatial):
        gate.register_forward_hook(keep)
    x = features(2, 64, 6, 4)
    y = module(x)
    assert [tuple(weights.shape) for weights in recorded] == [(2, 64, 1, 1), (2, 1, 6, 4)]
    assert torch.equal(y, x * recorded[0] * recorded[1])


def test_invalid_hidden_widths() -> None:
    with pytest.raises(
        OptionError, match="`reduction` must leave at least 1 of 8 channels, got 16; use a reduction of 2 or less"
    ):
        CBAM(8, 16)
    with pytest.warns(
        AttendetWarning, match="leaves 2 of 32 channels in the hidden layer, too few.*; use a reduction of 8 or less"
    ):
        CBAM(32, 16)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CBAM(32, 8)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"kernel_size": 4}, OptionError, "`kernel_size` must be odd and positive, got 4; use 3, 5, or 7"),
        ({"kernel_size": -3}, OptionError, "must be odd and positive, got -3"),
        ({"variant": "author"}, UnknownNameError, "did you mean 'authors'"),
        ({"order": "channel_first"}, UnknownNameError, "did you mean 'channel-first'"),
        ({"start": "zero"}, OptionError, "`start` must be 'paper' or 'identity', got 'zero'"),
        ({"pool": "mean"}, OptionError, "pools must be 'both', or one or more of avg, max, lp, lse, got 'mean'"),
        ({"pool": []}, OptionError, r"pools must be .*, got \[\]"),
        ({"reduction": 0}, OptionError, "`reduction` must be a positive number, got 0"),
        ({"reduction": "16"}, OptionError, "`reduction` must be a positive number, got '16'"),
        ({"reduction": float("nan")}, OptionError, "`reduction` must be a positive number, got nan"),
        ({"kernel_size": (7, 7)}, OptionError, r"must be odd and positive, got \(7, 7\)"),
        ({"variant": None}, UnknownNameError, "known are authors, biased, plain, timm"),
    ],
)
def test_invalid_options(options: dict[str, object], error: type[AttendetError], message: str) -> None:
    with pytest.raises(error, match=message):
        CBAM(64, **options)  # pyright: ignore[reportArgumentType]
