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
from attendet.interpret.maps import channel_weights, entropy, find_join, magnitude, saturated_fraction, spatial_weights
from attendet.utils.modules import evaluation_mode, unwrapped
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.third_party_networks import vary_norms

# From the docstrings of the modules; all other modules multiply features by weights.
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


def single_call(model: nn.Module, *inputs: Tensor) -> AttentionPass:
    calls_seen: list[AttentionPass] = []
    with torch.no_grad(), capture_attention(model, calls_seen.append):
        model(*inputs)
    (call,) = calls_seen
    return call


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_recorded_weights_reproduce_the_output(name: str, dtype: torch.dtype) -> None:
    module = randomized(create(name, 64)).train(False).to(dtype)
    x = torch.randn(2, 64, 6, 5).to(dtype)
    call = single_call(module, x)
    assert torch.equal(call.before, x)
    # Without hooks, a module may compute in another order, with other rounding errors.
    roundings = {torch.float32: 1e-5, torch.bfloat16: 0.06}[dtype]
    torch.testing.assert_close(call.after, module(x), rtol=roundings, atol=roundings)
    assert find_join(call) == JOINS.get(name, "product")
    if name not in JOINS:
        # Computed here, and not by the function under test.
        product = x
        for part in call.parts:
            if part.outermost:
                product = product * part.value
        assert torch.equal(product, call.after)


def test_weights_that_all_images_share_have_an_image_axis() -> None:
    module = create("control-noise-gate", 64, like="se").train(False)
    (means,) = [buffer for name, buffer in module.named_buffers() if name.endswith(".mean")]
    means.uniform_(0.5, 1.5)
    (part,) = single_call(module, torch.randn(2, 64, 6, 5)).parts
    assert torch.equal(part.value, means.reshape(1, 64, 1, 1))


def test_a_tampered_gate_is_not_a_product() -> None:
    call = single_call(randomized(create("cbam", 64)), torch.randn(2, 64, 6, 5))
    first, *rest = call.parts
    tampered = (GateOutput(first.name, first.role, first.value * 1.01, first.outermost, first.range), *rest)
    assert find_join(AttentionPass("", call.module, 0, call.before, call.after, tampered)) == "mixture"


def test_sites_are_the_outermost_modules_of_attached_and_built_networks() -> None:
    assert list(attention_sites(attendet.build("yolov5n_CBAM"))) == ["model.9"]
    model = resnet18()
    attendet.attach(model, "se", "stage:3-4")
    attendet.attach(model, "control-noise-gate", "stage:2")
    assert list(attention_sites(model)) == ["layer2.attention", "layer3.attention", "layer4.attention"]
    assert list(attention_sites(model, "layer[34]*")) == ["layer3.attention", "layer4.attention"]
    with pytest.raises(UnknownNameError, match=r"layer2\.attention"):
        attention_sites(model, "layer9*")
    with pytest.raises(OptionError, match=r"the network \(ResNet\) has no attention modules; attach some"):
        attention_sites(resnet18())


@pytest.mark.parametrize("where", ["receiving", "the network", "nowhere"])
def test_hooks_are_gone_also_after_an_exception(where: str) -> None:
    model = resnet18()
    attendet.attach(model, "cbam", "residual-branch")
    snapshot = ModuleSnapshot(model)

    def fail(*_: object) -> None:
        raise KeyError

    def run() -> None:
        with unwrapped(model) as network, evaluation_mode(network):
            # The exception comes in the middle of a forward pass, after some of the sites.
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
    assert snapshot.matches(model)
    with torch.no_grad():
        assert len(captured_paths(model)) == 8


def captured_paths(model: nn.Module) -> list[str]:
    paths: list[str] = []
    with capture_attention(model, lambda call: paths.append(call.path)):
        model(torch.rand(2, 3, 32, 32))
    return paths


