"""Networks of torchvision and timm: attention is placed, starts as the identity, learns, and is removed."""

from __future__ import annotations

import copy
from functools import cache

import pytest
import torch
from torch import nn

from attendet.surgery import attach, attached, disabled
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.third_party_networks import NETWORKS, Network, equal, randomize, run, vary_norms

pytestmark = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


@cache
def built(network: Network) -> nn.Module:
    model = network.make().train(False)
    vary_norms(model)
    return model


def copied(network: Network) -> nn.Module:
    """Return a new network: a copy, because building takes longer."""
    return copy.deepcopy(built(network))


def test_attaching_changes_no_output_and_detaching_restores_the_network(network: Network) -> None:
    model, example = copied(network), network.example()
    snapshot, before = ModuleSnapshot(model), run(model, *example)
    attachment = attach(model, "cbam", "residual-branch", reduction=4, example=example)
    stages = attach(model, "cbam", "stage", reduction=4, example=example)
    assert len(attachment.sites) == network.branches
    assert min(site.channels for site in attachment.sites) == network.least
    assert tuple(site.path for site in stages.sites) == network.stages
    assert equal(run(model, *example), before)
    kept = {key: value for key, value in model.state_dict().items() if ".attention" not in key}
    assert list(kept) == [key for key, _ in snapshot.state]
    randomize(model)
    assert not equal(run(model, *example), before)
    with disabled(model):
        assert equal(run(model, *example), before)
    attachment.detach()
    stages.detach()
    assert snapshot.matches(model)
    assert equal(run(model, *example), before)
    assert attached(model) == ()


def test_learns(network: Network) -> None:
    """One training step with a loss of the network changes every attention module."""
    model = copied(network)
    attachment = attach(model, "cbam", "residual-branch", reduction=4, example=network.example())
    model.train()
    before = [parameter.detach().clone() for parameter in last_layers(attachment.modules())]
    optimizer = torch.optim.SGD([p for m in attachment.modules().values() for p in m.parameters()], lr=1.0)
    loss_of(model, network).backward()
    assert all(p.grad is not None for m in attachment.modules().values() for p in m.parameters())
    optimizer.step()
    after = last_layers(attachment.modules())
    assert all(not torch.equal(new, old) for new, old in zip(after, before, strict=True))


def last_layers(modules: dict[str, nn.Module]) -> list[torch.Tensor]:
    """Return the weights that are zero at an identity start; only they have a gradient in the first step."""
    names = ("channel.fc2.weight", "spatial.conv.weight")
    return [module.get_parameter(name) for module in modules.values() for name in names]


def loss_of(model: nn.Module, network: Network) -> torch.Tensor:
    (images,) = network.example()
    if network.detects:
        targets = [{"boxes": torch.tensor([[4.0, 4.0, 40.0, 40.0]]), "labels": torch.tensor([1])} for _ in images]
        return torch.stack(list(model(images, targets).values())).sum()
    output = model(images)
    output = output["out"] if isinstance(output, dict) else output
    return (output * torch.linspace(-1, 1, output.shape[1]).view(1, -1, *[1] * (output.ndim - 2))).square().sum()


def test_starts_as_the_identity_in_channels_last(network: Network) -> None:
    """Also in bfloat16, except for detectors of torchvision, whose anchors and boxes must have the same type."""
    dtype = torch.float32 if network.detects else torch.bfloat16
    model, example = copied(network).to(dtype), network.example()
    model = model.to(memory_format=torch.channels_last)
    if not network.detects:
        example = (example[0].to(dtype=dtype, memory_format=torch.channels_last),)
    before = run(model, *example)
    attachment = attach(model, "cbam", "residual-branch", reduction=4, example=example)
    assert equal(run(model, *example), before)
    assert {p.dtype for m in attachment.modules().values() for p in m.parameters()} == {dtype}
