"""Shapes, dtypes, gradients, copies, and compilation of every registered attention module.

The fixtures in conftest.py run each test for every registered module, and CBAM also in plain torch.
"""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from attendet.attention import create
from tests.attention.contract_cases import CHANNELS, features, randomize, small, started

SIZES = [(1, 1), (1, 7), (5, 3), (8, 8)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_shape_dtype_and_layout_are_kept(
    name: str, size: tuple[int, int], layout: torch.memory_format, dtype: torch.dtype, device: torch.device
) -> None:
    module = create(name, CHANNELS).to(device, dtype).to(memory_format=layout).train(False)
    x = features(*size, device=device).to(dtype, memory_format=layout)
    y = module(x)
    assert (y.shape, y.dtype, y.device) == (x.shape, x.dtype, x.device)
    assert y.is_contiguous(memory_format=layout)


@torch.no_grad()
def test_layouts_and_devices_agree(name: str, device: torch.device) -> None:
    module = create(name, CHANNELS).train(False)
    x = features(9, 6)
    expected = module(x)
    y = module.to(device)(x.to(device, memory_format=torch.channels_last))
    torch.testing.assert_close(y.cpu(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_bfloat16_is_close_to_float32(name: str, device: torch.device) -> None:
    module = create(name, CHANNELS).to(device).train(False)
    x = features(9, 6, device=device)
    expected = module(x)
    y = copy.deepcopy(module).bfloat16()(x.bfloat16())
    # Eight bits of mantissa, through at most five layers.
    torch.testing.assert_close(y.float(), expected, rtol=0.05, atol=0.05)


def test_autocast_keeps_the_dtype_of_the_features(name: str, device: torch.device) -> None:
    module = create(name, CHANNELS).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        for dtype in (torch.float32, torch.bfloat16):
            assert module(features(6, 6, device=device).to(dtype)).dtype == dtype


def test_gradients_reach_the_input_and_every_parameter(name: str, device: torch.device) -> None:
    module = randomize(create(name, CHANNELS)).to(device)
    x = features(6, 5, device=device).requires_grad_()
    module(x).square().sum().backward()
    for what, tensor in [("input", x), *module.named_parameters()]:
        assert tensor.grad is not None, what
        assert torch.isfinite(tensor.grad).all(), what
        assert torch.count_nonzero(tensor.grad) > 0, what


def test_gradients_equal_finite_differences(name: str) -> None:
    module = randomize(small(name)).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,), eps=1e-6, atol=1e-5)


def test_second_derivatives_equal_finite_differences(name: str) -> None:
    module = randomize(small(name)).double().train(False)
    x, direction = (torch.randn(2, 8, 3, 4, dtype=torch.float64) for _ in range(2))

    def gradient(at: torch.Tensor) -> torch.Tensor:
        return torch.autograd.grad(module(at).square().sum(), at, create_graph=True)[0]

    (exact,) = torch.autograd.grad(gradient(start := x.clone().requires_grad_()), start, direction)
    ahead, behind = (gradient((x + step * direction).requires_grad_()).detach() for step in (1e-6, -1e-6))
    torch.testing.assert_close(exact, (ahead - behind) / 2e-6, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_constant_features_give_no_nan(name: str, value: float) -> None:
    module = create(name, CHANNELS)
    x = torch.full((2, CHANNELS, 4, 4), value, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@torch.no_grad()
def test_large_values_of_half_precision_give_no_nan(name: str) -> None:
    # The squares of these values overflow in half precision.
    module = create(name, CHANNELS).half().train(False)
    assert not module((1000 * features(6, 5)).half()).isnan().any()


@pytest.mark.parametrize(("before", "after"), [("paper", "identity"), ("identity", "paper")])
def test_copies_pickles_and_state_dicts_compute_the_same(name: str, before: str, after: str) -> None:
    module = randomize(started(name, before))
    x = features(6, 5)
    # One training step changes the running means from their initial values.
    module(x)
    module.train(False)
    expected = module(x)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    loaded = started(name, after).train(False)
    loaded.load_state_dict(torch.load(saved, weights_only=True))
    # The test unpickles its own pickle.
    unpickled = pickle.loads(pickle.dumps(module))  # noqa: S301
    for duplicate in (copy.deepcopy(module), unpickled, loaded):
        assert torch.equal(duplicate(x), expected)
    for duplicate in (copy.deepcopy(module), unpickled):
        for parameter in duplicate.parameters():
            nn.init.zeros_(parameter)
    assert torch.equal(module(x), expected)


def test_deterministic_algorithms_run_forward_and_backward(name: str, device: torch.device) -> None:
    module = create(name, CHANNELS).to(device)
    torch.use_deterministic_algorithms(True)
    try:
        gradients = []
        for _ in range(2):
            x = features(9, 9, device=device).requires_grad_()
            module(x).sum().backward()
            gradients.append(x.grad)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(gradients[0], gradients[1])


def test_compiles_as_one_graph(name: str) -> None:
    module = randomize(create(name, CHANNELS)).train(False)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True, dynamic=True)
    for size in ((6, 5), (9, 4)):
        torch.testing.assert_close(compiled(features(*size)), module(features(*size)), rtol=1e-4, atol=1e-4)


def test_exports_with_changing_sizes(name: str) -> None:
    module = randomize(create(name, CHANNELS)).train(False)
    batch, height, width = (torch.export.Dim(axis, min=1, max=512) for axis in ("batch", "height", "width"))
    dynamic = {"x": {0: batch, 2: height, 3: width}}
    exported = torch.export.export(module, (features(8, 6),), dynamic_shapes=dynamic).module()
    for size in ((8, 6), (1, 1), (13, 7)):
        torch.testing.assert_close(exported(features(*size)), module(features(*size)), rtol=1e-4, atol=1e-4)
