"""What every attention module has to hold, whatever is registered."""

import copy
import inspect
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import Attention, Gate, create, names
from attendet.attention.catalog import attentions
from attendet.errors import OptionError, UnknownNameError

CHANNELS = 64
SIZES = [(1, 1), (1, 7), (5, 3), (8, 8)]


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    torch.manual_seed(0)
    return str(request.param)


def features(*size: int, device: torch.device | None = None) -> Tensor:
    generator = torch.Generator().manual_seed(sum(size))
    return torch.randn(2, CHANNELS, *size, generator=generator).to(device)


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
    module = create(name, CHANNELS).to(device)
    x = features(6, 5, device=device).requires_grad_()
    module(x).square().sum().backward()
    for what, tensor in [("input", x), *module.named_parameters()]:
        assert tensor.grad is not None, what
        assert torch.isfinite(tensor.grad).all(), what
        assert torch.count_nonzero(tensor.grad) > 0, what


def test_gradients_equal_finite_differences(name: str) -> None:
    module = create(name, 8, reduction=2).double()
    x = torch.randn(2, 8, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, (x,), eps=1e-6, atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 1.0, -3.0])
def test_constant_features_give_no_nan(name: str, value: float) -> None:
    module = create(name, CHANNELS)
    x = torch.full((2, CHANNELS, 4, 4), value, requires_grad=True)
    y = module(x)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_gates_broadcast_and_stay_in_their_range(name: str, start: str) -> None:
    module = create(name, CHANNELS, start=start)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    gates = [child for child in module.modules() if isinstance(child, Gate)]
    assert gates
    seen: list[tuple[Tensor, Tensor, Tensor]] = []
    for gate in gates:
        gate.register_forward_hook(lambda gate, inputs, weights: seen.append((gate.range, inputs[0], weights)))
    module(features(6, 5))
    assert len(seen) == len(gates)
    for span, inputs, weights in seen:
        assert torch.broadcast_shapes(weights.shape, inputs.shape) == inputs.shape
        assert span[0] <= weights.min()
        assert weights.max() <= span[1]
        assert weights.max() > weights.min()


def test_identity_start_is_exact(name: str, device: torch.device) -> None:
    module = create(name, CHANNELS, start="identity").to(device)
    for dtype in (torch.float32, torch.bfloat16):
        x = features(6, 5, device=device).to(dtype)
        assert torch.equal(module.to(dtype)(x), x)


def test_copies_pickles_and_state_dicts_compute_the_same(name: str) -> None:
    module = create(name, CHANNELS).train(False)
    x = features(6, 5)
    expected = module(x)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    loaded = create(name, CHANNELS, start="identity").train(False)
    loaded.load_state_dict(torch.load(saved, weights_only=True))
    # What a test has just pickled itself may be unpickled.
    unpickled = pickle.loads(pickle.dumps(module))  # noqa: S301
    for twin in (copy.deepcopy(module), unpickled, loaded):
        assert torch.equal(twin(x), expected)
    twin = copy.deepcopy(module)
    nn.init.zeros_(next(twin.parameters()))
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
    module = create(name, CHANNELS).train(False)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    for size in ((6, 5), (9, 4)):
        torch.testing.assert_close(compiled(features(*size)), module(features(*size)))


def test_exports_with_changing_sizes(name: str) -> None:
    module = create(name, CHANNELS).train(False)
    batch, height, width = (torch.export.Dim(axis, min=1, max=512) for axis in ("batch", "height", "width"))
    dynamic = {"x": {0: batch, 2: height, 3: width}}
    exported = torch.export.export(module, (features(8, 6),), dynamic_shapes=dynamic).module()
    for size in ((8, 6), (1, 1), (13, 7)):
        torch.testing.assert_close(exported(features(*size)), module(features(*size)))


def test_is_documented(name: str) -> None:
    attention = attentions.get(name)
    assert issubclass(attention, Attention)
    assert "arXiv" in attention.paper or "doi" in attention.paper
    document = inspect.getdoc(attention) or ""
    assert "Parameters" in document or "parameters" in document
    for option in list(inspect.signature(attention).parameters):
        assert f"{option}:" in document, option
    assert repr(create(name, CHANNELS)).startswith(attention.__name__)


def test_names_and_options_that_do_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cbam'"):
        create("cbamm", 64)
    with pytest.raises(OptionError, match="did you mean 'reduction'"):
        create("cbam", 64, reductoin=8)
    assert type(create("CBAM", 64)) is type(create("cbam", 64))


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("cbam", {"variant": "plain"}, lambda c, h: 2 * c * h + 2 * 49),
        ("cbam", {"variant": "authors"}, lambda c, h: 2 * c * h + h + c + 2 * 49 + 2),
        ("cbam", {"variant": "timm"}, lambda c, h: 2 * c * h + 2 * 49 + 2),
        ("bam", {}, lambda c, h: (2 * c * h + 3 * h + c) + (c * h + 3 * h) + 2 * (9 * h * h + 3 * h) + (h + 1)),
    ],
)
@pytest.mark.parametrize(("channels", "reduction"), [(64, 16), (256, 16), (96, 8)])
def test_parameters_equal_the_documented_formula(
    name: str, options: dict[str, str], formula: object, channels: int, reduction: int
) -> None:
    count = sum(p.numel() for p in create(name, channels, reduction=reduction, **options).parameters())
    assert callable(formula)
    assert count == formula(channels, channels // reduction)
