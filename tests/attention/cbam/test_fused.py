"""CBAM with its fused operators equals plain torch, and uses them unless a module or a hook prevents it."""

import copy
import pickle
from collections.abc import Callable
from typing import Any, cast

import pytest
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.checkpoint import checkpoint

from attendet.attention import CBAM
from attendet.attention.cbam.fused import Implementation, fused_forward
from attendet.attention.cbam.gates import Variant
from attendet.errors import OptionError, UnknownNameError
from tests.helpers.cbam_oracles import NAMES, assert_equal_to_the_authors, cbam_of_the_authors
from tests.helpers.oracles import Oracle, relative_difference
from tests.helpers.random_cbam_nets import NEEDS_COMPILER
from tests.helpers.typed_access import gradient

pytestmark = NEEDS_COMPILER


def module(implementation: Implementation, *, channels: int = 24, variant: Variant = "authors", **options: Any) -> CBAM:
    torch.manual_seed(1)
    cbam = CBAM(channels, 4, 7, variant, **options)
    for parameter in cbam.parameters():
        nn.init.normal_(parameter, std=0.5)
    cbam.implementation = implementation
    return cbam


def runs_fused(cbam: CBAM, x: torch.Tensor) -> bool:
    return fused_forward(cbam, x, None) is not None


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_every_gradient_equal_the_authors(oracle: Callable[[str], Oracle], name: str) -> None:
    expected = oracle(name)
    cbam = cbam_of_the_authors(expected, torch.device("cpu"))
    cbam.implementation = "fused"
    assert_equal_to_the_authors(cbam, expected)


