"""Recorded weights equal the factors in the network, and recording leaves no trace."""

from typing import Any

import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torchvision.models import resnet18

import attendet
from attendet.attention import create, names
from attendet.errors import OptionError, UnknownNameError
from attendet.interpret.capture import AttentionPass, GateOutput, attention_sites, capture_attention
from attendet.interpret.maps import channels, entropy, join, magnitude, saturated, spatial
from attendet.utils.modules import evaluation_mode, unwrapped
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.third_party_networks import vary_norms

# As in the docstrings of the modules; all others multiply features by weights.
JOINS = {
    "scse": "sum",
    "shuffle": "shuffled product",
    "gc": "addition",
    "sk": "mixture",
    "control-conv1x1": "none",
    "control-identity": "none",
}


def randomized(module: nn.Module) -> nn.Module:
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


def visit_of(model: nn.Module, *inputs: Tensor) -> AttentionPass:
    visits: list[AttentionPass] = []
    with torch.no_grad(), capture_attention(model, visits.append):
        model(*inputs)
    (visit,) = visits
    return visit


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_multiplying_again_gives_what_the_module_gave(name: str, dtype: torch.dtype) -> None:
    module = randomized(create(name, 64)).train(False).to(dtype)
    x = torch.randn(2, 64, 6, 5).to(dtype)
    visit = visit_of(module, x)
    assert torch.equal(visit.before, x)
    # Without hooks, a module may compute in another order, with other rounding errors.
    roundings = {torch.float32: 1e-5, torch.bfloat16: 0.06}[dtype]
    torch.testing.assert_close(visit.after, module(x), rtol=roundings, atol=roundings)
    assert join(visit) == JOINS.get(name, "product")
    if name not in JOINS:
        # Written out, and not by the function that is tested.
        again = x
        for part in visit.parts:
            if part.outermost:
                again = again * part.value
        assert torch.equal(again, visit.after)


def test_weights_that_all_images_share_have_an_axis_of_images_too() -> None:
    module = create("control-noise-gate", 64, like="se").train(False)
    (means,) = [buffer for name, buffer in module.named_buffers() if name.endswith(".mean")]
    means.uniform_(0.5, 1.5)
    (part,) = visit_of(module, torch.randn(2, 64, 6, 5)).parts
    assert torch.equal(part.value, means.reshape(1, 64, 1, 1))


def test_a_gate_that_does_not_multiply_the_features_is_not_a_product() -> None:
    visit = visit_of(randomized(create("cbam", 64)), torch.randn(2, 64, 6, 5))
    first, *rest = visit.parts
    tampered = (GateOutput(first.name, first.role, first.value * 1.01, first.outermost, first.range), *rest)
    assert join(AttentionPass("", visit.module, 0, visit.before, visit.after, tampered)) == "mixture"


def test_sites_are_the_outermost_modules_of_attached_and_built_networks() -> None:
    assert list(attention_sites(attendet.build("yolov5n_CBAM"))) == ["model.9"]
    model = resnet18()
    attendet.attach(model, "se", "stage:3-4")
    attendet.attach(model, "control-noise-gate", "stage:2")
    assert list(attention_sites(model)) == ["layer2.attention", "layer3.attention", "layer4.attention"]
    assert list(attention_sites(model, "layer[34]*")) == ["layer3.attention", "layer4.attention"]
    with pytest.raises(UnknownNameError, match=r"layer2\.attention"):
        attention_sites(model, "layer9*")
    with pytest.raises(OptionError, match="there is no attention"):
        attention_sites(resnet18())


@pytest.mark.parametrize("where", ["receiving", "the network", "nowhere"])
def test_hooks_are_gone_also_after_an_exception(where: str) -> None:
    model = resnet18()
    attendet.attach(model, "cbam", "residual-branch")
    facts = ModuleSnapshot(model)

    def fail(*_: object) -> None:
        raise KeyError

    def run() -> None:
        with unwrapped(model) as network, evaluation_mode(network):
            # Fails in the middle of a pass, after some of the sites.
            own = model.layer2.register_forward_hook(fail) if where == "the network" else None
            try:
                with capture_attention(network, fail if where == "receiving" else lambda _: None):
                    network(torch.rand(1, 3, 32, 32))
            finally:
                if own is not None:
                    own.remove()

    if where == "nowhere":
        run()
    else:
        with pytest.raises(KeyError):
            run()
    assert facts.matches(model)
    with torch.no_grad():
        assert len(seen_paths(model)) == 8


def seen_paths(model: nn.Module) -> list[str]:
    seen: list[str] = []
    with capture_attention(model, lambda visit: seen.append(visit.path)):
        model(torch.rand(2, 3, 32, 32))
    return seen


