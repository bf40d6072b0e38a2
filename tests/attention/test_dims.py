"""Sequences, images, volumes, and masks: relations between dimensions, and refused arguments.

tests/attention/test_papers_dimensions.py and test_papers_masks.py compare all dimensions with the papers.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from attendet.attention import Attention, ChannelAttention, SpatialAttention, create, names
from attendet.attention.catalog import attentions, options_of
from attendet.errors import OptionError
from attendet.ops.pooling import POOLS, Pool, pool_positions

MODULES: list[tuple[str, dict[str, Any]]] = [
    ("cbam", {"variant": "plain"}),
    ("cbam", {"variant": "biased"}),
    ("cbam", {"variant": "authors"}),
    ("bam", {}),
    ("se", {}),
    ("eca", {}),
    ("simam", {"variant": "paper"}),
    ("simam", {"variant": "authors"}),
]
SIZES = {1: (9,), 2: (6, 5), 3: (4, 3, 5)}

modules = pytest.mark.parametrize(("name", "options"), MODULES)


def make(name: str, dims: int, options: dict[str, Any], **others: Any) -> Attention:
    """Return a module with random parameters and updated running statistics."""
    module = create(name, 64, dims=dims, **options, **others)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    module(torch.randn(4, 64, *SIZES[dims]))
    return module


def test_the_modules_with_dims() -> None:
    with_dims = {name for name in names() if "dims" in options_of(attentions.get(name))}
    assert with_dims == {name for name, _ in MODULES} | {name for name in names() if name.startswith("control-")}


@modules
@pytest.mark.parametrize("dims", [1, 3])
def test_identity_start_is_exact(name: str, options: dict[str, Any], dims: int) -> None:
    for dtype in (torch.float32, torch.bfloat16):
        module = create(name, 64, dims=dims, start="identity", **options).to(dtype)
        x = torch.randn(2, 64, *SIZES[dims], dtype=dtype)
        assert torch.equal(module(x), x)
        mask = torch.rand(2, *SIZES[dims]) < 0.7
        assert torch.equal(module(x, mask), torch.where(mask[:, None], x, 0))


@modules
def test_sequences_compile_and_export_with_any_length(name: str, options: dict[str, Any]) -> None:
    module = make(name, 1, options).train(False)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True, dynamic=True)
    length = torch.export.Dim("length", min=1, max=4096)
    dynamic = {"x": {2: length}, "mask": {1: length}}
    arguments = (torch.randn(2, 64, 9), torch.rand(2, 9) < 0.7)
    exported = torch.export.export(module, arguments, dynamic_shapes=dynamic).module()
    for size in (9, 1, 30):
        x, mask = torch.randn(2, 64, size), torch.rand(2, size) < 0.7
        mask[:, 0] = True
        torch.testing.assert_close(compiled(x, mask), module(x, mask), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(exported(x, mask), module(x, mask), rtol=1e-4, atol=1e-5)


@modules
@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize("training", [True, False])
def test_a_mask_of_true_has_no_effect(name: str, options: dict[str, Any], dims: int, training: bool) -> None:
    module = make(name, dims, options).train(training)
    x = torch.randn(2, 64, *SIZES[dims])
    mask = torch.ones(2, *SIZES[dims], dtype=torch.bool)
    torch.testing.assert_close(module(x, mask), module(x), rtol=1e-4, atol=1e-5)


@modules
def test_an_image_without_real_positions_gives_no_nan(name: str, options: dict[str, Any]) -> None:
    module = make(name, 1, options)
    mask = torch.tensor([[True] * 9, [False] * 9])
    x = torch.randn(2, 64, 9, requires_grad=True)
    y = module(x, mask)
    y.sum().backward()
    assert torch.isfinite(y).all()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()
    for parameter in module.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()


def literal_pool(values: list[float], kind: Pool) -> float:
    tensor = torch.tensor(values, dtype=torch.float64)
    by_kind = {
        "avg": tensor.sum() / len(values),
        "max": tensor.max(),
        "lp": tensor.square().sum().sqrt(),
        "lse": tensor.exp().sum().log(),
    }
    return by_kind[kind].item()


@pytest.mark.parametrize("kind", POOLS)
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_pools_skip_padding(kind: Pool, dims: int) -> None:
    x = torch.randn(3, 2, *SIZES[dims], dtype=torch.float64)
    mask = torch.rand(3, *SIZES[dims]) < 0.5
    mask[2] = False
    x = torch.where(mask[:, None], x, torch.nan).requires_grad_()
    pooled = pool_positions(x, kind, mask)
    for image in range(2):
        for channel in range(2):
            expected = literal_pool(x[image, channel][mask[image]].tolist(), kind)
            assert pooled[image, channel].item() == pytest.approx(expected, rel=1e-9)
    assert pooled[2].tolist() == [0, 0]
    pooled.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def test_the_parts_of_cbam_accept_sequences() -> None:
    x, mask = torch.randn(2, 64, 9), torch.rand(2, 9) < 0.7
    channel, spatial = ChannelAttention(64, dims=1), SpatialAttention(dims=1)
    real = torch.where(mask[:, None], x, 0)
    assert torch.equal(channel(x, mask), real * channel.gate(x, mask))
    assert torch.equal(spatial(x, mask), real * spatial.gate(real, mask))
    assert spatial.gate(x, mask).shape == (2, 1, 9)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("make", [lambda: ChannelAttention(64, dims=1), lambda: SpatialAttention(dims=1)])
def test_the_parts_of_cbam_keep_padding_out_of_gradients(make: Callable[[], Attention], value: float) -> None:
    mask = torch.arange(9).expand(2, 9) < 6
    x = torch.where(mask[:, None], torch.randn(2, 64, 9), value).requires_grad_()
    y = make()(x, mask)
    y.sum().backward()
    assert x.grad is not None
    for tensor in (y, x.grad):
        assert torch.isfinite(tensor).all()
        assert torch.count_nonzero(torch.where(mask[:, None], 0, tensor)) == 0


@modules
def test_training_with_a_mask_compiles_and_exports_as_one_graph(name: str, options: dict[str, Any]) -> None:
    module = make(name, 1, options)
    twin, exported_twin = copy.deepcopy(module), copy.deepcopy(module)
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    x, mask = torch.randn(4, 64, 9), torch.rand(4, 9) < 0.7
    batch, length = torch.export.Dim("batch", min=2, max=64), torch.export.Dim("length", min=2, max=64)
    dynamic = {"x": {0: batch, 2: length}, "mask": {0: batch, 1: length}}
    exported = torch.export.export(exported_twin, (x, mask), dynamic_shapes=dynamic).module()
    for size in ((4, 9), (2, 6)):
        x, mask = torch.randn(size[0], 64, size[1]), torch.rand(size) < 0.7
        expected = twin(x, mask)
        torch.testing.assert_close(compiled(x, mask), expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(exported(x, mask), expected, rtol=1e-4, atol=1e-5)
    for found in (module, exported):
        for (key, ours), theirs in zip(twin.named_buffers(), found.buffers(), strict=True):
            torch.testing.assert_close(ours, theirs, msg=key)


@modules
def test_wrong_shapes_are_errors_with_a_remedy(name: str, options: dict[str, Any]) -> None:
    sequences, images = create(name, 64, dims=1, **options), create(name, 64, **options)
    x = torch.randn(2, 64, 5, 5)
    with pytest.raises(OptionError, match=r"features must have the shape \(N, C, L\), got 4 axes; use dims=2"):
        sequences(x)
    with pytest.raises(OptionError, match=r"features must have the shape \(N, C, H, W\), got 3 axes; use dims=1"):
        images(x[0])
    with pytest.raises(OptionError, match=r"features must have the shape \(N, C, H, W\), got 6 axes$"):
        images(x[..., None, None])
    with pytest.raises(
        OptionError, match=r"`mask` must be torch.bool of shape \(2, 5, 5\), got torch.bool of shape \(2, 5\)"
    ):
        images(x, torch.ones(2, 5, dtype=torch.bool))
    with pytest.raises(
        OptionError, match=r"`mask` must be torch.bool of shape \(2, 5, 5\), got torch.int64 of shape \(2, 5, 5\)"
    ):
        images(x, torch.ones(2, 5, 5, dtype=torch.int64))


@modules
@pytest.mark.parametrize("dims", [0, 4, "2", True, 2.0])
def test_invalid_dims(name: str, options: dict[str, Any], dims: Any) -> None:
    with pytest.raises(OptionError, match="`dims` must be 1, 2, or 3, got "):
        create(name, 64, dims=dims, **options)
