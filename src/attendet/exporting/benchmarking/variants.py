"""The formats and precisions that a benchmark compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from attendet.errors import OptionError, unknown_name
from attendet.exporting.export_options import ExportFormat
from attendet.exporting.format_packages import packages_of
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import Precision

EAGER, COMPILED = "torch-eager", "torch-compile"
"""Names of the rows of the network in torch: as it is, and compiled."""

# TensorRT does not run on the CPU.
_FORMATS: tuple[ExportFormat, ...] = ("onnx", "openvino", "torch", "ncnn", "executorch")
_INT8_FORMATS = ("onnx", "openvino")
_HALF_FORMATS = ("onnx", "openvino", "torch", "ncnn")
FORMAT_NAMES = (EAGER, COMPILED, *_FORMATS)
"""Everything that a benchmark can compare."""


@dataclass(frozen=True)
class Variant:
    """One format in one precision.

    Attributes:
        file_format: The format; None for the network in torch.
        precision: Number format of the convolutions in the file.
        native: Whether OpenVINO may compute in the number format that the processor prefers.
        compiled: Whether torch compiles the network.
    """

    file_format: ExportFormat | None = None
    precision: Precision = "float32"
    native: bool = False
    compiled: bool = False

    @property
    def name(self) -> str:
        """Name of the row.

        Example:
            >>> Variant("onnx", "int8").name, Variant().name
            ('onnx-int8', 'torch-eager')
        """
        if self.file_format is None:
            return COMPILED if self.compiled else EAGER
        suffix = {"float32": "", "float16": "-half", "int8": "-int8"}[self.precision]
        return f"{self.file_format}{suffix}{'-native' if self.native else ''}"


def choose_variants(formats: Sequence[str] | None = None, *, half: bool = False, int8: bool = False) -> list[Variant]:
    """Return the variants to compare; the network in torch is the first.

    Args:
        formats: Names out of `FORMAT_NAMES` (default: all formats whose packages are installed).
        half: Whether to add files in float16.
        int8: Whether to add int8 files of onnx and openvino.

    Raises:
        UnknownNameError: If a format is unknown.
        OptionError: If a package is missing, or no format has the precision.

    Example:
        >>> [variant.name for variant in choose_variants(["torch"], half=True)]
        ['torch-eager', 'torch', 'torch-half']
    """
    chosen = _installed() if formats is None else _known(formats)
    variants = [Variant()]
    if formats is not None and COMPILED in formats:
        variants.append(Variant(compiled=True))
    for each in chosen:
        variants.append(Variant(each))
        if each == "openvino":
            variants.append(Variant(each, native=True))
        if half and each in _HALF_FORMATS:
            variants.append(Variant(each, "float16"))
        if int8 and each in _INT8_FORMATS:
            _require(each, "int8")
            variants.append(Variant(each, "int8"))
    precisions = {variant.precision for variant in variants}
    for flag, is_asked, precision, able in (
        ("half", half, "float16", _HALF_FORMATS),
        ("int8", int8, "int8", _INT8_FORMATS),
    ):
        if is_asked and precision not in precisions:
            raise OptionError(f"`{flag}` needs one of the formats {', '.join(able)}, got {', '.join(formats or ())}")
    return variants


def _known(formats: Sequence[str]) -> list[ExportFormat]:
    by_name: dict[str, ExportFormat] = {each: each for each in _FORMATS}
    for name in formats:
        if name not in FORMAT_NAMES:
            raise unknown_name("benchmark format", name, FORMAT_NAMES)
    chosen: list[ExportFormat] = [by_name[name] for name in dict.fromkeys(formats) if name in by_name]
    for each in chosen:
        _require(each, "float32")
    return chosen


def _installed() -> list[ExportFormat]:
    return [each for each in _FORMATS if all(map(find_spec, packages_of(each, "float32")))]


def _require(file_format: ExportFormat, precision: Precision) -> None:
    for package, extra in packages_of(file_format, precision).items():
        # Importing some of them takes seconds.
        if find_spec(package) is None:
            require(package, extra, f"measure {file_format}")
