"""Write docs/export-zoo.md: every attention module in ONNX, OpenVINO, and ncnn, compared with torch.

python tools/zoo_formats.py

Each module is placed between two convolutions, as in a network, and has random weights and running statistics. It is
exported for 64 channels with open sizes and run at two sizes, on a single image, because ncnn takes no more.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from attendet.attention import create, names
from attendet.errors import AttendetError
from attendet.exporting.ncnn_file import write_ncnn
from attendet.exporting.onnx_file import write_onnx
from attendet.exporting.openvino_file import write_openvino
from attendet.exporting.program import export_program
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.file_description import FileDescription, InputShape
from attendet.runtimes.ncnn_network import NcnnRuntime
from attendet.runtimes.onnx_session import OnnxRuntime
from attendet.runtimes.openvino_model import OpenVinoRuntime
from attendet.utils.provenance import versions

TARGET = Path(__file__).parents[1] / "docs" / "export-zoo.md"
CHANNELS = 64
EXPORTED, OTHER = (1, 3, 20, 20), (1, 3, 12, 28)
DESCRIPTION = FileDescription(
    kind="network", shape=InputShape(batch=1), outputs=("output",), weights_digest="", versions={}
)
PACKAGES = ("torch", "onnx", "onnxruntime", "openvino", "ncnn", "pnnx")

_SIZES = " and ".join("×".join(map(str, shape[2:])) for shape in (EXPORTED, OTHER))
_TEXT = f"""# Attention modules in other runtimes

Every attention module, compared with torch after export: the largest difference of a value, as a fraction of the
largest value that torch returns, over two sizes of features ({_SIZES}). Each module has {CHANNELS} channels, default
options, random weights, and random running statistics, and is placed between two convolutions. The files leave the
size open. OpenVINO computes in float32 here; by default it uses bfloat16 on processors that have it.

Written by `python tools/zoo_formats.py` with {{versions}}.

| module | ONNX (onnxruntime) | OpenVINO | ncnn |
|---|---|---|---|
"""


def example_network(name: str) -> nn.Module:
    """Return a network with an attention module between two convolutions, with random weights."""
    torch.manual_seed(0)
    module = create(name, CHANNELS)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    for key, buffer in module.named_buffers():
        if key.endswith("mean"):
            nn.init.normal_(buffer, std=0.1)
        elif key.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 1.5)
    return nn.Sequential(nn.Conv2d(3, CHANNELS, 3, padding=1), module, nn.Conv2d(CHANNELS, 8, 1)).eval()


def open_onnx(network: nn.Module, folder: Path) -> ExportedFile:
    """Return the network as an ONNX file."""
    write_onnx(export_program(network, torch.rand(EXPORTED), dynamic=True), folder / "a.onnx", DESCRIPTION)
    return OnnxRuntime(folder / "a.onnx", "cpu")


def open_openvino(_: nn.Module, folder: Path) -> ExportedFile:
    """Return the network in the folder's ONNX file as an OpenVINO file."""
    write_openvino(folder / "a.onnx", folder / "a.xml", DESCRIPTION)
    return OpenVinoRuntime(folder / "a.xml")


def open_ncnn(network: nn.Module, folder: Path) -> ExportedFile:
    """Return the network as an ncnn file."""
    write_ncnn(network, torch.rand(EXPORTED), folder / "a.param", DESCRIPTION)
    return NcnnRuntime(folder / "a.param")


FORMATS: tuple[Callable[[nn.Module, Path], ExportedFile], ...] = (open_onnx, open_openvino, open_ncnn)


def largest_difference(runtime: ExportedFile, network: nn.Module) -> float:
    """Return the largest difference from torch over both sizes, as a fraction of the largest value."""
    differences = []
    for shape in (EXPORTED, OTHER):
        images = torch.rand(shape)
        with torch.no_grad():
            expected: Tensor = network(images)
        differences.append(float((runtime.predict(images) - expected).abs().max() / expected.abs().max()))
    return max(differences)


def row(name: str) -> str:
    """Return the row of a module in the table: a difference for each format, or the reason of a failure."""
    network, cells = example_network(name), []
    with tempfile.TemporaryDirectory() as folder:
        for opened in FORMATS:
            try:
                cells.append(f"{largest_difference(opened(network, Path(folder)), network):.0e}")
            except AttendetError as error:
                cells.append(f"not possible: {error.message}".replace("|", "\\|"))
    return f"| `{name}` | {' | '.join(cells)} |"


def page() -> str:
    """Return the page with a row for every attention module."""
    known = {name: version for name, version in versions(PACKAGES).items() if name in PACKAGES}
    text = _TEXT.format(versions=", ".join(f"{name} {version}" for name, version in known.items()))
    return text + "\n".join(map(row, names())) + "\n"


def main() -> None:
    """Write the page."""
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        TARGET.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
