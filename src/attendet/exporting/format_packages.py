"""The packages that write and run the files of each format."""

from __future__ import annotations

from attendet.exporting.export_options import ExportFormat
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import Precision

# Their modules and their distributions have the same names.
_PACKAGES: dict[ExportFormat, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "tensorrt": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
    "torch": (),
    "ncnn": ("ncnn", "pnnx"),
    "executorch": ("executorch",),
}
_INT8_PACKAGES: dict[ExportFormat, tuple[str, ...]] = {"openvino": ("nncf",)}
_EXTRAS: dict[ExportFormat, str] = {"onnx": "export", "tensorrt": "export"}


def packages_of(file_format: ExportFormat, precision: Precision) -> dict[str, str]:
    """Return the packages that a format needs, each with the extra of attendet that installs it.

    Example:
        >>> packages_of("onnx", "float32")
        {'onnx': 'export', 'onnxscript': 'export', 'onnxruntime': 'export'}
    """
    packages = dict.fromkeys(_PACKAGES[file_format], _EXTRAS.get(file_format, file_format))
    return packages | dict.fromkeys(_INT8_PACKAGES.get(file_format, ()) if precision == "int8" else (), "int8")


def require_packages(file_format: ExportFormat, precision: Precision) -> None:
    """Raise an error if a package that writes or runs the files of a format is not installed.

    Raises:
        OptionError: If one is missing; it names the command that installs it.
    """
    for package, extra in packages_of(file_format, precision).items():
        require(package, extra, f"export to {file_format}")
