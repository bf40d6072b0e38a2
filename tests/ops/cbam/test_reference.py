"""The reference against timm's module, finite differences, and gradients computed by hand."""

import pytest
import torch
from timm.layers.cbam import CbamModule

from attendet.ops.cbam import ChannelNet, SpatialNet, reference_cbam
from tests.helpers.random_cbam_nets import ORDERS, VARIANTS, converted, nets, parameters
from tests.helpers.typed_access import not_none, submodule, tensor


@pytest.mark.parametrize("training", [False, True])
def test_equals_timms_module(training: bool) -> None:
    theirs = CbamModule(64).train(training)
    channel, spatial = theirs.channel, theirs.spatial.conv
    span, norm = torch.tensor([0.0, 1.0]), submodule(spatial, "bn", torch.nn.BatchNorm2d)
    mean, variance = not_none(norm.running_mean), not_none(norm.running_var)
    torch.nn.init.normal_(mean)
    channel_net = ChannelNet(channel.fc1.weight.flatten(1), None, channel.fc2.weight.flatten(1), None, span)
    statistics = (mean.clone(), variance.clone())
    spatial_net = SpatialNet(
        tensor(spatial, "conv.weight"), norm.weight, norm.bias, *statistics, span, True, training, norm.eps
    )
    x = torch.randn(3, 64, 9, 7)
    expected = theirs(x)
    y, batch = reference_cbam(x, channel_net, spatial_net)
    torch.testing.assert_close(y, expected)
    assert (batch is not None) == training
    if batch is not None:
        assert batch.count == 3 * 9 * 7
        torch.testing.assert_close(0.9 * statistics[0] + 0.1 * batch.mean, norm.running_mean)
        unbiased = batch.var * batch.count / (batch.count - 1)
        torch.testing.assert_close(0.9 * statistics[1] + 0.1 * unbiased, norm.running_var)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("training", [False, True])
def test_gradients_equal_finite_differences(variant: str, order: str, training: bool) -> None:
    given = converted(nets(4, variant, order, training=training, kernel=3), torch.float64, learn=True)
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    inputs = (x, *parameters(given).values())
    assert torch.autograd.gradcheck(lambda x, *_: reference_cbam(x, *given)[0], inputs)


def test_a_shared_maximum_splits_its_gradient_evenly() -> None:
    # With all weights of the MLP equal to 1, the channel weight is σ(maximum + mean).
    channel = ChannelNet(torch.ones(1, 1), None, torch.ones(1, 1), None, torch.tensor([0.0, 1.0]))
    x = torch.tensor([[[[2.0, 2.0, 1.0, 2.0]]]], requires_grad=True)
    y, _ = reference_cbam(x, channel, None)
    y.sum().backward()
    weight = torch.sigmoid(torch.tensor(2.0 + 7 / 4))
    logit_gradient = 7 * weight * (1 - weight)
    expected = torch.tensor([weight + logit_gradient * (1 / 4 + part) for part in (1 / 3, 1 / 3, 0, 1 / 3)])
    assert x.grad is not None
    torch.testing.assert_close(x.grad.flatten(), expected)
