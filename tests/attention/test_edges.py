"""Empty batches, single values in training, numpy integers, and the smallest numbers, for every registered module."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

import attendet
from attendet.attention import create
from attendet.errors import OptionError
from tests.attention.contract_cases import CHANNELS, FORMS, IDS, randomize, size_of

forms = pytest.mark.parametrize(("name", "options"), FORMS, ids=IDS)


def buffers(module: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.clone() for key, value in module.named_buffers()}


@forms
@pytest.mark.parametrize("training", [True, False])
def test_an_empty_batch_gives_an_empty_batch_and_changes_nothing(
    name: str, options: dict[str, Any], training: bool
) -> None:
    module = create(name, CHANNELS, **options).train(training)
    before = buffers(module)
    x = torch.rand(0, CHANNELS, *size_of(options, 6, 5, 3), requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert x.grad is not None
    assert x.grad.shape == x.shape
    for key, value in module.named_buffers():
        if not key.endswith("num_batches_tracked"):
            assert torch.equal(value, before[key]), key


@forms
def test_a_single_value_per_channel_trains(name: str, options: dict[str, Any]) -> None:
    module = randomize(create(name, CHANNELS, **options))
    x = torch.randn(1, CHANNELS, *size_of(options, 1, 1, 1), requires_grad=True)
    y = module(x)
    y.square().sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)
    assert bool(gradients) == bool(list(module.parameters()))
    for key, value in module.named_buffers():
        assert torch.isfinite(value).all(), key


@pytest.mark.parametrize(
    ("name", "options"), [("cbam", {"variant": "authors"}), ("cbam", {"variant": "timm"}), ("bam", {})]
)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_single_value_is_normalized_with_the_running_statistics(
    name: str, options: dict[str, Any], dims: int
) -> None:
    module = randomize(create(name, CHANNELS, dims=dims, **options))
    for _ in range(3):
        module(torch.randn(4, CHANNELS, *[5] * dims))
    before = buffers(module)
    x = torch.randn(1, CHANNELS, *[1] * dims)
    y = module(x)
    assert all(torch.equal(value, before[key]) for key, value in module.named_buffers())
    torch.testing.assert_close(y, module.train(False)(x))


def test_a_volume_network_with_bam_trains_with_one_volume_at_a_time() -> None:
    net = nn.Sequential(nn.Conv3d(1, 32, 3, padding=1), nn.InstanceNorm3d(32), nn.LeakyReLU(), nn.Conv3d(32, 2, 1))
    volume = torch.rand(1, 1, 6, 5, 7)
    attendet.attach(net, "bam", "2", example=volume, reduction=4)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    losses = []
    for _ in range(20):
        loss = (net.train()(volume) - volume).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    norm = net.get_submodule("2.attention.gate.channel.norm")
    assert torch.equal(norm.state_dict()["running_mean"], torch.zeros(8))
    assert torch.equal(norm.state_dict()["running_var"], torch.ones(8))
    assert torch.isfinite(net.train(False)(volume)).all()


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("bam", {"dilation": 2, "dims": 3}),
        ("cbam", {"reduction": 8, "kernel_size": 3, "dims": 1}),
        ("control-conv1x1", {"parameters": 200}),
        ("coordinate", {"reduction": 16, "min_width": 4}),
        ("eca", {"kernel_size": 5}),
        ("eca", {"gamma": 2, "beta": 1}),
        ("ema", {"groups": 8}),
        ("gam", {"reduction": 4, "groups": 2}),
        ("shuffle", {"groups": 8}),
        ("simam", {"regularizer": 1}),
        ("sk", {"branches": 3, "groups": 2, "min_width": 8}),
        ("sk", {"kernel_sizes": [1, 3], "groups": 1}),
        ("triplet", {"kernel_size": 3}),
    ],
)
def test_integers_of_numpy_are_integers_and_booleans_are_not(name: str, options: dict[str, Any]) -> None:
    for kind in (np.int64, np.int32, np.uint8):
        given = {
            key: [kind(v) for v in value] if isinstance(value, list) else kind(value) for key, value in options.items()
        }
        module, twin = create(name, int(kind(64)), **given), create(name, 64, **options)
        assert repr(create(name, cast("int", kind(64)), **given)) == repr(module) == repr(twin)
        assert not [
            value for part in module.modules() for value in vars(part).values() if isinstance(value, np.generic)
        ]
    for option in options:
        for boolean in (True, np.True_):
            with pytest.raises(OptionError, match=f"`({option}|kernel_sizes)` must"):
                create(name, 64, **options | {option: boolean})
    for boolean in (True, np.True_):
        with pytest.raises(OptionError, match="`channels` must be a positive integer, got"):
            create(name, boolean)  # pyright: ignore[reportArgumentType]


@forms
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scale", [1e3, 1e-39, 1e-45])
def test_an_identity_start_is_exact_for_the_smallest_numbers(
    name: str, options: dict[str, Any], training: bool, scale: float
) -> None:
    if options.get("start") != "identity":
        pytest.skip("only the start `identity` promises this")
    module = create(name, CHANNELS, **options).train(training)
    x = torch.randint(-3, 4, (2, CHANNELS, *size_of(options, 6, 5, 3))) * torch.tensor(scale)
    assert torch.equal(module(x), x)


@pytest.mark.parametrize("like", ["scse", "se", "cbam", "triplet"])
@pytest.mark.parametrize("start", ["paper", "identity"])
def test_the_noise_control_changes_nothing_in_evaluation_before_training(like: str, start: str) -> None:
    control = create("control-noise-gate", CHANNELS, like=like, start=start).train(False)
    x = torch.randn(2, CHANNELS, 6, 5)
    assert torch.equal(control(x), x)
