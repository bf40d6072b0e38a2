"""OpenVINO files: what they compute, the description in them, and files that are damaged."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.attention import create
from attendet.errors import OptionError, WeightsError
from attendet.exporting.onnx_file import write_onnx
from attendet.exporting.openvino_file import describe_openvino, write_openvino
from attendet.exporting.program import export_program
from attendet.runtimes.file_description import FileDescription
from attendet.runtimes.openvino_model import OpenVinoRuntime

pytest.importorskip("openvino")
pytest.importorskip("onnx")
pytest.importorskip("onnxscript")

# Characters that XML has to escape, and some that it does not allow.
AWKWARD = 'a "b" <c/> & é\n\u2028\x01'
DESCRIPTION = FileDescription(
    kind="network", outputs=("features", "mean"), weights_digest="", versions={}, text=AWKWARD
)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), create("cbam", 64), nn.Conv2d(64, 8, 1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.layers(images)
        return features, features.mean((2, 3))


@pytest.fixture(scope="module")
def network() -> TwoOutputs:
    torch.manual_seed(0)
    return TwoOutputs().eval()


@pytest.fixture(scope="module")
def onnx_file(network: TwoOutputs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "a.onnx"
    write_onnx(export_program(network, torch.rand(2, 3, 64, 64), dynamic=True), path, DESCRIPTION)
    return path


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_outputs_equal_torch_at_every_shape(
    network: TwoOutputs, onnx_file: Path, tmp_path: Path, precision: str, tolerance: float
):
    description = DESCRIPTION.model_copy(update={"precision": precision})
    write_openvino(onnx_file, tmp_path / "a.xml", description)
    runtime = OpenVinoRuntime(tmp_path / "a.xml")
    assert runtime.description == description
    assert runtime.computes_in == "f32"
    kept = []
    for shape in ((1, 3, 64, 64), (3, 3, 32, 96), (1, 3, 64, 64)):
        images = torch.rand(shape)
        with torch.no_grad():
            expected = network(images)
        outputs = runtime.run(images)
        kept.append((outputs, expected))
    # Later calls do not change the tensors of earlier ones.
    for outputs, (features, mean) in kept:
        torch.testing.assert_close(outputs["features"], features, atol=tolerance, rtol=tolerance)
        torch.testing.assert_close(outputs["mean"], mean, atol=tolerance, rtol=tolerance)


def test_half_precision_stores_weights_of_half_the_size(onnx_file: Path, tmp_path: Path):
    sizes = []
    for precision in ("float32", "float16"):
        write_openvino(onnx_file, tmp_path / "a.xml", DESCRIPTION.model_copy(update={"precision": precision}))
        sizes.append((tmp_path / "a.bin").stat().st_size)
    assert sizes[1] < 0.6 * sizes[0]


def test_a_new_description_keeps_the_weights(onnx_file: Path, tmp_path: Path):
    half = DESCRIPTION.model_copy(update={"precision": "float16"})
    write_openvino(onnx_file, tmp_path / "a.xml", half)
    weights = (tmp_path / "a.bin").read_bytes()
    measured = half.model_copy(update={"parity": {"largest": 1e-6}})
    describe_openvino(tmp_path / "a.xml", measured)
    assert OpenVinoRuntime(tmp_path / "a.xml").description == measured
    assert (tmp_path / "a.bin").read_bytes() == weights
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.bin", "a.xml"]


def test_the_processor_may_choose_its_own_precision(network: TwoOutputs, onnx_file: Path, tmp_path: Path):
    write_openvino(onnx_file, tmp_path / "a.xml", DESCRIPTION)
    runtime = OpenVinoRuntime(tmp_path / "a.xml", "cpu", native_precision=True)
    assert runtime.computes_in in ("f32", "bf16", "f16")
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        features, _ = network(images)
    torch.testing.assert_close(runtime.predict(images), features, atol=0.05, rtol=0.05)


def test_a_file_that_is_not_onnx_is_named(tmp_path: Path):
    (tmp_path / "a.onnx").write_bytes(b"not a network")
    with pytest.raises(WeightsError, match=r"a\.onnx: OpenVINO cannot convert the network"):
        write_openvino(tmp_path / "a.onnx", tmp_path / "a.xml", DESCRIPTION)
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


def test_a_missing_part_is_named(onnx_file: Path, tmp_path: Path):
    write_openvino(onnx_file, tmp_path / "a.xml", DESCRIPTION)
    (tmp_path / "a.bin").unlink()
    with pytest.raises(WeightsError, match=r"a\.bin: file of the network not found; export the weights again"):
        OpenVinoRuntime(tmp_path / "a.xml")


@pytest.mark.parametrize("damage", ["cut", "weights", "text"])
def test_a_damaged_file_is_an_error(onnx_file: Path, tmp_path: Path, damage: str):
    write_openvino(onnx_file, tmp_path / "a.xml", DESCRIPTION)
    model, weights = tmp_path / "a.xml", tmp_path / "a.bin"
    match damage:
        case "cut":
            model.write_text(model.read_text()[:2000])
        case "weights":
            weights.write_bytes(weights.read_bytes()[:100])
        case _:
            model.write_text("no model")
    with pytest.raises(WeightsError, match=r"a\.xml: OpenVINO cannot read the file: \w+"):
        OpenVinoRuntime(model)


def test_a_file_of_another_program_has_no_description(onnx_file: Path, tmp_path: Path):
    write_openvino(onnx_file, tmp_path / "a.xml", DESCRIPTION)
    text = (tmp_path / "a.xml").read_text()
    (tmp_path / "a.xml").write_text(text.replace("<attendet value", "<other value"))
    with pytest.raises(WeightsError, match="was not exported by attendet"):
        OpenVinoRuntime(tmp_path / "a.xml")


def test_a_gpu_is_refused(tmp_path: Path):
    with pytest.raises(OptionError, match="`device` must be auto or cpu for OpenVINO files, got 'cuda'"):
        OpenVinoRuntime(tmp_path / "a.xml", "cuda")


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    message = r"`openvino` must be installed to read a\.xml; pip install 'attendet\[openvino\]'"
    with pytest.raises(OptionError, match=message):
        OpenVinoRuntime(tmp_path / "a.xml")
