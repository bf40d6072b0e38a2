"""ONNX files with 8-bit convolutions: their quality, their operators, and their descriptions."""

import logging
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from attendet.data.records import Split
from attendet.errors import OptionError
from attendet.exporting.parity import QualityComparison
from attendet.exporting.quantization import MAX_LOSS, CalibrationImages, quantize_onnx
from attendet.runtimes.runtime_files import open_file

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def quality(before: float, after: float) -> QualityComparison:
    return QualityComparison(before, after, images=48, limit=MAX_LOSS)


@pytest.fixture(scope="module", params=["asymmetric", "symmetric"])
def quantized(
    request: pytest.FixtureRequest,
    onnx_file: Path,
    calibration: CalibrationImages,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    path = tmp_path_factory.mktemp(request.param) / "int8.onnx"
    quantize_onnx(onnx_file, path, calibration, activations=request.param)
    return path


def test_convolutions_only_pass_the_gate(quantized: Path, map_in_torch: float, map_of: Callable[[Path], float]):
    assert map_in_torch > 0.5
    outcome = quality(map_in_torch, map_of(quantized))
    assert outcome.passes, outcome


def test_quantizing_everything_fails_the_gate(
    onnx_file: Path,
    calibration: CalibrationImages,
    tmp_path: Path,
    map_in_torch: float,
    map_of: Callable[[Path], float],
):
    """Boxes in pixels and scores in 0-1 get one range, because they share tensors of the decoding."""
    from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static  # noqa: PLC0415
    from onnxruntime.quantization.shape_inference import quant_pre_process  # noqa: PLC0415

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.images = iter(calibration)

        def get_next(self) -> Any:
            image = next(self.images, None)
            return None if image is None else {"images": image}

    quant_pre_process(onnx_file, tmp_path / "prepared.onnx", skip_symbolic_shape=True)
    quantize_static(
        tmp_path / "prepared.onnx",
        tmp_path / "all.onnx",
        Reader(),
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )
    outcome = quality(map_in_torch, map_of(tmp_path / "all.onnx"))
    assert not outcome.passes
    assert outcome.loss > 0.1


def test_only_convolutions_are_between_quantizers(quantized: Path, onnx_file: Path):
    """Every 8-bit tensor is an input or an output of a convolution, and the three heads are in float32."""
    graph = onnx.load(quantized).graph
    makers = {output: node for node in graph.node for output in node.output}
    quantizers = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    assert quantizers
    dequantized = {node.output[0] for node in graph.node if node.op_type == "DequantizeLinear"}
    for quantizer in quantizers:
        maker = makers.get(quantizer.input[0])
        made_by_convolution = maker is not None and maker.op_type == "Conv"
        readers = {
            reader.op_type
            for dequantizer in graph.node
            if dequantizer.op_type == "DequantizeLinear" and dequantizer.input[0] == quantizer.output[0]
            for reader in graph.node
            if dequantizer.output[0] in reader.input
        }
        # Other operators, such as the Shape of the images, may read the rounded values as well.
        assert made_by_convolution or "Conv" in readers
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    in_float = [node for node in convolutions if node.input[1] not in dequantized]
    assert len(convolutions) == sum(node.op_type == "Conv" for node in onnx.load(onnx_file).graph.node)
    assert sorted(len(onnx.numpy_helper.to_array(weight)) for weight in weights_of(graph, in_float)) == [21, 21, 21]


def weights_of(graph: Any, nodes: list[Any]) -> list[Any]:
    return [tensor for node in nodes for tensor in graph.initializer if tensor.name == node.input[1]]


def test_weights_have_one_scale_per_output_channel_and_zero_point_zero(quantized: Path):
    graph = onnx.load(quantized).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    makers = {node.output[0]: node for node in graph.node if node.op_type == "DequantizeLinear"}
    weights = [makers[node.input[1]] for node in graph.node if node.op_type == "Conv" and node.input[1] in makers]
    assert weights
    for node in weights:
        values, scales, zeros = (constants[name] for name in node.input)
        axis = next(attribute.i for attribute in node.attribute if attribute.name == "axis")
        assert (values.dtype, axis, scales.shape) == (np.int8, 0, values.shape[:1])
        assert not zeros.any()


def test_symmetric_files_have_what_tensorrt_reads(onnx_file: Path, calibration: CalibrationImages, tmp_path: Path):
    """All zero points are 0, all 8-bit tensors are signed, and no bias is dequantized from int32."""
    path = tmp_path / "int8.onnx"
    quantize_onnx(onnx_file, path, calibration[:2], activations="symmetric")
    graph = onnx.load(path).graph
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    zeros = [constants[node.input[2]] for node in graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert {zero.dtype.name for zero in zeros} == {"int8"}
    assert not any(zero.any() for zero in zeros)


def test_batch_and_size_stay_dynamic(quantized: Path, onnx_file: Path, splits: dict[str, Split]):
    images = CalibrationImages(splits["val"], 96, 32)
    small, large = np.concatenate(images[:3]), images[0].repeat(2, axis=3)
    for batch in (small, large):
        expected, actual = (open_file(file, "cpu").predict(torch.from_numpy(batch)) for file in (onnx_file, quantized))
        assert actual.shape == expected.shape
        confident = expected[..., 4:].amax(-1) > 0.5
        assert confident.any()
        assert (actual[..., :4] - expected[..., :4])[confident].abs().mean() < 1.5


def test_the_file_is_smaller_and_keeps_its_description(quantized: Path, onnx_file: Path):
    assert quantized.stat().st_size < onnx_file.stat().st_size
    before, after = onnx.load(onnx_file), onnx.load(quantized)
    assert list(after.metadata_props) == list(before.metadata_props)
    assert [(entry.domain, entry.version) for entry in after.opset_import] == [
        (entry.domain, entry.version) for entry in before.opset_import
    ]
    onnx.checker.check_model(after)


def test_nothing_is_left_behind_or_printed(
    onnx_file: Path,
    calibration: CalibrationImages,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
):
    """Folders of temporary files and work stay empty, and the logging of the process stays as it was."""
    for name in ("work", "temporary", "files"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before, handlers = onnx_file.read_bytes(), list(logging.getLogger().handlers)
    quantize_onnx(onnx_file, tmp_path / "files" / "a.onnx", calibration[:2])
    assert list((tmp_path / "work").iterdir()) == list((tmp_path / "temporary").iterdir()) == []
    assert list((tmp_path / "files").iterdir()) == [tmp_path / "files" / "a.onnx"]
    assert list(onnx_file.parent.iterdir()) == [onnx_file]
    assert onnx_file.read_bytes() == before
    assert logging.getLogger().handlers == handlers
    assert capfd.readouterr() == ("", "")


def test_images_are_read_once_and_one_at_a_time(onnx_file: Path, calibration: CalibrationImages, tmp_path: Path):
    events: list[int] = []

    def images():
        for number in range(3):
            events.append(number)
            yield calibration[number]

    quantize_onnx(onnx_file, tmp_path / "a.onnx", images())
    assert events == [0, 1, 2]


def test_a_static_file_takes_copies_of_each_image(onnx_file: Path, splits: dict[str, Split], tmp_path: Path):
    model = onnx.load(onnx_file)
    for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim, (2, 3, 64, 64), strict=True):
        dimension.dim_value = size
    onnx.save(model, tmp_path / "static.onnx")
    images = CalibrationImages(splits["train"], (64, 64), 32, count=4)
    quantize_onnx(tmp_path / "static.onnx", tmp_path / "int8.onnx", images)
    session = onnxruntime.InferenceSession(tmp_path / "int8.onnx")
    assert session.get_inputs()[0].shape == [2, 3, 64, 64]
    assert len(session.run(None, {"images": np.concatenate(images[:2])})[0]) == 2


def test_no_images(onnx_file: Path, tmp_path: Path):
    with pytest.raises(OptionError, match="`images` must have at least one calibration image, got none"):
        quantize_onnx(onnx_file, tmp_path / "a.onnx", [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("operators", "message"),
    [(["Relu"], "must have a convolution"), (["Conv", "Relu"], "convolutions before its last ones")],
    ids=["without convolutions", "with one convolution"],
)
def test_a_network_with_nothing_to_quantize(operators: list[str], message: str, tmp_path: Path):
    helper, shape = onnx.helper, [1, 3, 8, 8]
    names = ["images", *(f"value {number}" for number in range(len(operators)))]
    nodes = [
        helper.make_node(operator, [name, "weight"] if operator == "Conv" else [name], [output])
        for operator, name, output in zip(operators, names, names[1:], strict=False)
    ]
    first, last = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in (names[0], names[-1]))
    weight = onnx.numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "weight")
    graph = helper.make_graph(nodes, "network", [first], [last], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), tmp_path / "a.onnx")
    with pytest.raises(OptionError, match=message):
        quantize_onnx(tmp_path / "a.onnx", tmp_path / "b.onnx", [np.zeros(shape, np.float32)])
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
