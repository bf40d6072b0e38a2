"""Attention stays, or its loss is an error, if a tool replaces layers of a network."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.ao.quantization import fuse_modules, get_default_qconfig_mapping
from torch.ao.quantization.quantize_fx import fuse_fx, prepare_fx
from torch.fx.experimental import optimization
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.feature_extraction import create_feature_extractor
from torchvision.models.resnet import BasicBlock, ResNet
from torchvision.ops import FrozenBatchNorm2d

from attendet.errors import OptionError
from attendet.surgery import attach, attached, disabled
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.third_party_networks import equal, randomize, run, vary_norms

LOST = r"the attention at layer1\.0\.bn2 \(now {}\) was removed, but not by `detach`; replace modules before attaching"


def images() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3))


def attentive(at: Any = "residual-branch") -> ResNet:
    model = ResNet(BasicBlock, [1, 1, 1, 1]).train(False)
    vary_norms(model)
    attach(model, "eca", at, start="paper", example=images())
    randomize(model)
    return model


def prepare(model: nn.Module) -> nn.Module:
    return prepare_fx(model, get_default_qconfig_mapping("x86"), (images(),))


def extract(model: nn.Module) -> nn.Module:
    extractor = create_feature_extractor(model, ["fc"])
    return nn.Sequential(extractor, _Only("fc"))


class _Only(nn.Module):
    def __init__(self, key: str) -> None:
        super().__init__()
        self.key = key

    def forward(self, outputs: dict[str, Tensor]) -> Tensor:
        return outputs[self.key]


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("at", ["residual-branch", nn.BatchNorm2d, nn.Conv2d, "before:BatchNorm2d", "before:ReLU"])
@pytest.mark.parametrize("tool", [fuse_fx, prepare, optimization.fuse, torch.fx.symbolic_trace, extract])
def test_tools_of_fx_keep_attention(tool: Callable[[nn.Module], nn.Module], at: Any) -> None:
    model = attentive(at)
    expected = run(model, images())
    with disabled(model):
        without = run(model, images())
    made = tool(copy.deepcopy(model))
    torch.testing.assert_close(run(made, images()), expected, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(expected, without, rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("at", ["residual-branch", "before:BatchNorm2d", ["residual-branch", "residual-branch~layer2"]])
def test_converted_batch_norms_keep_attention(at: Any) -> None:
    model = attentive(at)
    attach(model, "se", "layer1.0.bn2", start="paper")
    facts, expected = ModuleSnapshot(model), run(model, images())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    assert equal(run(converted, images()), expected)
    assert [type(converted.get_submodule(site.path)).__name__ for site in attached(converted)[0].sites] == [
        "SyncBatchNorm"
    ] * len(attached(converted)[0].sites)
    assert {key for key, _ in facts.state} == set(converted.state_dict())
    for attachment in reversed(attached(converted)):
        attachment.detach()
    assert type(converted.get_submodule("layer1.0.bn2")) is nn.SyncBatchNorm


def test_converted_batch_norms_keep_attention_in_compiled_and_exported_code() -> None:
    model = attentive()
    expected = run(model, images())
    compiled = torch.compile(
        nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(model)), fullgraph=True, backend="aot_eager"
    )
    assert isinstance(compiled, nn.Module)
    torch.testing.assert_close(run(compiled, images()), expected)
    program = torch.export.export(nn.SyncBatchNorm.convert_sync_batchnorm(model), (images(),))
    torch.testing.assert_close(run(program.module(), images()), expected)


def freeze(model: ResNet) -> None:
    model.layer1.get_submodule("0").register_module("bn2", FrozenBatchNorm2d(64))


def fold(model: ResNet) -> None:
    block = model.layer1.get_submodule("0")
    folded = fuse_conv_bn_eval(block.get_submodule("conv2"), block.get_submodule("bn2"))  # pyright: ignore[reportArgumentType]
    block.register_module("conv2", folded)
    block.register_module("bn2", nn.Identity())


@pytest.mark.parametrize(("change", "name"), [(freeze, "FrozenBatchNorm2d"), (fold, "Identity")])
def test_a_replaced_layer_is_an_error(change: Callable[[ResNet], None], name: str) -> None:
    model = attentive()
    change(model)
    for network in (model, nn.Sequential(model), copy.deepcopy(model)):
        with pytest.raises(OptionError, match=LOST.format(name)):
            network(images())
    with pytest.raises(OptionError, match=LOST.format(name)):
        attached(model)
    with pytest.raises(OptionError, match=LOST.format(name)):
        torch.export.export(model, (images(),))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with pytest.raises(Exception, match=LOST.format(name)):
        compiled(images())


def test_a_removed_layer_is_an_error() -> None:
    model = attentive()
    del model.layer1.get_submodule("0").bn2
    with pytest.raises(OptionError, match=r"layer1\.0\.bn2 \(no module is there now\) was removed"):
        model(images())


@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
def test_fusion_of_named_layers_is_an_error() -> None:
    with pytest.raises(AssertionError, match="BatchNorm2d with attention"):
        fuse_modules(attentive(), [["layer1.0.conv2", "layer1.0.bn2"]])


def test_a_hook_on_another_layer_is_an_error() -> None:
    model = attentive()
    (hook,) = vars(model.get_submodule("layer1.0.bn2"))["_forward_hooks"].values()
    other = nn.Conv2d(3, 8, 3)
    other.register_forward_hook(hook)
    with pytest.raises(OptionError, match="the attention at a Conv2d is lost: a tool copied its hook"):
        other(images())


def test_detaching_gives_layers_their_classes_back() -> None:
    model = ResNet(BasicBlock, [1, 1, 1, 1]).train(False)
    facts = ModuleSnapshot(model)
    first, second = attach(model, "eca", "residual-branch"), attach(model, "simam", "layer1.0.bn2")
    norm = model.get_submodule("layer1.0.bn2")
    assert isinstance(norm, nn.BatchNorm2d)
    first.detach()
    assert type(norm) is not nn.BatchNorm2d
    second.detach()
    assert facts.matches(model)
