"""Networks as ncnn files: torch.jit.trace, then the converter pnnx."""

from __future__ import annotations

import copy
import re
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from attendet.blocks.heads.detection_head import DetectionHead
from attendet.errors import OptionError
from attendet.exporting.graph import NetworkGraph
from attendet.models.detector import Detector
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import FileDescription
from attendet.runtimes.ncnn_network import MAX_PARAM_BYTES, ncnn_weights_path, with_description
from attendet.utils.io import read_text, write_atomically, write_text

_MAX_SECONDS = 600
_REMEDY = "export it as onnx or openvino"


class HeadConvolutions(nn.Module):
    """A detection head without its last step: L maps (N, c, H, W) → L outputs (N, C, H, W) of the last convolutions.

    Args:
        head: The head, whose modules are shared.
    """

    def __init__(self, head: DetectionHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return one map per level."""
        return self.head.convolve(levels)


class ConvolutionalDetector(Detector):
    """A detector that returns the outputs of the last convolutions of its head."""

    @property
    def head(self) -> DetectionHead:
        """The detection head."""
        # torch.jit.trace reads all properties.
        last = self.model[-1]
        return last.head if isinstance(last, HeadConvolutions) else super().head


def without_decoding(detector: Detector) -> ConvolutionalDetector:
    """Return a detector with the same modules that ends with the convolutions of its head.

    Its maps have four axes, the most that ncnn and other small runtimes support besides the batch axis.

    Args:
        detector: The detector; it is not changed.

    Example:
        >>> import attendet
        >>> network = without_decoding(attendet.build("yolov5n", num_classes=3))
        >>> [tuple(level.shape) for level in network(torch.rand(1, 3, 64, 96))]
        [(1, 24, 8, 12), (1, 24, 4, 6), (1, 24, 2, 3)]
    """
    modules = [*detector.model[:-1], HeadConvolutions(detector.head)]
    network = ConvolutionalDetector(modules, detector.routes, detector.backbone)
    # `train` would also change the modules, which are shared.
    network.training = detector.training
    return network


def write_ncnn(network: nn.Module, images: Tensor, path: Path, description: FileDescription) -> None:
    """Write a network as a `.param` and a `.ncnn.bin` file.

    Args:
        network: In evaluation mode. A detector ends without decoding, see `without_decoding`, and its decoding is
            in the description.
        images: A single example (1, 3, H, W), or as the network takes it.
        path: The `.param` file.
        description: What the file contains. If it leaves the size open, the network is converted for several sizes;
            with the precision float16, weights are stored in half precision.

    Raises:
        OptionError: If pnnx is not installed, or cannot convert the network.
        OutputError: If a file cannot be written.
    """
    converter = require("pnnx", "ncnn", f"write {path.name}").EXEC_PATH
    if len(images) != 1:
        raise OptionError(f"`batch` must be 1 for ncnn, got {len(images)}")
    shapes: list[Sequence[int]] = [images.shape]
    if description.shape.height is None:
        shapes.append(_other_shape(images.shape, int(max(description.strides, default=32))))
    with tempfile.TemporaryDirectory(prefix="attendet-") as folder:
        _save_trace(_in_float32(network), images.float(), Path(folder, "network.pt"))
        half = description.precision == "float16"
        _convert(converter, Path(folder), shapes, half=half)
        layers = read_text(Path(folder, "network.ncnn.param"), MAX_PARAM_BYTES, OptionError)
        _refuse_unknown_layers(layers)
        with write_atomically(ncnn_weights_path(path)) as temporary:
            temporary.write_bytes(Path(folder, "network.ncnn.bin").read_bytes())
    write_text(path, with_description(layers, description.to_json()))


def describe_ncnn(path: Path, description: FileDescription) -> None:
    """Replace the description in a `.param` file, for example after the parity was measured.

    Raises:
        OptionError: If the file cannot be read.
        OutputError: If the file cannot be written.
    """
    write_text(path, with_description(read_text(path, MAX_PARAM_BYTES, OptionError), description.to_json()))


def _in_float32(network: nn.Module) -> nn.Module:
    """Return a network that computes in float32: the converter rounds weights itself."""
    if all(parameter.dtype is torch.float32 for parameter in network.parameters()):
        return network
    converted = copy.deepcopy(network).float()
    for module in converted.modules():
        if isinstance(module, NetworkGraph):
            module.dtype = torch.float32
    return converted


def _save_trace(network: nn.Module, images: Tensor, path: Path) -> None:
    # It warns that tracing is deprecated, and of every size that it takes for a constant; the second shape of pnnx
    # corrects that.
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(network, images, check_trace=False), str(path))


def _other_shape(shape: Sequence[int], step: int) -> Sequence[int]:
    """Return a shape with other sizes along all positions, from which pnnx learns that they are variable."""
    return (*shape[:2], *(side + step * number for number, side in enumerate(shape[2:], 1)))


def _convert(converter: str, folder: Path, shapes: Sequence[Sequence[int]], *, half: bool) -> None:
    names = ("inputshape", "inputshape2")
    inputs = [f"{name}=[{','.join(map(str, shape))}]f32" for name, shape in zip(names, shapes, strict=False)]
    command = [converter, "network.pt", *inputs, f"fp16={int(half)}"]
    try:
        # The command consists of the converter of the installed package, and of our own arguments.
        result = subprocess.run(  # noqa: S603
            command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=_MAX_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"pnnx does not run: {error}", remedy=_REMEDY) from error
    lines = (result.stdout + result.stderr).splitlines()
    unsupported = next((line for line in lines if re.search(r"not supported|unsupported", line, re.IGNORECASE)), None)
    if unsupported is not None:
        raise _unsupported(unsupported.strip())
    if result.returncode or not (folder / "network.ncnn.param").is_file():
        raise OptionError(f"pnnx cannot convert the network: {(lines or ['no message'])[-1]}", remedy=_REMEDY)


def _refuse_unknown_layers(layers: str) -> None:
    """Raise an error if a layer still has the name of an operator of torch: ncnn has no such layer."""
    types = (line.split(maxsplit=1)[0] for line in layers.splitlines()[2:] if line.strip())
    unknown = next((name for name in types if "." in name or "::" in name), None)
    if unknown is not None:
        raise _unsupported(f"no layer for {unknown}")


def _unsupported(line: str) -> OptionError:
    return OptionError(f"all operators of the network must exist in ncnn, pnnx reports {line!r}", remedy=_REMEDY)
