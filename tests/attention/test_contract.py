"""What every attention module has to hold, whatever is registered.

Where a module is exempt from a test, the set that names it says why.
"""

import copy
import inspect
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import CBAM, Addend, Attention, Gate, Shares, Weights, create, names
from attendet.attention.catalog import attentions, options_of
from attendet.errors import OptionError, UnknownNameError

CHANNELS = 64
SIZES = [(1, 1), (1, 7), (5, 3), (8, 8)]

# gc adds a term and sk mixes branches, by softmax weights; these two controls are there because they do not gate.
WITHOUT_GATES = {"gc", "sk", "control-conv1x1", "control-identity"}
# The sum of two gated maps, and a shuffle of channels behind the gates.
MORE_THAN_A_PRODUCT = {"scse", "shuffle"}

# Options that make a module for eight channels.
SMALL: dict[str, dict[str, Any]] = {
    "control-conv1x1": {"parameters": 32},
    "control-noise-gate": {"reduction": 2},
}


# What a GPU and a machine without a compiler run.
PLAIN_CBAM = "cbam in plain torch"


@pytest.fixture(params=[*names(), PLAIN_CBAM])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    torch.manual_seed(0)
    if request.param == PLAIN_CBAM:
        monkeypatch.setattr(CBAM, "implementation", "reference")
        return "cbam"
    return str(request.param)


def small(name: str) -> Attention:
    by_reduction = {"reduction": 2} if "reduction" in options_of(attentions.get(name)) else {}
    return create(name, 8, **SMALL.get(name, by_reduction))


def started(name: str, start: str) -> Attention:
    """Return a module with this start; control-identity, which is one always, has no such option."""
    return create(name, CHANNELS, **({"start": start} if "start" in options_of(attentions.get(name)) else {}))


def randomize(module: nn.Module) -> nn.Module:
    """Give all parameters random values, those included that start at zero."""
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def outermost(module: nn.Module) -> list[Weights]:
    """Return the weights that are not part of others."""
    found = []
    for child in module.children():
        found += [child] if isinstance(child, Weights) else outermost(child)
    return found


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
    # Their squares are beyond what half precision holds.
    module = create(name, CHANNELS).half().train(False)
    assert not module((1000 * features(6, 5)).half()).isnan().any()


@pytest.mark.parametrize("start", ["paper", "identity"])
def test_gates_stay_in_their_range(name: str, start: str) -> None:
    module = randomize(started(name, start))
    gates = [child for child in module.modules() if isinstance(child, Gate)]
    assert bool(gates) == (name not in WITHOUT_GATES)
    seen: list[tuple[Tensor, Tensor]] = []
    for gate in gates:
        gate.register_forward_hook(lambda gate, _inputs, weights: seen.append((gate.range, weights)))
    module(features(6, 5))
    assert len(seen) == len(gates)
    for span, weights in seen:
        assert span[0] <= weights.min()
        assert weights.max() <= span[1]
        assert weights.max() > weights.min()


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_outermost_weights_are_what_features_are_multiplied_by(name: str, layout: torch.memory_format) -> None:
    module = randomize(create(name, CHANNELS))
    weights = outermost(module)
    assert bool(weights) == (name not in WITHOUT_GATES)
    seen: list[tuple[Tensor, Tensor]] = []
    for part in weights:
        part.register_forward_hook(lambda _part, inputs, weights: seen.append((inputs[0], weights)))
    x = features(6, 5).contiguous(memory_format=layout)
    y = module(x)
    assert len(seen) == len(weights)
    product = x
    for inputs, weights_seen in seen:
        assert inputs.shape == x.shape
        assert torch.broadcast_shapes(weights_seen.shape, x.shape) == x.shape
        product = product * weights_seen
    if name not in MORE_THAN_A_PRODUCT | WITHOUT_GATES:
        torch.testing.assert_close(y, product)


