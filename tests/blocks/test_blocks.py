"""Blocks against an independent implementation of their descriptions."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from attendet.blocks import (
    C3,
    C3TR,
    SPP,
    SPPF,
    Bottleneck,
    BottleneckCSP,
    C2f,
    C3Ghost,
    Conv,
    Detect,
    DWConv,
    Focus,
    GhostBottleneck,
    GhostConv,
    TransformerBlock,
)
from attendet.blocks.conv_bn_fusion import fuse_conv_bn
from attendet.blocks.transformer import TransformerLayer
from attendet.blocks.wiring import BlockRequest, concat, detect, per_channel, same_channels, widen, widen_and_repeat
from attendet.errors import OptionError
from tests.helpers.typed_access import not_none, submodule

X = torch.randn(2, 16, 8, 12, generator=torch.Generator().manual_seed(0))


def with_random_norms(module: nn.Module) -> nn.Module:
    """Give every batch norm random statistics and weights, as after training."""
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            nn.init.normal_(not_none(child.running_mean))
            nn.init.uniform_(not_none(child.running_var), 0.5, 2)
            nn.init.normal_(child.weight)
            nn.init.normal_(child.bias)
    return module.train(False)


def literal_conv(conv: Conv, x: torch.Tensor) -> torch.Tensor:
    y = functional.conv2d(x, conv.conv.weight, None, conv.conv.stride, conv.conv.padding, 1, conv.conv.groups)
    norm = conv.bn
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + 0.001).sqrt()
    y = (y - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
    return y * torch.sigmoid(y) if isinstance(conv.act, nn.SiLU) else y


def literal_ghost(ghost: GhostConv, x: torch.Tensor) -> torch.Tensor:
    half = literal_conv(ghost.cv1, x)
    return torch.cat([half, literal_conv(ghost.cv2, half)], 1)


@torch.no_grad()
@pytest.mark.parametrize(("k", "s", "p"), [(1, 1, None), (3, 1, None), (3, 2, None), (6, 2, 2)])
def test_conv(k: int, s: int, p: int | None) -> None:
    conv = Conv(16, 24, k, s, p)
    with_random_norms(conv)
    torch.testing.assert_close(conv(X), literal_conv(conv, X), rtol=1e-4, atol=1e-4)
    assert conv(X).shape[2:] == (8 // s, 12 // s)
    assert conv.bn.momentum == 0.03


@torch.no_grad()
def test_focus_takes_rows_then_columns_in_the_given_order() -> None:
    focus = Focus(3, 8, 1)
    with_random_norms(focus)
    image = torch.randn(1, 3, 6, 4)
    parts = [image[:, :, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    torch.testing.assert_close(focus(image), literal_conv(focus.conv, torch.cat(parts, 1)), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_sppf_and_spp_equal_their_formula() -> None:
    spp, sppf = SPP(16, 8, (5, 9, 13)), SPPF(16, 8, 5)
    with_random_norms(spp)
    sppf.load_state_dict(spp.state_dict())
    narrow = literal_conv(spp.cv1, X)
    # A maximum over a window equals the maximum over shifted copies of the map.
    levels = [narrow]
    for reach in (2, 4, 6):
        padded = functional.pad(narrow, [reach] * 4, value=-math.inf)
        shifts = [padded[:, :, y : y + 8, x : x + 12] for y in range(2 * reach + 1) for x in range(2 * reach + 1)]
        levels.append(torch.stack(shifts).amax(0))
    expected = literal_conv(spp.cv2, torch.cat(levels, 1))
    for block in (spp, sppf.train(False)):
        torch.testing.assert_close(block(X), expected, rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("shortcut", [True, False])
def test_bottleneck_adds_its_input_if_the_channels_are_equal(shortcut: bool) -> None:
    same, wider = Bottleneck(16, 16, shortcut), Bottleneck(16, 24, shortcut)
    with_random_norms(same)
    with_random_norms(wider)
    branch = literal_conv(same.cv2, literal_conv(same.cv1, X))
    torch.testing.assert_close(same(X), X + branch if shortcut else branch, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(wider(X), literal_conv(wider.cv2, literal_conv(wider.cv1, X)), rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_bottleneck_csp_equals_its_formula() -> None:
    block = BottleneckCSP(16, 24, n=2)
    with_random_norms(block)
    middle = literal_conv(block.cv1, X)
    for bottleneck in block.m.children():
        assert isinstance(bottleneck, Bottleneck)
        middle = middle + literal_conv(bottleneck.cv2, literal_conv(bottleneck.cv1, middle))
    middle = functional.conv2d(middle, block.cv3.weight)
    joined = torch.cat([middle, functional.conv2d(X, block.cv2.weight)], 1)
    joined = functional.batch_norm(
        joined, block.bn.running_mean, block.bn.running_var, block.bn.weight, block.bn.bias, eps=1e-3
    )
    expected = literal_conv(block.cv4, functional.silu(joined))
    torch.testing.assert_close(block(X), expected, rtol=1e-4, atol=1e-3)


@torch.no_grad()
def test_ghost_conv_computes_half_of_its_maps_from_the_other_half() -> None:
    ghost = GhostConv(16, 24, 3, 2)
    with_random_norms(ghost)
    torch.testing.assert_close(ghost(X), literal_ghost(ghost, X), rtol=1e-4, atol=1e-4)
    assert ghost.cv2.conv.groups == 12
    assert ghost.cv2.conv.kernel_size == (5, 5)


@torch.no_grad()
@pytest.mark.parametrize(("c2", "s"), [(16, 1), (32, 2)])
def test_ghost_bottleneck_sums_branch_and_shortcut(c2: int, s: int) -> None:
    block = GhostBottleneck(16, c2, 3, s)
    with_random_norms(block)
    first, last = submodule(block, "conv.0", GhostConv), submodule(block, "conv.2", GhostConv)
    branch = literal_ghost(first, X)
    shortcut = X
    if s == 2:
        branch = literal_conv(submodule(block, "conv.1", Conv), branch)
        shortcut = literal_conv(submodule(block, "shortcut.0", Conv), X)
        shortcut = literal_conv(submodule(block, "shortcut.1", Conv), shortcut)
    branch = literal_ghost(last, branch)
    torch.testing.assert_close(block(X), branch + shortcut, rtol=1e-4, atol=1e-4)
    assert isinstance(last.cv1.act, nn.Identity)
    assert block(X).shape == (2, c2, 8 // s, 12 // s)
    assert {"conv.0.cv1.conv.weight", "conv.2.cv2.conv.weight"} <= set(block.state_dict())
    assert ("shortcut.1.conv.weight" in block.state_dict()) == (s == 2)


@torch.no_grad()
def test_transformer_equals_its_formula_for_every_pixel() -> None:
    block = TransformerBlock(16, 16, heads=4, n=1).train(False)
    layer = submodule(block, "tr.0", TransformerLayer)
    for image in range(2):
        pixels = X[image].flatten(1).T
        pixels = pixels + pixels @ block.linear.weight.T + block.linear.bias
        q, k, v = (pixels @ getattr(layer, name).weight.T for name in "qkv")
        weights = layer.ma.in_proj_weight.chunk(3)
        biases = layer.ma.in_proj_bias.chunk(3)
        q, k, v = (x @ w.T + b for x, w, b in zip((q, k, v), weights, biases, strict=True))
        heads = []
        for head in range(4):
            part = slice(4 * head, 4 * head + 4)
            scores = torch.softmax(q[:, part] @ k[:, part].T / math.sqrt(4), dim=1)
            heads.append(scores @ v[:, part])
        pixels = pixels + layer.ma.out_proj(torch.cat(heads, 1))
        pixels = pixels + pixels @ layer.fc1.weight.T @ layer.fc2.weight.T
        torch.testing.assert_close(block(X)[image], pixels.T.reshape(16, 8, 12), rtol=1e-4, atol=1e-4)


def test_invalid_transformers() -> None:
    with pytest.raises(OptionError, match="`heads` must divide the 18 channels, got 4"):
        TransformerBlock(16, 18, 4)
    with pytest.raises(OptionError, match="`n` must be 1 to 12 transformer layers, got 5000"):
        TransformerBlock(16, 16, 4, 5000)


def test_variants_of_c3_differ_in_their_middle() -> None:
    assert isinstance(C3TR(16, 32, 2).m, TransformerBlock)
    assert [type(part) for part in C3Ghost(16, 32, 2).m.children()] == [GhostBottleneck] * 2
    assert len(list(C3(16, 32, 3).m.children())) == 3
    assert DWConv(16, 24).conv.groups == 8


def test_initial_biases_of_detect() -> None:
    torch.manual_seed(0)
    head = Detect(80, [[(10, 13)] * 3, [(30, 61)] * 3], channels=[8, 8], strides=[8, 16])
    torch.manual_seed(0)
    plain = [nn.Conv2d(8, 255, 1).get_parameter("bias").detach().view(3, 85) for _ in range(2)]
    for conv, bias, stride in zip(head.m, plain, (8, 16), strict=True):
        change = conv.get_parameter("bias").detach().view(3, 85) - bias
        assert change[:, :4].abs().max() == 0
        torch.testing.assert_close(change[:, 4], torch.full((3,), math.log(8 / (640 / stride) ** 2)))
        torch.testing.assert_close(change[:, 5:], torch.full((3, 80), math.log(0.6 / (80 - 0.99999))))


def test_detect_needs_anchors_for_every_level() -> None:
    with pytest.raises(OptionError, match="`anchors` must have one row for each of 2 levels, got 1 rows"):
        Detect(1, [[(1, 1)]], channels=[8, 8], strides=[8, 16])
    with pytest.raises(OptionError, match="`anchors` must have the same number of anchors for each level, got 1, 2"):
        Detect(1, [[(1, 1)], [(1, 1), (2, 2)]], channels=[8, 8], strides=[8, 16])


@torch.no_grad()
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [(Conv, (16, 16, 3)), (C3, (16, 24, 2)), (SPPF, (16, 24)), (GhostBottleneck, (16, 16)), (BottleneckCSP, (16, 16))],
)
def test_fusing_keeps_outputs_and_leaves_the_original(kind: type[nn.Module], arguments: tuple[int, ...]) -> None:
    block = kind(*arguments)
    with_random_norms(block)
    expected = block(X)
    fused = fuse_conv_bn(block)
    torch.testing.assert_close(fused(X), expected, rtol=1e-4, atol=1e-4)
    assert all(not isinstance(conv.bn, nn.BatchNorm2d) for conv in fused.modules() if isinstance(conv, Conv))
    assert torch.equal(block(X), expected)


def test_wiring_rules() -> None:
    request = BlockRequest(channels=(16,), repeats=3, args=(64, 3), width_multiple=0.3)
    # 64 · 0.3 = 19.2, rounded up to a multiple of 8.
    assert widen.specify(Conv, request).arguments == (16, 24, 3)
    repeated = widen.specify(Conv, request).make()
    assert isinstance(repeated, nn.Sequential)
    assert [conv.conv.in_channels for conv in repeated if isinstance(conv, Conv)] == [16, 24, 24]
    assert widen_and_repeat.specify(C3, BlockRequest((16,), repeats=3, args=(64,))).arguments == (16, 64, 3)
    assert isinstance(same_channels.specify(nn.MaxPool2d, BlockRequest((16,), args=(2,))).make(), nn.MaxPool2d)
    with pytest.raises(OptionError, match="the row must have one input, got 2; insert a Concat before it"):
        widen.specify(Conv, BlockRequest((16, 16), args=(64,)))
    with pytest.raises(OptionError, match="the first argument must be the output width, a positive integer, got '64'"):
        widen.specify(Conv, BlockRequest((16,), args=("64",)))


def test_repeats_are_a_sequence_or_an_error() -> None:
    request = BlockRequest((16,), repeats=3)
    row = per_channel.specify(nn.BatchNorm2d, request).make()
    assert [norm.num_features for norm in row.children() if isinstance(norm, nn.BatchNorm2d)] == [16] * 3
    assert len(list(same_channels.specify(nn.Identity, request).make().children())) == 3
    for rule in (concat, detect):
        with pytest.raises(OptionError, match="the repeats of a block with several inputs must be 1, got 3"):
            rule.specify(nn.Identity, BlockRequest((16, 16), repeats=3))


def test_arguments_with_another_meaning_in_other_releases_are_errors() -> None:
    with pytest.raises(OptionError, match=r"`act` must be True or False, got 2; use nn\.Conv2d for a dilation"):
        Conv(16, 16, 3, 1, 1, 1, 2)  # pyright: ignore[reportArgumentType]
    for block in (Bottleneck, C3, C2f, C3TR, C3Ghost, BottleneckCSP):
        with pytest.raises(OptionError, match=r"`e` must be a fraction such as 0\.5 or 1\.0, got 1"):
            block(16, 16, e=1)
        with pytest.raises(OptionError, match="`shortcut` must be True or False, got 16"):
            block(16, 16, shortcut=16)  # pyright: ignore[reportArgumentType] (the error is tested)


@torch.no_grad()
def test_fusing_keeps_hooks() -> None:
    conv = Conv(16, 16, 3)
    with_random_norms(conv)
    called: list[str] = []
    conv.bn.register_forward_hook(lambda _module, _args, _kwargs, _output: called.append("kwargs"), with_kwargs=True)
    conv.bn.register_forward_hook(lambda *_: called.append("always"), always_call=True)
    conv.bn.register_forward_hook(fail)
    for model in (conv, fuse_conv_bn(conv)):
        called.clear()
        with pytest.raises(ArithmeticError):
            model(X)
        assert called == ["kwargs", "always"]


def fail(*_: object) -> None:
    raise ArithmeticError
