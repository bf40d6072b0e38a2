"""Averaged weights against their formula in numpy."""

import copy

import numpy as np
import torch
from torch import nn

from attendet.training.weight_average import AveragedWeights
from tests.helpers.typed_access import tensor


def test_average_over_many_steps() -> None:
    generator = np.random.default_rng(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    averaged = AveragedWeights(model, decay=0.99, ramp=5)
    names = ("0.weight", "1.running_mean", "1.bias")
    expected = {name: model.state_dict()[name].numpy().astype(np.float64) for name in names}
    for step in range(1, 21):
        for name in names:
            fresh = generator.standard_normal(expected[name].shape).astype(np.float32)
            model.state_dict()[name].copy_(torch.from_numpy(fresh))
            decay = 0.99 * (1 - np.exp(-step / 5))
            expected[name] = decay * expected[name] + (1 - decay) * fresh
        tensor(model, "1.num_batches_tracked").add_(1)
        averaged.update(model)
    for name in names:
        np.testing.assert_allclose(averaged.model.state_dict()[name].numpy(), expected[name], rtol=1e-5, atol=1e-6)
    # The batch counter is copied, not averaged.
    assert tensor(averaged.model, "1.num_batches_tracked").item() == 20


def test_the_average_does_not_share_memory_with_the_network() -> None:
    model = nn.Linear(2, 2)
    averaged = AveragedWeights(model, decay=0.9, ramp=10)
    before = copy.deepcopy(averaged.model.state_dict())
    with torch.no_grad():
        model.weight += 1
    assert torch.equal(tensor(averaged.model, "weight"), before["weight"])
    assert not any(parameter.requires_grad for parameter in averaged.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_the_number_of_steps_survives_a_checkpoint() -> None:
    model = nn.Linear(1, 1)
    averaged = AveragedWeights(model, decay=0.9, ramp=3)
    for _ in range(4):
        averaged.update(model)
    again = AveragedWeights(model, decay=0.9, ramp=3)
    again.load_state_dict(averaged.state_dict())
    with torch.no_grad():
        model.weight += 1
    averaged.update(model)
    again.update(model)
    assert again.steps.item() == 5
    assert torch.equal(tensor(again.model, "weight"), tensor(averaged.model, "weight"))
