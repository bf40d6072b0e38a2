"""The operators as torch wants them."""

import pytest
import torch

from attendet.ops.cbam import fused_cbam, obstacle
from attendet.ops.cbam.operators import NO_CHANNEL, NO_SPATIAL
from tests.ops.cbam_nets import ORDERS, converted, nets

pytestmark = pytest.mark.skipif(
    obstacle(torch.ones(1, 1, 1, 1)) is not None, reason="there is no compiler for the fused operators"
)


# opcheck itself uses what torch deprecates, and looks at gradients that are not kept.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("training", [False, True])
def test_opcheck(layout: torch.memory_format, order: str, training: bool) -> None:
    channel, spatial = converted(nets(6, "authors", order, training=training, kernel=3), learn=True)
    x = torch.randn(2, 6, 5, 7).to(memory_format=layout).requires_grad_()
    of_spatial = list(NO_SPATIAL if spatial is None else vars(spatial).values())
    if training:
        of_spatial[3:5] = None, None
    arguments = (x, *(NO_CHANNEL if channel is None else vars(channel).values()), *of_spatial)
    torch.library.opcheck(torch.ops.attendet.cbam.default, arguments)


def test_what_is_kept_for_the_backward_pass_is_the_features_and_little_else() -> None:
    x = torch.randn(2, 64, 20, 20, requires_grad=True)
    given = converted(nets(64, "authors"), learn=True)
    kept = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        fused_cbam(x, *given)
    assert kept.pop(x.data_ptr()) == x.numel()
    of_nets = sum(value.numel() for net in given for value in vars(net).values() if isinstance(value, torch.Tensor))
    # Two pools and the logits of channels; two planes and their logits; mean and variance.
    assert sum(kept.values()) <= of_nets + 2 * (3 * 64 + 3 * 400) + 2