def test_addends_are_what_is_added(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    addends = [child for child in module.modules() if isinstance(child, Addend)]
    assert bool(addends) == (name == "gc")
    x = features(6, 5)
    for addend in addends:
        assert torch.equal(module(x), x + addend(x))


def test_shares_are_positive_and_of_sum_one(name: str) -> None:
    module = randomize(create(name, CHANNELS))
    shares = [child for child in module.modules() if isinstance(child, Shares)]
    assert bool(shares) == (name in ("gc", "sk"))
    for share in shares:
        given = share(features(6, 5))
        chosen_among = (1, 2, 3) if given.ndim == 4 else (1,)
        assert given.min() > 0
        assert given.max() < 1
        torch.testing.assert_close(given.sum(chosen_among), torch.ones(()).expand(given.sum(chosen_among).shape))


@pytest.mark.parametrize("training", [True, False])
def test_identity_start_is_exact(name: str, training: bool, device: torch.device) -> None:
    module = started(name, "identity").to(device).train(training)
    for dtype in (torch.float32, torch.bfloat16):
        x = features(6, 5, device=device).to(dtype)
        assert torch.equal(module.to(dtype)(x), x)


def test_identity_start_learns_with_its_first_step(name: str) -> None:
    module = started(name, "identity")
    if not list(module.parameters()):
        pytest.skip("there is nothing to learn")
    module(features(6, 5)).square().sum().backward()
    assert any(parameter.grad is not None and parameter.grad.any() for parameter in module.parameters())


@pytest.mark.parametrize(("before", "after"), [("paper", "identity"), ("identity", "paper")])
def test_copies_pickles_and_state_dicts_compute_the_same(name: str, before: str, after: str) -> None:
    module = randomize(started(name, before))
    x = features(6, 5)
    # One step, so that running means are not what they start at.
    module(x)
    module.train(False)
    expected = module(x)
    saved = io.BytesIO()
    torch.save(module.state_dict(), saved)
    saved.seek(0)
    loaded = started(name, after).train(False)
    loaded.load_state_dict(torch.load(saved, weights_only=True))
    # What a test has just pickled itself may be unpickled.
    unpickled = pickle.loads(pickle.dumps(module))  # noqa: S301
    for twin in (copy.deepcopy(module), unpickled, loaded):
        assert torch.equal(twin(x), expected)
    for twin in (copy.deepcopy(module), unpickled):
        for parameter in twin.parameters():
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


def test_is_documented(name: str) -> None:
    attention = attentions.get(name)
    assert issubclass(attention, Attention)
    # PMLR gives its papers no doi, and SimAM is not on arXiv.
    identifiers = ["no paper"] if name.startswith("control-") else ["arXiv", "doi", "PMLR"]
    assert any(identifier in attention.paper for identifier in identifiers)
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
        ("cbam", {"variant": "plain"}, lambda c: 2 * c * (c // 16) + 2 * 49),
        ("cbam", {"variant": "authors"}, lambda c: 2 * c * (c // 16) + c // 16 + c + 2 * 49 + 2),
        ("cbam", {"variant": "timm"}, lambda c: 2 * c * (c // 16) + 2 * 49 + 2),
        ("cbam", {"variant": "plain", "reduction": 8}, lambda c: 2 * c * (c // 8) + 2 * 49),
        ("cbam", {"dims": 1}, lambda c: 2 * c * (c // 16) + 2 * 7),
        ("cbam", {"dims": 3}, lambda c: 2 * c * (c // 16) + 2 * 343),
        ("bam", {}, lambda c: bam_formula(c, c // 16, 9)),
        ("bam", {"reduction": 8}, lambda c: bam_formula(c, c // 8, 9)),
        ("bam", {"dims": 1}, lambda c: bam_formula(c, c // 16, 3)),
        ("se", {}, lambda c: 2 * c * (c // 16)),
        ("se", {"bias": True, "reduction": 8}, lambda c: 2 * c * (c // 8) + c // 8 + c),
        ("eca", {}, lambda c: {64: 3, 96: 3, 256: 5}[c]),
        ("eca", {"kernel_size": 7}, lambda _: 7),
        ("coordinate", {}, lambda c: (8 * c + 8) + 16 + 2 * (8 * c + c)),
        ("coordinate", {"reduction": 4}, lambda c: (c * (c // 4) + c // 4) + c // 2 + 2 * (c * (c // 4) + c)),
        ("simam", {}, lambda _: 0),
        ("simam", {"start": "identity"}, lambda _: 1),
        ("scse", {}, lambda c: c * c + c),
        ("scse", {"reduction": 16, "bias": True}, lambda c: 2 * c * (c // 16) + c + c // 16 + c + 1),
        ("gc", {}, lambda c: (c + 1) + (c * (c // 16) + c // 16) + 2 * (c // 16) + (c * (c // 16) + c)),
        ("sk", {}, lambda c: 2 * (9 * c * c // 32 + 2 * c) + c * 32 + 64 + 2 * c * 32),
        (
            "sk",
            {"branches": 3, "groups": 4, "reduction": 2},
            lambda c: (
                3 * (9 * c * c // 4 + 2 * c) + c * max(c // 2, 32) + 2 * max(c // 2, 32) + 3 * c * max(c // 2, 32)
            ),
        ),
        ("triplet", {}, lambda _: 6 * 49 + 6),
        ("triplet", {"kernel_size": 3}, lambda _: 6 * 9 + 6),
        ("shuffle", {}, lambda c: 3 * c // {64: 32, 96: 48, 256: 64}[c]),
        ("shuffle", {"groups": 8}, lambda c: 3 * c // 8),
        ("gam", {}, lambda c: (2 * c * (c // 4) + c // 4 + c) + (98 * c * (c // 4) + c // 4 + c) + c // 2 + 2 * c),
        ("ema", {}, lambda c: 10 * (c // 32) ** 2 + 4 * (c // 32)),
        ("ema", {"groups": 8}, lambda c: 10 * (c // 8) ** 2 + 4 * (c // 8)),
        ("nam", {}, lambda c: 2 * c),
        ("lsk", {}, lambda c: 3 * c * c // 2 + 78 * c + 198),
        ("control-identity", {}, lambda _: 0),
        ("control-conv1x1", {"parameters": 5000}, lambda c: 2 * c * {64: 39, 96: 26, 256: 10}[c]),
        ("control-conv1x1", {"like": "eca"}, lambda c: 2 * c),
        ("control-noise-gate", {"like": "se"}, lambda c: 2 * c * (c // 16)),
    ],
)
@pytest.mark.parametrize("channels", [64, 96, 256])
def test_parameters_equal_the_documented_formula(
    name: str, options: dict[str, Any], formula: Callable[[int], int], channels: int
) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in create(name, channels, **options).parameters())
    assert count == formula(channels)


def bam_formula(c: int, h: int, taps: int) -> int:
    return (2 * c * h + 3 * h + c) + (c * h + 3 * h) + 2 * (taps * h * h + 3 * h) + (h + 1)