def test_a_failed_call_leaves_nothing_for_the_next_call() -> None:
    module = create("cbam", 64)
    visits: list[AttentionPass] = []
    with capture_attention(module, visits.append):
        with pytest.raises(OptionError):
            module(torch.rand(1, 64))
        broken = module.get_submodule("spatial").register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module(torch.rand(1, 64, 4, 4))
        broken.remove()
        module(torch.rand(1, 64, 4, 4))
    assert [[part.name for part in visit.parts] for visit in visits] == [["channel", "spatial"]]


def test_the_calls_of_a_shared_module_are_counted_per_pass() -> None:
    shared = create("se", 16, reduction=4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    calls: list[int] = []
    with capture_attention(model, lambda visit: calls.append(visit.call)):
        for _ in range(2):
            model(torch.rand(1, 16, 4, 4))
    assert calls == [0, 1, 0, 1]


@pytest.mark.parametrize("how", ["whole", "in place", "inside", "distributed"])
def test_compiled_networks_are_observed_by_their_plain_twin(how: str) -> None:
    model = resnet18().train(False)
    attendet.attach(model, "cbam", "stage:2-3", start="paper")
    expected = model(torch.ones(1, 3, 32, 32))
    wrapped: Any = model
    if how == "whole":
        wrapped = torch.compile(model, backend="eager")
    elif how == "in place":
        model.compile(backend="eager")
    elif how == "inside":
        setattr(model, "layer2", torch.compile(model.layer2, backend="eager"))  # noqa: B010 (declared as a Sequential)
    else:
        wrapped = nn.DataParallel(model)
    modules = [id(module) for module in wrapped.modules()]
    seen: list[str] = []
    with unwrapped(wrapped) as network:
        with capture_attention(network, lambda visit: seen.append(visit.path)):
            torch.testing.assert_close(network(torch.ones(1, 3, 32, 32)), expected)
        assert network is model
    assert seen == ["layer2.attention", "layer3.attention"]
    assert [id(module) for module in wrapped.modules()] == modules
    assert (model._compiled_call_impl is not None) == (how == "in place")


def test_fused_networks_give_the_same_gates() -> None:
    model = resnet18().train(False)
    attendet.attach(model, "cbam", "residual-branch", start="paper")
    vary_norms(model)
    images = torch.rand(1, 3, 64, 64)
    plain_gates, fused_gates = ([], [])
    for network, gates in ((model, plain_gates), (attendet.fuse(model), fused_gates)):
        with torch.no_grad(), capture_attention(network, lambda visit, gates=gates: gates.append(visit)):
            network(images)
    assert len(plain_gates) == len(fused_gates) == 8
    for one, other in zip(plain_gates, fused_gates, strict=True):
        assert one.path == other.path
        torch.testing.assert_close(spatial(one), spatial(other), atol=1e-4, rtol=1e-4)


def test_maps_of_cbam_are_its_gates() -> None:
    module = randomized(create("cbam", 64))
    x = torch.randn(2, 64, 6, 5)
    visit = visit_of(module, x)
    gates = module.get_submodule("channel"), module.get_submodule("spatial")
    channel = gates[0](x)
    torch.testing.assert_close(channels(visit), channel.flatten(1))
    torch.testing.assert_close(spatial(visit), gates[1](x * channel).squeeze(1))
    torch.testing.assert_close(magnitude(x)[1, 2, 3], x[1, :, 2, 3].abs().sum() / 64)


@pytest.mark.parametrize("name", names())
def test_maps_have_the_shape_of_the_features(name: str) -> None:
    visit = visit_of(randomized(create(name, 64)).train(False), torch.randn(2, 64, 6, 5))
    looks, strip = spatial(visit), channels(visit)
    assert looks is None or looks.shape == (2, 6, 5)
    assert strip is None or strip.shape == (2, 64)
    assert (looks is None and strip is None) == (JOINS.get(name) in ("addition", "mixture", "none"))


def test_entropy_and_saturation_equal_their_definitions() -> None:
    values = torch.rand(3, 10)
    expected = stats.entropy(values.numpy(), base=10, axis=1)
    torch.testing.assert_close(entropy(values), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
    assert entropy(torch.tensor([[-1.0, 2.0]])).isnan()
    gate = torch.tensor([[0.0, 0.09, 0.11, 1.0], [1.89, 1.91, 2.0, 2.0]]).reshape(2, 4, 1, 1)
    shares = saturated(GateOutput("gate", "gate", gate, outermost=True, range=(0.0, 2.0)))
    assert shares is not None
    assert shares.tolist() == [0.5, 0.75]
    assert saturated(GateOutput("gate", "weights", gate, outermost=True)) is None
