"""ncnn files: what pnnx writes, and the networks and options that it does not convert."""

import copy
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import attendet
from attendet.attention import create
from attendet.data.loading.resizing import resize
from attendet.errors import OptionError
from attendet.exporting.graph import NetworkGraph
from attendet.exporting.ncnn_file import describe_ncnn, without_decoding, write_ncnn
from attendet.models.detector import prepare_for_inference
from attendet.runtimes.file_description import FileDescription, InputShape
from attendet.runtimes.ncnn_network import NcnnRuntime, ncnn_weights_path
from tests.helpers.calibrated_detector import calibrated_detector, photographs

pytest.importorskip("ncnn")
pytest.importorskip("pnnx")

NETWORK = FileDescription(
    kind="network", shape=InputShape(batch=1), outputs=("output",), weights_digest="", versions={}
)


class SumOverBatch(nn.Module):
    """Two pools on the batch axis, whose sum pnnx writes wrongly and reports as not supported."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.conv(images)
        pools = torch.stack([features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)])
        return features * pools.sum(0)


class WithoutCounterpart(nn.Module):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.relu(images).lerp(images.flip(3), 0.25).cumsum(3).roll(1, 2).fmod(0.3)


@pytest.mark.parametrize("model", ["yolov5n_CBAM", "yolov8n_CBAM"])
def test_a_detector_is_the_network_in_torch_at_every_size(tmp_path: Path, model: str):
    # The features of an untrained detector vanish before its head, so its boxes hardly depend on the image.
    detector = calibrated_detector(model)
    network = without_decoding(prepare_for_inference(detector, "cpu").to(memory_format=torch.contiguous_format))
    description = NETWORK.model_copy(
        update={
            "kind": "detector",
            "names": ("cat", "white dog"),
            "imgsz": 128,
            "strides": detector.strides,
            "suppression": detector.head.suppression,
            "decoding": detector.head.map_decoding(),
            "outputs": ("predictions",),
        }
    )
    write_ncnn(network, torch.rand(1, 3, 128, 128), tmp_path / "best.param", description)
    runtime = NcnnRuntime(tmp_path / "best.param")
    assert runtime.description == description
    for width, height in ((192, 128), (256, 160)):
        pictures = np.stack([resize(image, width)[:height, :width] for image in photographs()])
        images = torch.from_numpy(pictures).permute(0, 3, 1, 2) / 255
        with torch.no_grad():
            expected = detector.decode(detector(images))
        actual = runtime.predict(images)
        for values, least in ((slice(0, 4), 25), (slice(4, None), 0.5)):
            between_photographs = float((expected[0] - expected[1])[:, values].abs().max())
            assert between_photographs > least
            assert float((actual - expected)[..., values].abs().max()) < 2e-3 * between_photographs


@pytest.mark.parametrize("name", ["cbam", "gc", "triplet", "simam", "coordinate"])
def test_attention_at_two_sizes(tmp_path: Path, name: str):
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), create(name, 64)).eval()
    write_ncnn(network, torch.rand(1, 3, 20, 20), tmp_path / "a.param", NETWORK)
    runtime = NcnnRuntime(tmp_path / "a.param")
    for shape in ((1, 3, 20, 20), (2, 3, 12, 28)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = network(images)
        torch.testing.assert_close(runtime.predict(images), expected, atol=1e-5, rtol=1e-5)


def test_half_precision_stores_weights_of_half_the_size(tmp_path: Path):
    network = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3)).eval()
    images = torch.rand(1, 3, 16, 16)
    half = NETWORK.model_copy(update={"precision": "float16"})
    write_ncnn(network, images, tmp_path / "full.param", NETWORK)
    write_ncnn(network, images, tmp_path / "half.param", half)
    sizes = [ncnn_weights_path(tmp_path / name).stat().st_size for name in ("full.param", "half.param")]
    assert sizes[1] < 0.6 * sizes[0]
    with torch.no_grad():
        expected = network(images)
    difference = (NcnnRuntime(tmp_path / "half.param").predict(images) - expected).abs().max()
    assert 0 < difference < 1e-3


def test_a_network_in_half_precision_is_converted_in_float32(tmp_path: Path):
    network = nn.Sequential(nn.Conv2d(3, 64, 3), create("cbam", 64)).eval().half()
    graph = NetworkGraph(network, torch.float16)
    description = NETWORK.model_copy(update={"precision": "float16"})
    write_ncnn(graph, torch.rand(1, 3, 16, 16).half(), tmp_path / "a.param", description)
    images = torch.rand(1, 3, 16, 16)
    # The graph keeps its precision, in which torch rounds after every operation.
    with torch.no_grad():
        (expected,) = graph(images)
        exact = copy.deepcopy(network).float()(images)
    actual = NcnnRuntime(tmp_path / "a.param").predict(images)
    torch.testing.assert_close(actual, exact, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(actual, expected, atol=5e-3, rtol=5e-3)


def test_a_line_about_an_unsupported_operator_is_an_error_and_leaves_no_file(tmp_path: Path):
    with pytest.raises(OptionError, match=r"pnnx reports '.*batch axis.*not supported"):
        write_ncnn(SumOverBatch().eval(), torch.rand(1, 3, 8, 8), tmp_path / "a.param", NETWORK)
    assert not list(tmp_path.iterdir())


def test_an_operator_that_pnnx_passes_on_silently_is_an_error(tmp_path: Path):
    with pytest.raises(OptionError, match="all operators of the network must exist in ncnn"):
        write_ncnn(WithoutCounterpart().eval(), torch.rand(1, 3, 8, 8), tmp_path / "a.param", NETWORK)
    assert not list(tmp_path.iterdir())


def test_a_converter_that_fails_is_an_error_with_its_last_line(tmp_path: Path, monkeypatch):
    def failing(*_args, **_kwargs) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 255, "pass_level0\n", "std::bad_alloc\n")

    monkeypatch.setattr(subprocess, "run", failing)
    with pytest.raises(OptionError, match=r"pnnx cannot convert the network: std::bad_alloc; export it as onnx"):
        write_ncnn(nn.Conv2d(3, 4, 1).eval(), torch.rand(1, 3, 8, 8), tmp_path / "a.param", NETWORK)


def test_two_images_are_refused(tmp_path: Path):
    with pytest.raises(OptionError, match="`batch` must be 1 for ncnn, got 2"):
        write_ncnn(nn.Conv2d(3, 4, 1).eval(), torch.rand(2, 3, 8, 8), tmp_path / "a.param", NETWORK)


def test_a_new_description_replaces_the_old_one(tmp_path: Path):
    network = nn.Conv2d(3, 4, 1).eval()
    path = tmp_path / "a.param"
    write_ncnn(network, torch.rand(1, 3, 8, 8), path, NETWORK)
    first = NcnnRuntime(path).predict(torch.ones(1, 3, 8, 8))
    measured = NETWORK.model_copy(update={"parity": {"largest": 1e-6}, "model": "line\u2028separator\n"})
    describe_ncnn(path, measured)
    second = NcnnRuntime(path)
    assert second.description == measured
    assert path.read_text().count("attendet {") == 1
    assert torch.equal(second.predict(torch.ones(1, 3, 8, 8)), first)


def test_a_detector_without_decoding_shares_the_modules():
    detector = attendet.build("yolov5n", num_classes=2).eval()
    network = without_decoding(detector)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        raw, maps = detector(images), network(images)
    for level, channels in zip(raw, maps, strict=True):
        assert torch.equal(level, channels.unflatten(1, (3, 7)).permute(0, 1, 3, 4, 2))
    assert len({id(parameter) for parameter in (*detector.parameters(), *network.parameters())}) == len(
        list(detector.parameters())
    )
