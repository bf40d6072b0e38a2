"""The files of a benchmark, written format by format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from attendet.errors import OptionError, WeightsError
from attendet.exporting import ExportData, Exported, ExportOptions, ExportSubject, export_network
from attendet.exporting.benchmarking.variants import Variant
from attendet.runtimes.file_description import Precision


@dataclass(frozen=True)
class VariantFile:
    """The file of a variant.

    Attributes:
        exported: The file and its differences from torch; None if it could not be written.
        problem: Why it is not usable, in one sentence; None if it is.
    """

    exported: Exported | None
    problem: str | None


def write_variants(
    subject: ExportSubject,
    variants: Sequence[Variant],
    folder: Path,
    shape: tuple[int, ...],
    data: ExportData,
    report: Callable[[str], None],
) -> dict[Variant, VariantFile]:
    """Write the file of every variant that has one.

    Files take any size, but ExecuTorch's take the measured size only. The mAP of float files is not
    compared here, because the benchmark measures it anyway.

    Args:
        subject: The network.
        variants: The variants.
        folder: Folder of the files.
        shape: Shape of the input of a pass, (N, C, …).
        data: Images for the comparison with torch, and for int8 files.
        report: Called with a sentence before each step that takes seconds.

    Returns:
        The file of each variant, also if it cannot be written or differs too much.
    """
    files: dict[Variant, VariantFile] = {}
    precisions: tuple[Precision, ...] = ("float32", "float16", "int8")
    for precision in precisions:
        wanted = [each for each in variants if each.file_format and not each.native and each.precision == precision]
        measured = data if precision == "int8" else replace(data, validation=None)
        canvas = (shape[-2], shape[-1]) if subject.description.kind == "detector" else None
        flexible = ExportOptions(precision=precision, imgsz=canvas and max(canvas))
        fixed = ExportOptions(precision=precision, imgsz=canvas, static=True, batch=shape[0])
        files |= _write(subject, [each for each in wanted if not _is_fixed(each)], folder, flexible, measured, report)
        files |= _write(subject, [each for each in wanted if _is_fixed(each)], folder, fixed, measured, report)
    # OpenVINO computes one file in two number formats.
    files |= {each: files[replace(each, native=False)] for each in variants if each.native}
    return files


def _is_fixed(variant: Variant) -> bool:
    return variant.file_format == "executorch"


def _write(
    subject: ExportSubject,
    variants: Sequence[Variant],
    folder: Path,
    options: ExportOptions,
    data: ExportData,
    report: Callable[[str], None],
) -> dict[Variant, VariantFile]:
    """Write files that share their options. After a format that fails, the next ones are written all the same."""
    files: dict[Variant, VariantFile] = {}
    while len(files) < len(variants):
        missing = list(variants[len(files) :])
        names = [str(each.file_format) for each in missing]
        try:
            for exported in export_network(subject, names, folder, options, data, report):
                problem = None if exported.passes else "; ".join(exported.parity.failures)
                files[missing.pop(0)] = VariantFile(exported, problem)
        except (OptionError, WeightsError) as error:
            files[missing[0]] = VariantFile(None, str(error))
    return files