@pytest.mark.parametrize("variant", ["plain", "biased", "authors", "timm"])
@pytest.mark.parametrize("order", ["channel-first", "channel-only", "spatial-only"])
def test_training_equals_plain_torch(variant: Variant, order: str) -> None:
    fused, plain = module("fused", variant=variant, order=order), module("reference", variant=variant, order=order)
    for _ in range(3):
        x = torch.randn(4, 24, 9, 7)
        outputs = [cbam(x) for cbam in (fused, plain)]
        assert relative_difference(*outputs) < 1e-5
        for y in outputs:
            y.square().sum().backward()
    for (name, one), other in zip(fused.named_parameters(), plain.parameters(), strict=True):
        assert relative_difference(gradient(one), gradient(other)) < 1e-4, name
    for (name, one), other in zip(fused.named_buffers(), plain.buffers(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_auto_uses_the_fused_operators_if_they_support_the_module() -> None:
    x = torch.randn(2, 24, 9, 7)
    assert runs_fused(module("auto"), x)
    assert not runs_fused(module("reference"), x)
    others = [
        module("auto", order="parallel"),
        module("auto", order="spatial-first"),
        module("auto", pool="avg"),
        module("auto", planes=["avg", "max", "lse"]),
        module("auto").double(),
        nn.SyncBatchNorm.convert_sync_batchnorm(module("auto")),
    ]
    for cbam in others:
        assert not runs_fused(cbam, x.to(next(cbam.parameters()).dtype))
    assert not runs_fused(module("auto").to("meta"), x.to("meta"))


@pytest.mark.parametrize(
    ("options", "shape", "reason"),
    [
        ({"order": "parallel"}, (2, 24, 9, 7), "order 'parallel' is not supported"),
        ({"pool": "lse"}, (2, 24, 9, 7), "only 2 dims, average and maximum pools, and the original layers"),
        ({"dims": 1}, (2, 24, 9), "only 2 dims"),
        ({}, (1, 24, 1, 1), "a batch norm needs more than one value"),
        ({}, (2, 25, 9, 7), "features must have 24 channels, got 25"),
        ({}, (2, 24, 9, 0), "the features are empty"),
    ],
)
def test_fused_is_an_error_with_a_reason_if_unsupported(
    options: dict[str, Any], shape: tuple[int, ...], reason: str
) -> None:
    with pytest.raises(OptionError, match=f"{reason}.*use implementation='auto'"):
        module("fused", **options)(torch.randn(shape))


def test_fused_rejects_masks_dtypes_and_unknown_names() -> None:
    x = torch.randn(2, 24, 9, 7)
    with pytest.raises(OptionError, match="masks are not supported"):
        module("fused")(x, torch.ones(2, 9, 7, dtype=torch.bool))
    with pytest.raises(OptionError, match="features must be float32, bfloat16, or float16, got float64"):
        module("fused").double()(x.double())
    with pytest.raises(OptionError, match=r"the features are torch\.bfloat16, but the parameters are torch\.float32"):
        module("fused")(x.bfloat16())
    with pytest.raises(UnknownNameError, match="did you mean 'fused'"):
        module("fusd")(x)  # pyright: ignore[reportArgumentType]


def test_hooks_receive_the_weights_that_multiply() -> None:
    cbam, x = module("fused"), torch.randn(2, 24, 9, 7)
    seen = []
    hooks = [gate.register_forward_hook(lambda *given: seen.append(given[-1])) for gate in (cbam.channel, cbam.spatial)]
    y = cbam(x)
    assert torch.equal(y, x * seen[0] * seen[1])
    for hook in hooks:
        hook.remove()
    assert runs_fused(cbam, x)
    cbam.spatial.conv.register_forward_pre_hook(lambda *_: None)
    assert not runs_fused(cbam, x)


def test_exports_use_plain_torch() -> None:
    cbam, x = module("fused").train(False), torch.randn(2, 24, 9, 7)
    exported = torch.export.export(cbam, (x,))
    assert "attendet.cbam" not in str(exported.graph)
    assert relative_difference(exported.module()(x), cbam(x)) < 1e-5
    with pytest.warns((DeprecationWarning, FutureWarning)):
        traced = torch.jit.trace(cbam, x)
    assert isinstance(traced, torch.jit.ScriptModule)
    assert "attendet::" not in str(traced.inlined_graph)


# torch.func imports deprecated functions of torch.
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:FutureWarning")
def test_forward_derivatives_and_function_transforms_use_plain_torch() -> None:
    fused, plain = (module(which).train(False) for which in ("fused", "reference"))
    x, direction = torch.randn(2, 24, 9, 7), torch.randn(2, 24, 9, 7)
    for compute in (
        lambda cbam: torch.func.jvp(cbam, (x,), (direction,))[1],
        lambda cbam: torch.func.vmap(torch.func.grad(lambda one: cbam(one[None]).sum()))(x),
    ):
        assert torch.equal(compute(fused), compute(plain))
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, direction)
        assert torch.autograd.forward_ad.unpack_dual(fused(dual)).tangent is not None


@pytest.mark.parametrize("variant", ["plain", "biased", "authors", "timm"])
@pytest.mark.parametrize("order", ["channel-first", "channel-only", "spatial-only"])
@pytest.mark.parametrize("training", [True, False])
def test_second_derivatives_equal_plain_torch_in_float64(variant: Variant, order: str, training: bool) -> None:
    """A gradient penalty through two calls of one module, as in a generative network, next to the loss itself."""
    fused = module("fused", variant=variant, order=order).train(training)
    plain = copy.deepcopy(fused).double()
    plain.implementation = "reference"
    x = torch.randn(2, 24, 9, 7)
    found: list[list[torch.Tensor]] = []
    for cbam, features in ((fused, x.clone()), (plain, x.double())):
        features.requires_grad_()
        loss = (cbam(cbam(features).tanh()) * torch.linspace(-1, 1, 24)[:, None, None]).square().sum()
        (penalized,) = torch.autograd.grad(loss, features, create_graph=True)
        (penalized.square().sum() + loss).backward()
        found.append([gradient(tensor) for tensor in (features, *cbam.parameters())])
    for (name, _), one, other in zip([("x", x), *fused.named_parameters()], *found, strict=True):
        assert relative_difference(one.double(), other) < 1e-4, name


def test_third_derivatives_and_gradients_of_parameters_only() -> None:
    fused = module("fused", variant="plain")
    plain = copy.deepcopy(fused).double()
    plain.implementation = "reference"
    x, found = torch.randn(2, 24, 5, 4), []
    for cbam, features in ((fused, x), (plain, x.double())):
        value = cbam(features).square().sum()
        for _ in range(3):
            gradients = torch.autograd.grad(value, list(cbam.parameters()), create_graph=True)
            value = torch.stack([part.square().sum() for part in gradients]).sum().log()
        found.append(value.detach())
    assert relative_difference(found[0].double(), found[1]) < 1e-4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_second_derivatives_in_half_precision_have_its_dtype(dtype: torch.dtype) -> None:
    cbam = module("fused").to(dtype)
    x = torch.randn(2, 24, 9, 7, dtype=dtype, requires_grad=True)
    (penalized,) = torch.autograd.grad(cbam(x).sum(), x, create_graph=True)
    penalized.float().square().sum().backward()
    assert gradient(x).dtype == dtype
    assert torch.isfinite(gradient(x)).all()


@pytest.mark.parametrize("training", [False, True])
def test_compiles_as_one_graph(training: bool) -> None:
    cbam = module("fused").train(training)
    other = copy.deepcopy(cbam)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager", dynamic=True)
    for shape in ((2, 24, 9, 7), (3, 24, 5, 8)):
        x = torch.randn(shape, requires_grad=True)
        duplicate = x.detach().clone().requires_grad_()
        compiled(x).square().sum().backward()
        cbam(duplicate).square().sum().backward()
        assert torch.equal(gradient(x), gradient(duplicate))
    for (name, one), two in zip(cbam.named_buffers(), other.buffers(), strict=True):
        assert torch.equal(one, two), name


def test_the_compiled_graph_contains_the_operator() -> None:
    graphs = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(str(graph.graph))
        return graph

    torch.compile(module("auto").train(False), fullgraph=True, backend=backend)(torch.randn(2, 24, 9, 7))
    assert len(graphs) == 1
    assert "attendet.cbam" in graphs[0]


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpointing_gives_the_same_gradients(reentrant: bool) -> None:
    cbam = module("fused").train(False)
    x = torch.randn(2, 24, 9, 7, requires_grad=True)
    duplicate = x.detach().clone().requires_grad_()
    cbam(x).square().sum().backward()
    checkpoint(cbam, duplicate, use_reentrant=reentrant).square().sum().backward()
    assert torch.equal(gradient(x), gradient(duplicate))


def test_autocast_computes_in_float32_and_returns_the_dtype_of_the_features() -> None:
    cbam, x = module("fused").train(False), torch.randn(2, 24, 9, 7)
    expected = cbam(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cbam(x), expected)
        assert cbam(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(2, 1, 7, padding=3, padding_mode="reflect", bias=False),
        nn.Conv2d(2, 1, 3, padding=2, dilation=2, bias=False),
        nn.Conv2d(2, 1, (3, 5), padding=(1, 2), bias=False),
    ],
)
def test_replaced_convolutions_are_computed_by_plain_torch(convolution: nn.Conv2d) -> None:
    cbam, x = module("auto").train(False), torch.randn(2, 24, 9, 7)
    cbam.spatial.conv, cbam.spatial.norm = convolution, nn.Identity()
    assert not runs_fused(cbam, x)
    gated = x * cbam.channel(x)
    planes = torch.cat([gated.amax(1, keepdim=True), gated.mean(1, keepdim=True)], 1)
    torch.testing.assert_close(cbam(x), gated * convolution(planes).sigmoid())


def test_a_convolution_with_a_folded_batch_norm_runs_fused() -> None:
    cbam, x = module("fused").train(False), torch.randn(2, 24, 9, 7)
    expected = cbam(x)
    folded = fuse_conv_bn_eval(cbam.spatial.conv, cast("nn.BatchNorm2d", cbam.spatial.norm))
    cbam.spatial.conv, cbam.spatial.norm = folded, nn.Identity()
    torch.testing.assert_close(cbam(x), expected)
    cbam.spatial.norm = nn.BatchNorm2d(1)
    with pytest.raises(OptionError, match="the original layers of CBAM"):
        cbam(x)


def test_parameters_on_another_device_are_not_supported() -> None:
    cbam, x = module("auto"), torch.randn(2, 24, 9, 7)
    cbam.channel.fc2.to("meta")
    assert not runs_fused(cbam, x)


def test_copies_and_pickles_keep_the_implementation() -> None:
    cbam = module("reference")
    # The test unpickles its own pickle.
    for duplicate in (copy.deepcopy(cbam), pickle.loads(pickle.dumps(cbam))):  # noqa: S301
        assert duplicate.implementation == "reference"
