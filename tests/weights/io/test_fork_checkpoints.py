"""Checkpoints of YOLOv5 forks with attention rows give the outputs of the fork."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

import attendet as package
from attendet.models.bundled import bundled_text
from attendet.training.config import TrainConfig
from attendet.training.config_sections import DataConfig, ModelConfig
from attendet.training.training_model import build_training_model
from tests.helpers import fork_modules as fork
from tests.helpers.checkpoints.yolov5_checkpoints import DetectionModel, bare, save
from tests.helpers.command import CommandResult
from tests.helpers.fork_modules import ForkModule

AUTHORS = (("ChannelGate.mlp.1", "ChannelGate.mlp.3"), "SpatialGate.spatial.conv")
C = 256

# For each kind of fork, the module of a row and the module that the fork builds for it.
FORKS: dict[str, tuple[str, Callable[[], ForkModule]]] = {
    "authors": (
        "CBAM",
        lambda: fork.cbam(
            C, *AUTHORS, bn="SpatialGate.spatial.bn", maximum_first=True, biases=True, as_convolutions=False
        ),
    ),
    "authors without biases and norm": (
        "CBAM",
        lambda: fork.cbam(C, *AUTHORS, maximum_first=True, as_convolutions=False),
    ),
    "ca and sa": ("CBAM", lambda: fork.cbam(C, ("ca.fc.0", "ca.fc.2"), "sa.conv")),
    "ca and sa, conv1": ("CBAM", lambda: fork.cbam(C, ("ca.fc1", "ca.fc2"), "sa.conv1")),
    "f1, f2": (
        "CBAM",
        lambda: fork.cbam(C, ("channel_attention.f1", "channel_attention.f2"), "spatial_attention.conv"),
    ),
    "biases": (
        "CBAM",
        lambda: fork.cbam(
            C,
            ("channel_attention.fc.0", "channel_attention.fc.2"),
            "spatial_attention.cv1",
            biases=True,
            conv_bias=True,
        ),
    ),
    "timm": (
        "CBAM",
        lambda: fork.cbam(C, ("channel.fc1", "channel.fc2"), "spatial.conv.conv", bn="spatial.conv.bn"),
    ),
    "unknown names": ("CBAM", lambda: fork.cbam(C, ("a.squeeze", "a.excite"), "b.mix", as_convolutions=False)),
    "another kernel and ratio": (
        "CBAM",
        lambda: fork.cbam(C, ("ca.fc.0", "ca.fc.2"), "sa.conv", kernel_size=3, reduction=8),
    ),
    "residual bottleneck": ("CBAM", lambda: fork.residual_cbam(C)),
    "Ultralytics": ("CBAM", lambda: fork.ultralytics_cbam(C)),
    "SE": ("SE", lambda: fork.se(C, "fc.0", "fc.2")),
    "SE, l1 and l2": ("SE", lambda: fork.se(C, "l1", "l2")),
    "ECA": ("ECA", lambda: fork.eca(5)),
    "CoordAtt": ("CoordAtt", lambda: fork.coordinate(C)),
    "SimAM": ("SimAM", fork.simam),
}


def model_text(module: str) -> str:
    """Return the model file of yolov5n for two classes, with an attention module as row 9."""
    document = yaml.safe_load(bundled_text("yolov5n_CBAM"))
    document["backbone"][9] = [-1, 1, module, [] if module == "SimAM" else [1024]]
    return yaml.safe_dump({**document, "nc": 2})


@pytest.fixture(params=FORKS)
def fork_file(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, nn.Module]:
    """Return a fork's checkpoint, and the network with the fork's module in row 9."""
    torch.manual_seed(0)
    module, make = FORKS[request.param]
    text = model_text(module)
    (tmp_path / "fork.yaml").write_text(text)
    network = package.build(tmp_path / "fork.yaml").train(False)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point() and tensor.ndim != 3:
            tensor.add_(torch.rand_like(tensor) / 20)
    network.model[9] = make()
    pickled = DetectionModel()
    pickled.model = bare(network.model)
    pickled.yaml, pickled.names, pickled.nc = yaml.safe_load(text), ["cat", "dog"], 2
    return save({"epoch": 1, "model": pickled, "ema": None}, tmp_path / "fork.pt"), network


def assert_same_outputs(detector: nn.Module, network: nn.Module) -> None:
    x = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        for found, expected in zip(detector(x), network(x), strict=True):
            torch.testing.assert_close(found, expected)


def test_it_opens_and_converts(fork_file: tuple[Path, nn.Module], attendet: Callable[..., CommandResult]) -> None:
    path, network = fork_file
    opened = package.open(path)
    assert opened.names == ("cat", "dog")
    assert_same_outputs(opened.detector, network)
    converted = json.loads(attendet("weights", "convert", str(path), "--json").stdout)["file"]
    assert_same_outputs(package.open(converted).detector, network)


def test_it_loads_into_its_model_file_without_new_tensors(fork_file: tuple[Path, nn.Module]) -> None:
    path, network = fork_file
    state: dict[str, Tensor] = network.state_dict()
    detector = package.build(path.with_name("fork.yaml"), start="identity", checkpoint=state).train(False)
    report = package.load_weights(detector, path, names=["cat", "dog"])
    assert report.complete, report
    assert_same_outputs(detector, network)


def test_the_other_rows_load_into_a_model_without_attention(fork_file: tuple[Path, nn.Module]) -> None:
    path, _ = fork_file
    without = package.build("yolov5n", num_classes=2)
    report = package.load_weights(without, path, names=["cat", "dog"])
    assert len(report.kept) == len(without.state_dict())
    assert {key.split(".")[1] for key in report.dropped} <= {"9"}


def test_training_reports_nothing_new(fork_file: tuple[Path, nn.Module]) -> None:
    path, network = fork_file
    model = ModelConfig(cfg=str(path.with_name("fork.yaml")), weights=str(path))
    built = build_training_model(TrainConfig(data=DataConfig(path="data.yaml"), model=model), ("cat", "dog"))
    total = len(built.detector.state_dict())
    assert f"{path}: kept {total} of {total} tensors" in built.notes
    assert not [note for note in built.notes if note.startswith(f"{path}: ") and "kept" not in note]
    assert_same_outputs(built.detector.train(False), network)


NESTED = {
    "attention.channel.fc1.weight": "channel_attention.f1.weight",
    "attention.channel.fc2.weight": "channel_attention.f2.weight",
    "attention.spatial.conv.weight": "spatial_attention.conv.weight",
}


@torch.no_grad()
@pytest.mark.parametrize("block", ["C3CBAM", "CBAMC3", "C2f_CBAM"])
@pytest.mark.parametrize("below", ["", "cbam."])
def test_attention_inside_blocks(tmp_path: Path, block: str, below: str) -> None:
    document = yaml.safe_load(bundled_text("yolov5n"))
    document["backbone"][8][2] = block
    (tmp_path / "fork.yaml").write_text(yaml.safe_dump({**document, "nc": 2}))
    trained = package.build(tmp_path / "fork.yaml").train(False)
    state = {}
    for key, value in trained.state_dict().items():
        nested = next((ours for ours in NESTED if key.endswith(ours)), None)
        if nested and value.ndim == 2:
            nn.init.normal_(value)
        name = key.removesuffix(nested) + below + NESTED[nested] if nested else key
        if not key.endswith("attention.channel.range") and not key.endswith("attention.spatial.range"):
            state[name] = value[..., None, None] if nested and value.ndim == 2 else value
    torch.save(state, tmp_path / "fork.pth")
    detector = package.build(tmp_path / "fork.yaml", start="identity").train(False)
    assert package.load_weights(detector, tmp_path / "fork.pth").complete
    assert_same_outputs(detector, trained)
