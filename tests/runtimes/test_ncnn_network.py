"""ncnn files as a user finds them: missing parts, other files, and a missing package."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.errors import OptionError, WeightsError
from attendet.exporting.ncnn_file import write_ncnn
from attendet.runtimes.file_description import FileDescription, InputShape
from attendet.runtimes.ncnn_network import NcnnRuntime, ncnn_weights_path

NETWORK = FileDescription(
    kind="network", shape=InputShape(batch=1), outputs=("first", "second"), weights_digest="", versions={}
)


class TwoOutputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        features = self.conv(images)
        return features, features.mean((2, 3))


@pytest.fixture
def exported(tmp_path: Path) -> tuple[Path, TwoOutputs]:
    pytest.importorskip("ncnn")
    pytest.importorskip("pnnx")
    network = TwoOutputs().eval()
    write_ncnn(network, torch.rand(1, 3, 8, 8), tmp_path / "a.param", NETWORK)
    return tmp_path / "a.param", network


def test_outputs_have_their_names_and_a_batch_axis(exported: tuple[Path, TwoOutputs]):
    path, network = exported
    images = torch.rand(3, 3, 9, 7).transpose(2, 3)
    with torch.no_grad():
        first, second = network(images)
    outputs = NcnnRuntime(path, "cpu").run(images)
    torch.testing.assert_close(outputs["first"], first)
    torch.testing.assert_close(outputs["second"], second)


def test_missing_weights_are_named(exported: tuple[Path, TwoOutputs]):
    ncnn_weights_path(exported[0]).unlink()
    with pytest.raises(WeightsError, match=r"a\.ncnn\.bin: file of the network not found; export the weights again"):
        NcnnRuntime(exported[0])


def test_truncated_weights_cannot_be_read(exported: tuple[Path, TwoOutputs]):
    weights = ncnn_weights_path(exported[0])
    weights.write_bytes(weights.read_bytes()[:40])
    with pytest.raises(WeightsError, match=r"a\.ncnn\.bin: ncnn cannot read the file"):
        NcnnRuntime(exported[0])


def test_a_file_of_another_program_has_no_description(exported: tuple[Path, TwoOutputs]):
    path = exported[0]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(WeightsError, match="was not exported by attendet"):
        NcnnRuntime(path)


@pytest.mark.parametrize("content", ["", "prometheus", "7767518\n1 1\n"])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: str):
    pytest.importorskip("ncnn")
    (tmp_path / "a.param").write_text(content)
    with pytest.raises(WeightsError, match="the first line must be 7767517"):
        NcnnRuntime(tmp_path / "a.param")


def test_a_gpu_is_refused(tmp_path: Path):
    with pytest.raises(OptionError, match="`device` must be auto or cpu for ncnn files, got 'cuda'"):
        NcnnRuntime(tmp_path / "a.param", "cuda")


def test_a_missing_package_is_one_line(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ncnn", None)
    with pytest.raises(OptionError, match=r"`ncnn` must be installed to read a\.param; pip install 'attendet\[ncnn\]'"):
        NcnnRuntime(tmp_path / "a.param")