def test_a_failed_call_leaves_no_outputs_for_the_next_call() -> None:
    module = create("cbam", 64)
    calls_seen: list[AttentionPass] = []
    with capture_attention(module, calls_seen.append):
        with pytest.raises(OptionError):
            module(torch.rand(1, 64))
        broken = module.get_submodule("spatial").register_forward_pre_hook(lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            module(torch.rand(1, 64, 4, 4))
        broken.remove()
        module(torch.rand(1, 64, 4, 4))
    assert [[part.name for part in call.parts] for call in calls_seen] == [["channel", "spatial"]]


def test_the_calls_of_a_shared_module_are_counted_per_forward_pass() -> None:
    shared = create("se", 16, reduction=4)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    calls: list[int] = []
    with capture_attention(model, lambda call: calls.append(call.call)):
        for _ in range(2):
            model(torch.rand(1, 16, 4, 4))
    assert calls == [0, 1, 0, 1]


@pytest.mark.parametrize("how", ["whole", "in place", "inside", "distributed"])
def test_compiled_and_wrapped_networks_are_captured(how: str) -> None:
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
    paths: list[str] = []
    with unwrapped(wrapped) as network:
        with capture_attention(network, lambda call: paths.append(call.path)):
            torch.testing.assert_close(network(torch.ones(1, 3, 32, 32)), expected)
        assert network is model
    assert paths == ["layer2.attention", "layer3.attention"]
    assert [id(module) for module in wrapped.modules()] == modules
    assert (model._compiled_call_impl is not None) == (how == "in place")


def test_fused_networks_give_the_same_gates() -> None:
    model = resnet18().train(False)
    attendet.attach(model, "cbam", "residual-branch", start="paper")
    vary_norms(model)
    images = torch.rand(1, 3, 64, 64)
    plain_gates, fused_gates = ([], [])
    for network, gates in ((model, plain_gates), (attendet.fuse(model), fused_gates)):
        with torch.no_grad(), capture_attention(network, lambda call, gates=gates: gates.append(call)):
            network(images)
    assert len(plain_gates) == len(fused_gates) == 8
    for one, other in zip(plain_gates, fused_gates, strict=True):
        assert one.path == other.path
        torch.testing.assert_close(spatial_weights(one), spatial_weights(other), atol=1e-4, rtol=1e-4)


def test_maps_of_cbam_are_its_gates() -> None:
    module = randomized(create("cbam", 64))
    x = torch.randn(2, 64, 6, 5)
    call = single_call(module, x)
    gates = module.get_submodule("channel"), module.get_submodule("spatial")
    channel = gates[0](x)
    torch.testing.assert_close(channel_weights(call), channel.flatten(1))
    torch.testing.assert_close(spatial_weights(call), gates[1](x * channel).squeeze(1))
    torch.testing.assert_close(magnitude(x)[1, 2, 3], x[1, :, 2, 3].abs().sum() / 64)


@pytest.mark.parametrize("name", names())
def test_maps_have_the_shape_of_the_features(name: str) -> None:
    call = single_call(randomized(create(name, 64)).train(False), torch.randn(2, 64, 6, 5))
    over_positions, over_channels = spatial_weights(call), channel_weights(call)
    assert over_positions is None or over_positions.shape == (2, 6, 5)
    assert over_channels is None or over_channels.shape == (2, 64)
    assert (over_positions is None and over_channels is None) == (JOINS.get(name) in ("addition", "mixture", "none"))


def test_entropy_and_saturation_equal_their_definitions() -> None:
    values = torch.rand(3, 10)
    expected = stats.entropy(values.numpy(), base=10, axis=1)
    torch.testing.assert_close(entropy(values), torch.from_numpy(expected), rtol=1e-5, atol=1e-6)
    assert entropy(torch.tensor([[-1.0, 2.0]])).isnan()
    gate = torch.tensor([[0.0, 0.09, 0.11, 1.0], [1.89, 1.91, 2.0, 2.0]]).reshape(2, 4, 1, 1)
    fractions = saturated_fraction(GateOutput("gate", "gate", gate, outermost=True, range=(0.0, 2.0)))
    assert fractions is not None
    assert fractions.tolist() == [0.5, 0.75]
    assert saturated_fraction(GateOutput("gate", "weights", gate, outermost=True)) is None
