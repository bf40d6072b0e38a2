"""Attached attention is saved with the weights and is attached again when they are loaded."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models import resnet18

import attendet
from attendet.errors import AttendetError, WeightsError
from attendet.models.bundled import bundled_text
from attendet.weights.io import opening
from attendet.weights.io.model_card import ModelCard


def randomized(model: nn.Module) -> nn.Module:
    """Give all attached attention random weights."""
    for attachment in attendet.attached(model):
        for parameter in nn.ModuleDict({str(n): m for n, m in enumerate(attachment.modules().values())}).parameters():
            nn.init.normal_(parameter, std=0.3)
    return model.train(False)


@torch.no_grad()
def test_attention_in_a_torchvision_network_is_restored(tmp_path: Path) -> None:
    model = resnet18(num_classes=7)
    attendet.attach(model, "cbam", "residual-branch", variant="authors", reduction=8)
    attendet.attach(model, "bam", "stage:1-3")
    randomized(model)
    attendet.save_weights(model, tmp_path / "a.safetensors")
    again = resnet18(num_classes=7).train(False)
    report = attendet.load_weights(again, tmp_path / "a.safetensors")
    assert report.complete
    images = torch.rand(2, 3, 64, 64)
    assert torch.equal(again(images), model(images))
    assert [a.plan for a in attendet.attached(again)] == [a.plan for a in attendet.attached(model)]


@torch.no_grad()
def test_a_detector_is_restored_from_the_file_alone(tmp_path: Path) -> None:
    model = attendet.build("yolov5n", num_classes=2)
    attendet.attach(model, "cbam", ["neck", "before:SPPF"], reduction=8)
    attendet.attach(model, "cbam", "replace:backbone.C3", reduction=4)
    randomized(model)
    card = ModelCard("yolov5n", bundled_text("yolov5n"), "auto", ("cat", "dog"), 64)
    attendet.save_weights(model, tmp_path / "a.safetensors", card)
    again = opening.open(tmp_path / "a.safetensors").detector
    images = torch.rand(1, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(again(images), model(images), strict=True))


def test_weights_of_a_wrapped_network(tmp_path: Path) -> None:
    model = resnet18()
    attendet.attach(model, "cbam", "stage")
    attendet.save_weights(nn.DataParallel(model), tmp_path / "a.safetensors")
    assert attendet.load_weights(resnet18(), tmp_path / "a.safetensors").complete


class NamedLikeWrapper(nn.Module):
    """A network whose only child has the name that wrappers use."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(x)


@torch.no_grad()
def test_a_network_that_looks_like_a_wrapper_is_restored(tmp_path: Path) -> None:
    model = NamedLikeWrapper()
    attendet.attach(model, "cbam", "module.0", reduction=2)
    randomized(model)
    attendet.save_weights(model, tmp_path / "a.safetensors")
    again = NamedLikeWrapper().train(False)
    assert attendet.load_weights(again, tmp_path / "a.safetensors").complete
    images = torch.rand(1, 3, 16, 16)
    assert torch.equal(again(images), model(images))


def test_attention_that_is_already_attached_stays(tmp_path: Path) -> None:
    model = resnet18()
    attendet.attach(model, "cbam", "stage")
    attendet.save_weights(model, tmp_path / "a.safetensors")
    other = resnet18()
    attendet.attach(other, "cbam", "layer1")
    report = attendet.load_weights(other, tmp_path / "a.safetensors")
    assert not report.new
    assert {key.split(".")[0] for key in report.dropped} == {"layer2", "layer3", "layer4"}


PLAN = {
    "attention": "cbam",
    "at": ["stage"],
    "start": "identity",
    "options": {},
    "sites": [{"path": "layer1", "channels": 64, "stride": 4.0, "side": "output", "child": "attention"}],
}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        "7",
        json.dumps([7]),
        json.dumps([PLAN] * 1000),
        json.dumps([{**PLAN, "attention": "unknown"}]),
        json.dumps([{**PLAN, "attention": ["cbam"]}]),
        json.dumps([{**PLAN, "options": {"reduction": -1}}]),
        json.dumps([{**PLAN, "options": {"kernel_size": 10**9 + 1}}]),
        json.dumps([{**PLAN, "options": {"unknown": 1}}]),
        json.dumps([{**PLAN, "options": {"name": 1}}]),
        json.dumps([{**PLAN, "options": {"channels": 64}}]),
        json.dumps([{**PLAN, "options": {"order": ["x" * 5000]}}]),
        json.dumps([{**PLAN, "options": {"reduction": 1e-320}}]),
        json.dumps([{**PLAN, "options": {"reduction": 10**400}}]),
        json.dumps([{**PLAN, "options": {"dims": 7}}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "stride": 10**400}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "stride": True}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "stride": float("nan")}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "stride": float("inf")}]}]),
        json.dumps([PLAN]) + " " * 2**22,
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "path": "layer9"}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "path": "layer1\0"}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "channels": 2**19}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "side": "replaced"}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "child": "0"}]}]),
        json.dumps([{**PLAN, "sites": [{**PLAN["sites"][0], "child": ""}]}]),
    ],
)
def test_an_invalid_plan_leaves_the_network_unchanged(tmp_path: Path, text: str) -> None:
    model = resnet18()
    attendet.attach(model, "cbam", "layer1")
    attendet.save_weights(model, tmp_path / "a.safetensors")
    tensors = load_file(tmp_path / "a.safetensors")
    save_file(tensors, tmp_path / "b.safetensors", metadata={"attention": text})
    network = resnet18()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(AttendetError) as caught:
        attendet.load_weights(network, tmp_path / "b.safetensors")
    assert len(str(caught.value)) < 1000
    assert isinstance(caught.value, WeightsError)
    assert network.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
