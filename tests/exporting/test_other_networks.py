"""Exported networks that are not detectors: a U-Net, and convolutions of volumes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import attendet
from attendet.api.exporting import export, export_files
from attendet.errors import OptionError
from attendet.exporting import ExportOptions
from attendet.runtimes.runtime_files import open_file
from attendet.utils.processes.temporary_files import remove_leftovers


class SmallUNet(nn.Module):
    """An encoder, a decoder, and a connection between them."""

    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(1, 8, 3, 2, 1), nn.Conv2d(8, 16, 3, 2, 1)
        self.up1, self.up2 = nn.ConvTranspose2d(16, 8, 2, 2), nn.ConvTranspose2d(16, 2, 2, 2)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        half = torch.relu(self.down1(images))
        up = torch.relu(self.up1(torch.relu(self.down2(half))))
        return {"out": self.up2(torch.cat([up, half], 1)), "features": up}


class Volumes(nn.Module):
    """Convolutions of volumes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv3d(1, 8, 3, 2, 1), nn.Conv3d(8, 16, 3, 2, 1)

    def forward(self, volumes: Tensor) -> Tensor:
        return self.conv2(torch.relu(self.conv1(volumes))).mean((2, 3, 4))


@pytest.mark.parametrize(
    ("network", "at", "example", "outputs"),
    [
        (SmallUNet(), "down2", torch.rand(1, 1, 64, 64), ("out", "features")),
        (Volumes(), "conv1", torch.rand(1, 1, 16, 32, 32), ("output",)),
    ],
    ids=["U-Net", "3-D"],
)
def test_any_network_with_attention(
    network: nn.Module, at: str, example: Tensor, outputs: tuple[str, ...], tmp_path: Path
) -> None:
    network = network.eval()
    attendet.attach(network, "cbam", at, example=example, reduction=2)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for file_format in ("onnx", "torch"):
        result = export(network, file_format, out=tmp_path, example=example, gates=True)
        assert result.passes
        assert result.metadata.outputs[: len(outputs)] == outputs
        assert result.metadata.attention[0]["attention"] == "cbam"
        images = torch.rand(3, 1, *(side + 16 for side in example.shape[2:]))
        with torch.no_grad():
            expected = network(images)
        actual = open_file(result.path, "cpu").run(images)
        for name in outputs:
            known = expected[name] if isinstance(expected, dict) else expected
            torch.testing.assert_close(actual[name], known, atol=1e-5, rtol=1e-4)
        with pytest.raises(attendet.errors.WeightsError, match="a network that is not a detector"):
            attendet.Predictor(result.path)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


class Source(nn.Module):
    """A network with the name of a file that formats share."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images)


def test_any_name_and_folders_that_clean_recognizes(tmp_path: Path) -> None:
    options = ExportOptions(static=True)
    files = export_files(
        Source().eval(), ["onnx", "tensorrt"], options=options, example=torch.rand(1, 3, 8, 8), out=tmp_path
    )
    assert next(files).path.name == "source-static.onnx"
    # A killed command would leave the folder, and `attendet clean` must know it.
    assert [leftover.kept for leftover in remove_leftovers(tmp_path)] == ["a running process uses it"]
    assert next(files).path.name == "source-tensorrt-static.onnx"
    assert list(files) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source-static.onnx", "source-tensorrt-static.onnx"]

    dynamic = export_files(Source().eval(), ["onnx", "tensorrt"], options=ExportOptions(), out=tmp_path)
    assert [each.path.name for each in dynamic] == ["source.onnx", "source-tensorrt.onnx"]


def test_options_of_detectors_are_refused(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {"int8": True, "nms": True, "imgsz": 64, "data": "data.yaml"}
    for name, value in wrong.items():
        with pytest.raises(OptionError, match=f"`{name}` must be left out for a network that is not a detector"):
            export(Source(), out=tmp_path, **{name: value})
