"""torch.fx traces every form of every module, alone and in networks, also with attached attention."""

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor

import attendet
from attendet.attention import create
from attendet.attention.catalog import attentions, options_of
from tests.attention.contract_cases import CHANNELS, FORMS, IDS, randomize, size_of

forms = pytest.mark.parametrize(("name", "options"), FORMS, ids=IDS)


def copies(traced: fx.GraphModule) -> list[nn.Module]:
    # The test unpickles its own pickle.
    return [traced, copy.deepcopy(traced), pickle.loads(pickle.dumps(traced))]  # noqa: S301


def trained(name: str, options: dict[str, Any]) -> nn.Module:
    """Return a module with random parameters and running statistics, in evaluation mode."""
    module = randomize(create(name, CHANNELS, **options))
    module(torch.randn(3, CHANNELS, *size_of(options, 6, 5, 3)))
    return module.train(False)


@forms
@torch.no_grad()
def test_a_traced_module_equals_the_module_at_any_size(name: str, options: dict[str, Any]) -> None:
    module = trained(name, options)
    traced = copies(fx.symbolic_trace(module))
    for batch, *lengths in ((2, 8, 6, 4), (1, 3, 9, 5), (3, 1, 1, 1)):
        x = torch.randn(batch, CHANNELS, *size_of(options, *lengths))
        for twin in traced:
            torch.testing.assert_close(twin(x), module(x), rtol=1e-4, atol=1e-5)


@forms
@torch.no_grad()
def test_a_traced_network_contains_the_module_itself(name: str, options: dict[str, Any]) -> None:
    network = nn.Sequential(nn.Identity(), trained(name, options))
    traced = fx.symbolic_trace(network)
    assert [node.target for node in traced.graph.nodes if node.op == "call_module"] == ["0", "1"]
    for size in ((6, 5, 3), (2, 7, 4)):
        x = torch.randn(2, CHANNELS, *size_of(options, *size))
        for twin in copies(traced):
            assert torch.equal(twin(x), network(x))


def test_a_traced_network_trains_as_the_network_does() -> None:
    network = nn.Sequential(nn.Conv2d(3, CHANNELS, 3), create("cbam", CHANNELS, variant="authors"))
    traced = fx.symbolic_trace(copy.deepcopy(network))
    x = torch.randn(4, 3, 9, 9)
    for model in (network, traced):
        model.train()(x).square().sum().backward()
    assert traced.state_dict().keys() == network.state_dict().keys()
    for key, value in traced.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key])
    for ours, theirs in zip(traced.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad)


def test_masks_reach_a_traced_module() -> None:
    module = trained("cbam", {"dims": 1})
    traced = fx.symbolic_trace(module)
    x, mask = torch.randn(2, CHANNELS, 9), torch.rand(2, 9) < 0.7
    torch.testing.assert_close(traced(x, mask), module(x, mask))


class TwoStages(nn.Module):
    """A small network whose own forward calls its stages, as torchvision's networks do."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.ReLU())
        self.stage2 = nn.Sequential(nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.ReLU())
        self.fc = nn.Linear(64, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stage2(self.stage1(x)).mean((2, 3)))


def assert_features_are_equal(network: nn.Module, attached: attendet.Attachment, last_stage: str) -> None:
    """Compare a feature extractor with the network, whose attention must matter, at several sizes of images."""
    extractor = create_feature_extractor(network, {last_stage: "features", "fc": "classes"})
    kept: list[Tensor] = []
    network.get_submodule(last_stage).register_forward_hook(lambda *given: kept.append(given[-1]))
    assert len(attached.sites) >= 2
    for size in (32, 24):
        images = torch.rand(2, 3, size, size)
        expected = network(images)
        found = extractor(images)
        torch.testing.assert_close(found["classes"], expected)
        torch.testing.assert_close(found["features"], kept[-1])


@pytest.mark.filterwarnings("ignore:.*in the hidden layer")
@pytest.mark.parametrize(("name", "options"), [form for form in FORMS if form[1].get("dims", 2) == 2])
@torch.no_grad()
def test_features_of_a_network_with_attached_attention(name: str, options: dict[str, Any]) -> None:
    network = TwoStages().train(False)
    start = {"start": "paper"} if "start" in options_of(attentions.get(name)) else {}
    attached = attendet.attach(network, name, "stage?", example=torch.rand(1, 3, 32, 32), **start | options)
    assert_features_are_equal(network, attached, "stage2")


@torch.no_grad()
def test_features_of_a_residual_network() -> None:
    network = resnet18().train(False)
    attached = attendet.attach(network, "cbam", "residual-branch", example=torch.rand(1, 3, 64, 64), start="paper")
    assert_features_are_equal(network, attached, "layer4")
