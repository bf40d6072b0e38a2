"""A whole benchmark of a trained detector, and of networks that a format cannot express."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attendet.api.benchmarking import benchmark
from attendet.api.validation import validate
from attendet.errors import OptionError
from attendet.training.run_folder import RunFolder
from tests.helpers.small_training import skip_plots, train_to_find


class SumOverBatch(nn.Module):
    """Stacks its input on the batch axis, which ncnn does not have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.conv(images)
        pools = torch.stack([features.mean((2, 3), keepdim=True), features.amax((2, 3), keepdim=True)])
        return features * pools.sum(0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    patch = pytest.MonkeyPatch()
    skip_plots(patch)
    with torch.random.fork_rng():
        run = train_to_find(tmp_path_factory.mktemp("benchmark"))
    patch.undo()
    return run


def test_the_map_of_each_format_is_measured_on_the_data_set_of_the_run(run: RunFolder) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    measured = benchmark(run.path, ["onnx"], repeats=2)
    expected = validate(run.path).metrics.map50_95
    assert expected > 0.01
    assert [row.name for row in measured.rows] == ["torch-eager", "onnx"]
    assert [row.map50_95 for row in measured.rows] == pytest.approx([expected] * 2, abs=1e-3)
    assert measured.real_images
    assert measured.validation_images == 5
    assert measured.passes


def test_int8_is_a_row_besides_float(run: RunFolder) -> None:
    for module in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(module)
    measured = benchmark(run.path, ["onnx"], repeats=2, int8=True)
    names = [row.name for row in measured.rows]
    assert names == ["torch-eager", "onnx", "onnx-int8"]


def test_a_network_that_a_format_cannot_express_is_a_row_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ncnn", "pnnx"):
        pytest.importorskip(module)
    # Child processes import the network above.
    monkeypatch.syspath_prepend(Path(__file__).parents[3])
    measured = benchmark(
        SumOverBatch(), ["ncnn", "torch"], example=torch.rand(1, 3, 16, 16), batch=2, repeats=2, out=tmp_path
    )
    eager, ncnn, torch_file = measured.rows
    assert not measured.passes
    assert ncnn.problem
    assert ncnn.latency is None
    assert eager.latency is not None
    assert torch_file.latency is not None
    assert torch_file.problem is None
    assert measured.input_shape == (2, 3, 16, 16)
    assert (tmp_path / "benchmark.png").exists()


def test_the_network_is_not_changed() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Dropout()).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    benchmark(network, ["torch"], example=torch.rand(1, 3, 8, 8), repeats=1)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"imgsz": 64}, "`imgsz` must be left out for a network that is not a detector"),
        ({"data": "data.yaml"}, "`data` must be left out for a network that is not a detector"),
        ({"batch": 0}, "`batch` must be a positive integer, got 0"),
        ({"threads": -1}, "`threads` must be a positive integer, got -1"),
    ],
)
def test_options_that_have_no_meaning_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        benchmark(nn.Sequential(nn.Conv2d(3, 4, 1)), ["torch"], **options)  # pyright: ignore[reportArgumentType]
