"""ExecuTorch files, run by the runtime of ExecuTorch."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.attention import create
from attendet.errors import OptionError, WeightsError
from attendet.exporting.executorch_file import describe_executorch, write_executorch
from attendet.exporting.program import export_program
from attendet.runtimes.executorch_program import ExecutorchRuntime
from attendet.runtimes.file_description import FileDescription, InputShape

SHAPE = (1, 3, 32, 48)
DESCRIPTION = FileDescription(
    kind="network",
    shape=InputShape(batch=1, height=32, width=48),
    outputs=("output",),
    weights_digest="",
    versions={},
    text="é\n\u2028",
)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 64, 3, stride=2), create("cbam", 64), nn.Conv2d(64, 8, 1)).eval()


@pytest.fixture(scope="module")
def exported(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("executorch")
    path = tmp_path_factory.mktemp("executorch") / "a.pte"
    write_executorch(export_program(network, torch.rand(SHAPE), dynamic=False), path, DESCRIPTION)
    return path


def test_the_output_equals_torch_also_after_later_calls(network: nn.Module, exported: Path):
    runtime = ExecutorchRuntime(exported)
    images, others = torch.rand(3, *SHAPE[1:]), torch.rand(SHAPE)
    actual = runtime.predict(images)
    runtime.predict(others)
    with torch.no_grad():
        torch.testing.assert_close(actual, network(images), atol=1e-5, rtol=1e-5)


def test_a_new_description_keeps_the_program(exported: Path):
    images = torch.rand(SHAPE)
    before = ExecutorchRuntime(exported)
    assert before.description == DESCRIPTION
    measured = DESCRIPTION.model_copy(update={"parity": {"largest": 1e-6}})
    size = exported.stat().st_size
    describe_executorch(exported, measured)
    after = ExecutorchRuntime(exported)
    assert after.description == measured
    assert exported.stat().st_size == size + len(measured.to_json()) - len(DESCRIPTION.to_json())
    assert torch.equal(before.predict(images), after.predict(images))


def test_images_of_another_shape_are_refused(exported: Path):
    runtime = ExecutorchRuntime(exported)
    with pytest.raises(OptionError, match="the height of images must be 32 pixels for this file, got 64"):
        runtime.predict(torch.rand(1, 3, 64, 48))
    with pytest.raises(WeightsError, match=r"ExecuTorch cannot run images of shape \(1, 4, 32, 48\)"):
        runtime.predict(torch.rand(1, 4, 32, 48))


def test_a_damaged_program_is_an_error(exported: Path, tmp_path: Path):
    content = exported.read_bytes()
    (tmp_path / "a.pte").write_bytes(b"\0" * 100 + content[100:])
    with pytest.raises(WeightsError, match=r"a\.pte: ExecuTorch cannot read the file"):
        ExecutorchRuntime(tmp_path / "a.pte")


def test_a_program_of_any_size_is_refused(network: nn.Module, tmp_path: Path):
    program = export_program(network, torch.rand(1, 3, 64, 64), dynamic=True)
    with pytest.raises(OptionError, match="must have a fixed shape for ExecuTorch"):
        write_executorch(program, tmp_path / "a.pte", DESCRIPTION)


def test_an_example_in_another_memory_format_is_refused(network: nn.Module, tmp_path: Path):
    example = torch.rand(SHAPE).contiguous(memory_format=torch.channels_last)
    with pytest.raises(OptionError, match="the example must be contiguous for ExecuTorch"):
        write_executorch(export_program(network, example, dynamic=False), tmp_path / "a.pte", DESCRIPTION)
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_program_has_no_description(exported: Path, tmp_path: Path):
    (tmp_path / "a.pte").write_bytes(exported.read_bytes().rpartition(b"\nattendet ")[0])
    with pytest.raises(WeightsError, match="was not exported by attendet"):
        ExecutorchRuntime(tmp_path / "a.pte")


def test_a_missing_package_is_one_line(network: nn.Module, tmp_path: Path, monkeypatch):
    program = export_program(network, torch.rand(SHAPE), dynamic=False)
    for name in ("executorch", "executorch.exir"):
        monkeypatch.setitem(sys.modules, name, None)
    message = r"must be installed to write a\.pte; pip install 'attendet\[executorch\]'"
    with pytest.raises(OptionError, match=message):
        write_executorch(program, tmp_path / "a.pte", DESCRIPTION)
