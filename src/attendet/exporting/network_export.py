"""Export of one network to several formats: write, compare with torch, and only then keep the file under its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from attendet.data.loading.resizing import ImageSize
from attendet.data.records import Split
from attendet.errors import OptionError
from attendet.evaluation.config import ValidationConfig
from attendet.evaluation.validation import validate
from attendet.exporting.comparison import compare_files, comparison_inputs
from attendet.exporting.export_options import ExportFormat, ExportOptions, require_supported
from attendet.exporting.format_packages import require_packages
from attendet.exporting.formats import (
    describe_format,
    files_of,
    open_format,
    replace_description,
    write_format,
)
from attendet.exporting.graph_runtime import GraphRuntime
from attendet.exporting.graph_source import GraphSource
from attendet.exporting.parity import Parity, QualityComparison
from attendet.exporting.quantization import MAX_LOSS, CalibrationImages
from attendet.exporting.subject import ExportData, ExportSubject
from attendet.runtimes.exported_file import ExportedFile
from attendet.runtimes.file_description import MAX_BATCH_PIXELS, FileDescription
from attendet.runtimes.image_size import describe_size, require_image_size
from attendet.utils.io import cannot_write
from attendet.utils.processes.temporary_files import temporary_place
from attendet.utils.text import plural

FAILED_SUFFIX = ".failed"
"""Appended to the name of a file that differs too much from torch."""

# Rounding moves single detections, which changes mAP in the fourth digit.
_MAX_LOSS_IN_FLOAT = 0.005


@dataclass(frozen=True)
class Exported:
    """An exported file.

    Attributes:
        path: The file; its name ends with `.failed` if it differs too much from torch.
        format: Its format.
        files: All files of the export, the weights first.
        parity: Its differences from torch.
        metadata: The description that the file contains.
    """

    path: Path
    format: ExportFormat
    files: tuple[Path, ...]
    parity: Parity
    metadata: FileDescription

    @property
    def passes(self) -> bool:
        """Whether the file is close enough to torch."""
        return not self.path.name.endswith(FAILED_SUFFIX)

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(file.stat().st_size for file in self.files)

    def to_dict(self) -> dict[str, Any]:
        """Return path, format, size, and parity as plain values, ready for JSON."""
        return {
            "path": str(self.path),
            "format": self.format,
            "files": [str(file) for file in self.files],
            "bytes": self.size,
            "passes": self.passes,
            "parity": self.parity.to_dict(),
        }

    def __repr__(self) -> str:
        """Show the file and whether it passes."""
        return f"Exported({str(self.path)!r}, passes={self.passes})"


def export_network(
    subject: ExportSubject,
    formats: Sequence[str],
    folder: Path,
    options: ExportOptions | None = None,
    data: ExportData | None = None,
    report: Callable[[str], None] | None = None,
) -> Iterator[Exported]:
    """Write files of a network, and yield each after it was compared with torch.

    A file is written under a temporary name. If it is close to torch, it gets its own name; otherwise `.failed` is
    appended to it.

    Args:
        subject: The network.
        formats: Formats of the files, see `attendet.exporting.FORMATS`.
        folder: Folder of the files.
        options: Properties of the files.
        data: Images to compare on, and data to measure mAP with.
        report: Called with a sentence before each step that takes seconds.

    Raises:
        OptionError: If an option is invalid, a package is missing, or the network cannot be expressed in a format.
        DataError: If images cannot be read.
        OutputError: If a file cannot be written.
    """
    options, data, report = options or ExportOptions(), data or ExportData(), report or (lambda _: None)
    known_formats: list[ExportFormat] = [require_supported(options, name) for name in formats]
    for file_format in known_formats:
        require_packages(file_format, options.precision)
    imgsz = _image_size(subject, options)
    calibration = _calibration_images(subject, options, data, imgsz)
    stack = ExitStack()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        workspace = stack.enter_context(temporary_place(folder / "export"))
        workspace.mkdir()
    except OSError as error:
        raise cannot_write(folder, error) from error
    with stack:
        half = options.precision == "float16"
        # A folder of its own, because the network itself may have the name of a shared file.
        shared = workspace / "shared"
        source = GraphSource(subject, options, imgsz, torch.float16 if half else torch.float32, shared)
        exact = GraphSource(subject, options, imgsz, torch.float32, shared) if half else source
        # A file with detections is compared with all predictions of torch.
        complete = replace(options, selection=None)
        compared = GraphSource(subject, complete, imgsz, torch.float32, shared) if options.selection else exact
        validation = data.validation if source.description.kind == "detector" else None
        map_in_torch: float | None = None
        inputs = comparison_inputs(source, data.images)
        for file_format in known_formats:
            path = workspace / options.file_name(subject.name, file_format)
            report(f"{path.name}: converting")
            description = describe_format(source, file_format)
            write_format(source, file_format, path, description, calibration)
            report(f"{path.name}: comparing with torch")
            outputs = compared.description.outputs
            reference = GraphRuntime(compared, description.model_copy(update={"selection": None, "outputs": outputs}))
            file = open_format(file_format, path)
            quality = None
            if validation is not None:
                report(f"{path.name}: measuring mAP on {plural(len(validation.records), 'image')}")
                if map_in_torch is None:
                    map_in_torch = _mean_average_precision(GraphRuntime(exact, source.description), validation)
                quality = _compare_quality(map_in_torch, file, validation)
            parity = compare_files(reference, file, inputs, options.largest_difference, len(data.images), quality)
            description = description.model_copy(update={"parity": parity.to_dict()})
            replace_description(file_format, path, description)
            yield _keep(path, folder, file_format, parity, description, accept=options.accept)


def _compare_quality(map_in_torch: float, file: ExportedFile, split: Split) -> QualityComparison:
    limit = _MAX_LOSS_IN_FLOAT if file.description.precision == "float32" else MAX_LOSS
    return QualityComparison(map_in_torch, _mean_average_precision(file, split), len(split.records), limit)


def _mean_average_precision(runtime: ExportedFile, split: Split) -> float:
    size: ImageSize = runtime.image_size or runtime.imgsz
    return validate(runtime, split, size, ValidationConfig()).metrics.map50_95


def _keep(
    path: Path, folder: Path, file_format: ExportFormat, parity: Parity, description: FileDescription, *, accept: bool
) -> Exported:
    """Move the files of an export from the temporary folder to their names."""
    is_kept = parity.passes or (accept and not parity.output_failures)
    suffix = "" if is_kept else FAILED_SUFFIX
    moved = []
    try:
        for file in files_of(path):
            target = folder / f"{file.name}{suffix}"
            file.replace(target)
            moved.append(target)
            if is_kept:
                target.with_name(f"{file.name}{FAILED_SUFFIX}").unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(folder / path.name, error) from error
    return Exported(moved[-1], file_format, tuple(moved), parity, description)


def _image_size(subject: ExportSubject, options: ExportOptions) -> ImageSize:
    """Return the longer side, or height and width of all canvases of a static file."""
    description = subject.description
    imgsz = options.imgsz or subject.imgsz
    if description.kind != "detector":
        return imgsz
    stride = int(max(description.strides))
    require_image_size(imgsz, stride)
    if options.static and isinstance(imgsz, int):
        side = -(-imgsz // stride) * stride
        imgsz = side, side
    if isinstance(imgsz, tuple) and (options.batch or 1) * imgsz[0] * imgsz[1] > MAX_BATCH_PIXELS:
        message = f"images of a batch must have at most {MAX_BATCH_PIXELS:,} pixels in total"
        raise OptionError(f"{message}, got {options.batch or 1} of {describe_size(imgsz)}", remedy="lower `batch`")
    return imgsz


def _calibration_images(
    subject: ExportSubject, options: ExportOptions, data: ExportData, imgsz: ImageSize
) -> Sequence[NDArray[np.float32]]:
    if options.precision != "int8":
        return ()
    if data.read_training is None or data.validation is None:
        raise OptionError(
            "`int8` needs a data set, got none", remedy="name one with `data`: it measures ranges and mAP"
        )
    return CalibrationImages(data.read_training(), imgsz, int(max(subject.description.strides)))
