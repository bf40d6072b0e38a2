"""ExecuTorch files, run by the runtime of ExecuTorch."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.attention import create
from attendet.errors import OptionError, WeightsError
from attendet.export.executorch_file import (
    describe_executorch,
    read_executorch_description,
    run_executorch,
    write_executorch,
)
from attendet.export.program import export_program
from attendet.runtimes.file_description import FileDescription

DESCRIPTION = FileDescription(kind="network", outputs=("output",), weights_digest="", versions={}, text="é\n\u2028")
SHAPE = (1, 3, 32, 48)


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


def test_the_output_equals_torch(network: nn.Module, exported: Path):
    first, second = torch.rand(SHAPE), torch.rand(SHAPE)
    (actual,) = run_executorch(exported, first)
    run_executorch(exported, second)
    with torch.no_grad():
        torch.testing.assert_close(actual, network(first), atol=1e-5, rtol=1e-5)


def test_a_new_description_keeps_the_program(exported: Path):
    images = torch.rand(SHAPE)
    (before,) = run_executorch(exported, images)
    assert read_executorch_description(exported) == DESCRIPTION
    measured = DESCRIPTION.model_copy(update={"parity": {"largest": 1e-6}})
    size = exported.stat().st_size
    describe_executorch(exported, measured)
    assert read_executorch_description(exported) == measured
    assert exported.stat().st_size == size + len(measured.to_json()) - len(DESCRIPTION.to_json())
    (after,) = run_executorch(exported, images)
    assert torch.equal(before, after)


def test_images_of_another_shape_are_refused(exported: Path):
    with pytest.raises(OptionError, match=r"the shape \(1, 3, 32, 48\) for this file, got \(2, 3, 32, 48\)"):
        run_executorch(exported, torch.rand(2, 3, 32, 48))


def test_a_damaged_program_is_an_error(exported: Path, tmp_path: Path):
    content = exported.read_bytes()
    (tmp_path / "a.pte").write_bytes(b"\0" * 100 + content[100:])
    with pytest.raises(WeightsError, match=r"a\.pte: ExecuTorch cannot read the file"):
        run_executorch(tmp_path / "a.pte", torch.rand(SHAPE))


def test_a_program_of_any_size_is_refused(network: nn.Module, tmp_path: Path):
    program = export_program(network, torch.rand(1, 3, 64, 64), dynamic=True)
    with pytest.raises(OptionError, match="must have a fixed shape for ExecuTorch"):
        write_executorch(program, tmp_path / "a.pte", DESCRIPTION)


def test_a_file_of_another_program_has_no_description(tmp_path: Path):
    (tmp_path / "a.pte").write_bytes(b"ET12")
    with pytest.raises(WeightsError, match="was not exported by attendet"):
        read_executorch_description(tmp_path / "a.pte")


def test_a_missing_package_is_one_line(network: nn.Module, tmp_path: Path, monkeypatch):
    program = export_program(network, torch.rand(SHAPE), dynamic=False)
    for name in ("executorch", "executorch.exir"):
        monkeypatch.setitem(sys.modules, name, None)
    message = r"must be installed to write a\.pte; pip install 'attendet\[executorch\]'"
    with pytest.raises(OptionError, match=message):
        write_executorch(program, tmp_path / "a.pte", DESCRIPTION)
