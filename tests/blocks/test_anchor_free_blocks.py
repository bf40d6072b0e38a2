"""Blocks of YOLOv8 and YOLO11 against their descriptions, and self-attention against that of torch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attendet.blocks import C2PSA, DFL, Bottleneck, C2f, C3k, C3k2, Conv
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.position_attention import PositionAttention, PositionAttentionBlock
from attendet.errors import OptionError
from tests.helpers.third_party_networks import vary_norms


def ready(module: nn.Module) -> nn.Module:
    """Return a module in evaluation mode with statistics as after training."""
    vary_norms(module)
    return module.train(False)


def batch(channels: int) -> Tensor:
    return torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(3))


@torch.no_grad()
@pytest.mark.parametrize("channels", [32, 64, 128, 192])
def test_self_attention_equals_torch(channels: int) -> None:
    torch.manual_seed(0)
    attention = PositionAttention(channels)
    ready(attention)
    x = batch(channels)
    heads = max(channels // 64, 1)
    value_width = channels // heads
    key_width = value_width // 2
    # Per head: query, key, and value, in this order.
    parts = attention.qkv(x).flatten(2).reshape(2, heads, -1, 35)
    query, key = parts[:, :, :key_width], parts[:, :, key_width : 2 * key_width]
    value = parts[:, :, 2 * key_width :]
    mixed = functional.scaled_dot_product_attention(*(part.transpose(2, 3) for part in (query, key, value)))
    position = attention.pe(value.reshape(2, channels, 5, 7))
    expected = attention.proj(mixed.transpose(2, 3).reshape(2, channels, 5, 7) + position)
    torch.testing.assert_close(attention(x), expected, rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_every_position_reads_all_others_and_the_order_of_images_does_not_matter() -> None:
    torch.manual_seed(0)
    attention = PositionAttention(64)
    ready(attention)
    x = batch(64)
    torch.testing.assert_close(attention(x.flip(0)), attention(x).flip(0))
    changed = x.clone()
    changed[:, :, 0, 0] += 1
    differences = (attention(changed) - attention(x)).abs().amax(dim=(0, 1))
    assert bool((differences > 0).all())


@torch.no_grad()
@pytest.mark.parametrize("shortcut", [True, False])
@pytest.mark.parametrize("n", [1, 3])
def test_c2f_concatenates_both_halves_and_every_bottleneck(n: int, shortcut: bool) -> None:
    torch.manual_seed(0)
    block = C2f(24, 32, n, shortcut)
    ready(block)
    x = batch(24)
    first, last = block.cv1(x)[:, :16], block.cv1(x)[:, 16:]
    parts = [first, last]
    for bottleneck in block.m:
        assert isinstance(bottleneck, Bottleneck)
        assert [conv.conv.kernel_size for conv in (bottleneck.cv1, bottleneck.cv2)] == [(3, 3), (3, 3)]
        branch = bottleneck.cv2(bottleneck.cv1(parts[-1]))
        parts.append(parts[-1] + branch if shortcut else branch)
    torch.testing.assert_close(block(x), block.cv2(torch.cat(parts, dim=1)))


@pytest.mark.parametrize("c3k", [True, False])
def test_c3k2_has_bottlenecks_of_half_the_width_or_blocks_c3k(c3k: bool) -> None:
    block = C3k2(16, 32, 2, c3k)
    hidden = 16
    for inner in block.m:
        if c3k:
            assert isinstance(inner, C3k)
            # A C3 of two bottlenecks, whose channels are again half of its own.
            assert [tuple(conv.weight.shape) for conv in inner.m.modules() if isinstance(conv, nn.Conv2d)] == [
                (hidden // 2, hidden // 2, 3, 3)
            ] * 4
        else:
            shapes = [tuple(conv.weight.shape) for conv in inner.modules() if isinstance(conv, nn.Conv2d)]
            assert shapes == [(hidden // 2, hidden, 3, 3), (hidden, hidden // 2, 3, 3)]
    assert C3k2(16, 32, e=0.25).cv1.conv.weight.shape[0] == 2 * 8


@torch.no_grad()
def test_c2psa_attends_to_the_second_half_only() -> None:
    torch.manual_seed(0)
    block = C2PSA(128, 128, 2)
    ready(block)
    x = batch(128)
    first, second = block.cv1(x)[:, :64], block.cv1(x)[:, 64:]
    for layer in block.m:
        assert isinstance(layer, PositionAttentionBlock)
        second = second + layer.attn(second)
        second = second + layer.ffn(second)
    torch.testing.assert_close(block(x), block.cv2(torch.cat([first, second], dim=1)))
    first_block = block.m[0]
    assert isinstance(first_block, PositionAttentionBlock)
    widen, back = first_block.ffn
    assert isinstance(widen, Conv)
    assert isinstance(back, Conv)
    assert isinstance(widen.act, nn.SiLU)
    assert isinstance(back.act, nn.Identity)
    assert widen.conv.weight.shape == (128, 64, 1, 1)


@torch.no_grad()
def test_a_distribution_is_read_as_its_mean() -> None:
    logits = torch.full((1, 4 * 16, 3), -1e4)
    for side, (position, integer) in enumerate([(0, 0), (1, 5), (2, 15), (0, 7)]):
        logits[0, 16 * side + integer, position] = 0
    # Equal logits have the mean of 0-15.
    expected = torch.full((4, 3), 7.5)
    for side, (position, integer) in enumerate([(0, 0), (1, 5), (2, 15), (0, 7)]):
        expected[side, position] = integer
    torch.testing.assert_close(DFL()(logits)[0], expected)
    grid = logits[:, :, [0, 1, 2, 0, 2, 1]].unflatten(2, (2, 3))
    torch.testing.assert_close(DFL()(grid)[0], expected[:, [[0, 1, 2], [0, 2, 1]]])
    with pytest.raises(OptionError, match="the input of DFL must have 4 · 8 = 32 channels, got 64"):
        DFL(8)(logits)
    for bins in (0, -1, 2.0, True):
        with pytest.raises(OptionError, match="`bins` must be a positive integer, got"):
            DFL(bins)  # pyright: ignore[reportArgumentType] (the error is tested)


@torch.no_grad()
@pytest.mark.parametrize(
    "module", [C2f(32, 32, 2, True), C3k(32, 32, 2), C3k2(32, 32, 2, True), C3k2(32, 32, 1), C2PSA(128, 128, 2)]
)
def test_folded_norms_do_not_change_the_output(module: nn.Module) -> None:
    ready(module)
    first = next(child for child in module.modules() if isinstance(child, nn.Conv2d))
    x = batch(first.in_channels)
    fused = fuse_conv_bn(module)
    assert not any(isinstance(child, nn.BatchNorm2d) for child in fused.modules())
    torch.testing.assert_close(fused(x), module(x), rtol=1e-4, atol=1e-4)


def test_arguments_that_are_not_supported_are_errors() -> None:
    for block in (C2f, C3k, C3k2):
        with pytest.raises(OptionError, match="`g` must be 1, got 2; convolutions in groups are not supported"):
            block(16, 16, g=2)
        with pytest.raises(OptionError, match=r"`e` must be a fraction such as 0\.5 or 1\.0, got 1"):
            block(16, 16, e=1)
        with pytest.raises(OptionError, match="`shortcut` must be True or False, got 16"):
            block(16, 16, shortcut=16)  # pyright: ignore[reportArgumentType] (the error is tested)
    with pytest.raises(OptionError, match=r"`c3k` must be True or False, got 0\.25"):
        C3k2(16, 16, 1, 0.25)  # pyright: ignore[reportArgumentType] (the error is tested)
    with pytest.raises(OptionError, match="the output width must be that of the input, 128 after scaling, got 64"):
        C2PSA(128, 64)
    with pytest.raises(OptionError, match=r"`e` must be a fraction such as 0\.5, got 1"):
        C2PSA(128, 128, 1, 1)
    for width, message in ((3, "1 head, got 3 · 0.5 = 1.5"), (262, "2 heads, got 262 · 0.5 = 131")):
        with pytest.raises(OptionError, match=f"`c2` · `e` must be at least 2 and divide by its {message}; choose"):
            C2PSA(width, width)
    for channels in (1, 131):
        with pytest.raises(OptionError, match="`channels` must be at least 2 and divide by its"):
            PositionAttention(channels)
