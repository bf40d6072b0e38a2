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


# opcheck itself uses deprecated functions, and reads gradients of non-leaf tensors.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("training", [False, True])
def test_opcheck(layout: torch.memory_format, order: str, training: bool) -> None:
    channel, spatial = converted(nets(6, "authors", order, training=training, kernel=3), learn=True)
    x = torch.randn(2, 6, 5, 7).to(memory_format=layout).requires_grad_()
    spatial_fields = list(NO_SPATIAL if spatial is None else vars(spatial).values())
    if training:
        spatial_fields[3:5] = None, None
    arguments = (x, *(NO_CHANNEL if channel is None else vars(channel).values()), *spatial_fields)
    torch.library.opcheck(torch.ops.attendet.cbam.default, arguments)


def test_the_features_are_the_only_large_tensor_that_is_saved() -> None:
    x = torch.randn(2, 64, 20, 20, requires_grad=True)
    given = converted(nets(64, "authors"), learn=True)
    saved = {}

    def record(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(record, lambda tensor: tensor):
        fused_cbam(x, *given)
    assert saved.pop(x.data_ptr()) == x.numel()
    net_size = sum(value.numel() for net in given for value in vars(net).values() if isinstance(value, torch.Tensor))
    # Two pools and the logits of the channels, two planes and their logits, and the mean and variance.
    assert sum(saved.values()) <= net_size + 2 * (3 * 64 + 3 * 400) + 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc1_weight": torch.zeros(3, 5)}, "`fc1_weight` of the fused CBAM must have the shape (3, 6), got (3, 5)"),
        ({"fc2_weight": torch.zeros(6, 4)}, "`fc2_weight` of the fused CBAM must have the shape (6, 3), got (6, 4)"),
        ({"fc2_bias": torch.zeros(5)}, "`fc2_bias` of the fused CBAM must have the shape (6,), got (5,)"),
        ({"range": torch.zeros(1)}, "`range` of the channel gate of the fused CBAM must have the shape (2,), got (1,)"),
    ],
)
def test_channel_gates_with_wrong_shapes_are_errors(change: dict[str, torch.Tensor], message: str) -> None:
    channel, _ = nets(6, "authors")
    assert channel is not None
    with pytest.raises(OptionError, match=re.escape(message)):
        fused_cbam(torch.rand(1, 6, 4, 4), replace(channel, **change), None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"conv_weight": torch.zeros(1, 2, 4, 4)}, "the kernel size of the fused CBAM must be odd, got 4"),
        (
            {"conv_weight": torch.zeros(1, 2, 5, 3)},
            "`conv_weight` of the fused CBAM must have the shape (1, 2, 3, 3), got (1, 2, 5, 3)",
        ),
        (
            {"conv_weight": torch.zeros(1, 3, 3, 3)},
            "`conv_weight` of the fused CBAM must have the shape (1, 2, 3, 3), got (1, 3, 3, 3)",
        ),
        ({"running_mean": None}, "`running_mean` of the fused CBAM must have the shape (1,), got None"),
        ({"norm_bias": torch.zeros(2)}, "`norm_bias` of the fused CBAM must have the shape (1,), got (2,)"),
    ],
)
def test_spatial_gates_with_wrong_shapes_are_errors(change: dict[str, torch.Tensor], message: str) -> None:
    _, spatial = nets(6, "authors", training=False)
    assert spatial is not None
    with pytest.raises(OptionError, match=re.escape(message)):
        fused_cbam(torch.rand(1, 6, 4, 4), None, replace(spatial, **change))
