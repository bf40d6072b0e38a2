"""The operators fulfill torch's rules for custom operators."""

import re
from dataclasses import replace

import pytest
import torch

from attendet.errors import OptionError
from attendet.ops.cbam import fused_cbam
from attendet.ops.cbam.operators import NO_CHANNEL, NO_SPATIAL
from tests.helpers.random_cbam_nets import NEEDS_COMPILER, ORDERS, converted, nets

pytestmark = NEEDS_COMPILER


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


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"fc1_weight": torch.zeros(3, 5)}, "(3, 5) for fc1_weight; give (3, 6)"),
        ({"fc2_weight": torch.zeros(6, 4)}, "(6, 4) for fc2_weight; give (6, 3)"),
        ({"fc2_bias": torch.zeros(5)}, "(5,) for fc2_bias; give (6,)"),
        ({"range": torch.zeros(1)}, "(1,) for the range of channels; give (2,)"),
    ],
)
def test_gates_of_channels_that_do_not_fit_are_refused(change: dict[str, torch.Tensor], said: str) -> None:
    channel, _ = nets(6, "authors")
    assert channel is not None
    with pytest.raises(OptionError, match=re.escape(said)):
        fused_cbam(torch.rand(1, 6, 4, 4), replace(channel, **change), None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"conv_weight": torch.zeros(1, 2, 4, 4)}, "a kernel of 4; give an odd one"),
        ({"conv_weight": torch.zeros(1, 2, 5, 3)}, "(1, 2, 5, 3) for conv_weight; give (1, 2, 3, 3)"),
        ({"conv_weight": torch.zeros(1, 3, 3, 3)}, "(1, 3, 3, 3) for conv_weight; give (1, 2, 3, 3)"),
        ({"running_mean": None}, "nothing for running_mean; give (1,)"),
        ({"norm_bias": torch.zeros(2)}, "(2,) for norm_bias; give (1,)"),
    ],
)
def test_gates_of_positions_that_do_not_fit_are_refused(change: dict[str, torch.Tensor], said: str) -> None:
    _, spatial = nets(6, "authors", training=False)
    assert spatial is not None
    with pytest.raises(OptionError, match=re.escape(said)):
        fused_cbam(torch.rand(1, 6, 4, 4), None, replace(spatial, **change))
