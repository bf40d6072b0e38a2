"""The fused CPU operators against the reference, on difficult shapes."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from attendet.ops.cbam import ChannelNet, SpatialNet, fused_cbam, reference_cbam
from tests.helpers.oracles import relative_difference
from tests.helpers.random_cbam_nets import NEEDS_COMPILER, ORDERS, VARIANTS, Nets, converted, nets, parameters

pytestmark = NEEDS_COMPILER

# The operators add in float32 and in another order than the float64 reference. The largest sums have 4e5 terms and lose
# three digits.
TOLERANCE = 3e-5

SHAPES = [
    (1, 1, 1, 1),  # nothing to reduce
    (2, 16, 1, 1),
    (2, 5, 1, 7),  # shorter than a vector in both layouts
    (3, 17, 5, 3),  # one more than a vector
    (1, 33, 31, 33),  # one more than several vectors
    (2, 129, 20, 20),  # several tiles of rows, and a remaining row
    (1, 4, 67, 131),  # several tiles along a row, and remaining elements
    (2, 3, 200, 173),
    (1, 2100, 5, 9),  # channels-last: two tiles along a row
]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture(autouse=True)
def nan_in_new_memory() -> Iterator[None]:
    """Let torch fill new memory with NaN, which shows elements that were not written."""
    torch.use_deterministic_algorithms(mode=True)
    yield
    torch.use_deterministic_algorithms(mode=False)


def both(channels: int, variant: str = "plain") -> tuple[ChannelNet, SpatialNet]:
    channel, spatial = nets(channels, variant)
    assert channel is not None
    assert spatial is not None
    return channel, spatial


def results(compute, x: Tensor, given: Nets, upstream: Tensor) -> dict[str, Tensor]:
    """Return the output and all gradients by name."""
    x = x.detach().requires_grad_()
    y, statistics = compute(x, *given)
    learned = parameters(given)
    gradients = torch.autograd.grad(y, [x, *learned.values()], upstream)
    found = {"y": y.detach(), **dict(zip(["x", *learned], gradients, strict=True))}
    return found if statistics is None else {**found, "mean": statistics.mean, "var": statistics.var}


def expected_results(x: Tensor, given: Nets, upstream: Tensor) -> dict[str, Tensor]:
    """Return the result of the reference in float64."""
    return results(reference_cbam, x.double(), converted(given, torch.float64, learn=True), upstream.double())


def compare(x: Tensor, given: Nets, upstream: Tensor, tolerance: float = TOLERANCE) -> dict[str, Tensor]:
    actual, expected = (
        results(fused_cbam, x, converted(given, learn=True), upstream),
        expected_results(x, given, upstream),
    )
    assert actual.keys() == expected.keys()
    for name, value in expected.items():
        assert relative_difference(actual[name].double(), value) < tolerance, name
    return actual


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ORDERS)
def test_shapes(shape: tuple[int, ...], layout: torch.memory_format, order: str) -> None:
    x = torch.randn(shape).to(memory_format=layout)
    actual = compare(x, nets(shape[1], "plain", order), torch.randn(shape))
    assert actual["y"].is_contiguous(memory_format=layout)
    assert actual["x"].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_output_memory_without_pages(layout: torch.memory_format) -> None:
    # Filling new memory with NaN would map its pages.
    torch.use_deterministic_algorithms(mode=False)
    x = torch.randn(1, 20, 301, 203).to(memory_format=layout)
    compare(x, nets(20, "plain", "channel"), torch.randn_like(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("training", [False, True])
def test_variants(layout: torch.memory_format, variant: str, order: str, training: bool) -> None:
    x = torch.randn(3, 24, 9, 14).to(memory_format=layout)
    compare(x, nets(24, variant, order, training=training), torch.randn_like(x))


@pytest.mark.parametrize("kernel", [1, 3, 5, 11])
def test_kernels(kernel: int) -> None:
    x = torch.randn(2, 8, 6, 21)
    compare(x, nets(8, kernel=kernel), torch.randn_like(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("dtype", "bits"), [(torch.bfloat16, 8), (torch.float16, 11)])
@pytest.mark.parametrize("variant", ["plain", "authors"])
def test_half_precision_rounds_once(layout: torch.memory_format, dtype: torch.dtype, bits: int, variant: str) -> None:
    x = torch.randn(2, 24, 9, 13).to(dtype, memory_format=layout)
    given = converted(nets(24, variant), dtype)
    # The rounding of the output to this number of bits dominates the errors of the float32 sums.
    actual = compare(x, given, torch.randn_like(x), tolerance=2.0**-bits)
    assert {actual[name].dtype for name in ("y", "x", "fc1_weight", "conv_weight")} == {dtype}


def test_parameters_may_have_another_dtype() -> None:
    x = torch.randn(2, 24, 9, 13).bfloat16()
    given = converted(nets(24, "authors"), learn=True)
    actual = results(fused_cbam, x, given, torch.randn_like(x))
    assert actual["y"].dtype == actual["x"].dtype == torch.bfloat16
    assert actual["fc1_weight"].dtype == torch.float32


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("levels", [1, 2, 4])
def test_shared_maxima(layout: torch.memory_format, levels: int) -> None:
    # With few levels and equal weights of all channels, maxima are shared by positions and by channels.
    x = torch.randint(0, levels, (2, 24, 9, 13)).float().to(memory_format=layout)
    channel, spatial = both(24)
    channel = ChannelNet(torch.ones(12, 24) / 24, None, torch.ones(24, 12) / 12, None, channel.range)
    compare(x, (channel, spatial), torch.randn(x.shape))


def test_other_strides() -> None:
    wide = torch.randn(2, 24, 9, 26)
    given, upstream = nets(24, "authors"), torch.randn(2, 24, 9, 13)
    expected = compare(wide[..., ::2].contiguous(), given, upstream)
    transposed = wide[..., ::2].transpose(2, 3).contiguous().transpose(2, 3)
    for x in (wide[..., ::2], transposed, wide[..., ::2].expand(2, 24, 9, 13)):
        actual = results(fused_cbam, x, converted(given, learn=True), upstream.expand_as(x))
        for name, value in expected.items():
            assert torch.equal(actual[name], value), name
    flat = torch.randn(2, 1, 9, 13).expand(2, 24, 9, 13)
    compare(flat, given, upstream)


def test_taps_in_channels_last() -> None:
    x = torch.randn(2, 24, 9, 13)
    channel, spatial = both(24)
    taps = spatial.conv_weight.to(memory_format=torch.channels_last)
    compare(x, (channel, replace(spatial, conv_weight=taps)), torch.randn_like(x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("place", [0, 40, 116])
def test_nan_and_infinity_propagate_as_in_the_reference(
    layout: torch.memory_format, order: str, value: float, place: int
) -> None:
    x = torch.randn(2, 24, 9, 13)
    x[1, 5].view(-1)[place] = value
    given = nets(24, "plain", order)
    expected, actual = reference_cbam(x, *given)[0], fused_cbam(x.to(memory_format=layout), *given)[0]
    torch.testing.assert_close(actual, expected, equal_nan=True, rtol=1e-4, atol=1e-5)


def test_saturated_gates() -> None:
    channel, _ = both(8, "authors")
    saturated = replace(channel, fc2_bias=torch.tensor([-200.0, -60, -20, 0, 0, 20, 60, 200]))
    x = torch.randn(2, 8, 9, 13)
    actual, expected = fused_cbam(x, saturated, None)[0], reference_cbam(x, saturated, None)[0]
    # The last bit of a logit of 60 changes its exponential by 4e-6. Below 1e-38 float32 does not have full precision.
    torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_zero_logits_give_weights_of_one_with_an_identity_start(dtype: torch.dtype) -> None:
    channel, spatial = both(24)
    channel = replace(channel, fc2_weight=torch.zeros(24, 12))
    spatial = replace(spatial, conv_weight=torch.zeros(1, 2, 7, 7))
    x = torch.randn(2, 24, 9, 13).to(dtype)
    assert torch.equal(fused_cbam(x, channel, spatial)[0], x)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_do_not_depend_on_the_number_of_threads(layout: torch.memory_format) -> None:
    x = torch.randn(3, 40, 61, 67).to(memory_format=layout)
    given, upstream, threads = nets(40, "authors"), torch.randn_like(x), torch.get_num_threads()
    runs = []
    try:
        for count in (1, 1, 2, 3):
            torch.set_num_threads(count)
            runs.append(results(fused_cbam, x, converted(given, learn=True), upstream))
    finally:
        torch.set_num_threads(threads)
    for other in runs[1:]:
        for name, value in runs[0].items():
            assert torch.equal(other[name], value), name


def test_maps_larger_than_the_caches() -> None:
    x = torch.randn(1, 16, 730, 724)
    # At some of these many positions, the two largest products are equal in float32, so gradients of maxima over
    # channels cannot be compared.
    compare(x, nets(16, order="channel"), torch.randn_like(x))
    y, given = fused_cbam(x, *nets(16))[0], converted(nets(16), torch.float64)
    assert relative_difference(y.double(), reference_cbam(x.double(), *given)[0]) < TOLERANCE


def test_an_empty_batch() -> None:
    assert fused_cbam(torch.ones(0, 24, 9, 13), *nets(24))[0].shape == (0, 24, 9, 13)
