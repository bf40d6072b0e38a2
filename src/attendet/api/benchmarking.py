"""Compare the formats of a network with one call."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor, nn

from attendet.api.exporting import export_data, open_subject, require_detector
from attendet.errors import DataError, OptionError
from attendet.exporting import ExportData, ExportSubject
from attendet.exporting.benchmarking import (
    Benchmark,
    choose_variants,
    draw_benchmark,
    example_of,
    measure_subject,
    torch_threads,
    write_variants,
)
from attendet.utils.io import cannot_write, write_json


def benchmark(
    model: nn.Module | str | os.PathLike[str],
    formats: Sequence[str] | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    names: Sequence[str] = (),
    example: Tensor | None = None,
    imgsz: int | None = None,
    batch: int = 1,
    repeats: int = 50,
    threads: int | None = None,
    half: bool = False,
    int8: bool = False,
    out: str | os.PathLike[str] | None = None,
    report: Callable[[str], None] | None = None,
) -> Benchmark:
    """Measure latency, mAP, size, and memory of a network in several formats: `attendet benchmark` as a function.

    All runtimes are open in one process, and are measured in turn, on the CPU. The network in torch is always the first
    row. A file that cannot be written or differs too much from torch is a row with its problem.

    Args:
        model: A detector or any other network, or a run's folder, a `.safetensors` file, a YOLO `.pt` checkpoint, or
            a model file. The network is not changed.
        formats: `torch-eager`, `torch-compile`, `onnx`, `openvino`, `torch` (`.pt2`), `ncnn`, `executorch` (default:
            all files whose packages are installed). OpenVINO has a second row for the number format that the processor
            prefers, if that is not float32.
        data: Data set with which mAP is measured, and int8 files are calibrated (default: that of the run).
        names: Class names of a detector that is given as a network (default: numbers).
        example: An input of a network that is not a detector.
        imgsz: Side of the square images in pixels, rounded up to a multiple of the stride (default: that of training,
            or 640).
        batch: Images per pass.
        repeats: Number of measured passes of each format.
        threads: Number of threads of every runtime (default: that of torch).
        half: Whether to measure files in float16, too.
        int8: Whether to measure int8 files of onnx and openvino, too; needs a data set.
        out: Folder for the files, `benchmark.json`, and `benchmark.png` (default: files are removed).
        report: Called with a sentence before each step that takes seconds.

    Returns:
        One row per format.

    Raises:
        OptionError: If an option is invalid, or a package of a format that is named is missing.
        WeightsError: If the weights cannot be read.
        DataError: If the data set cannot be read.
        OutputError: If a file cannot be written.

    Example:
        >>> import attendet, torch
        >>> network = torch.nn.Sequential(torch.nn.Conv2d(3, 64, 3), attendet.create("cbam", 64))
        >>> measured = benchmark(network, ["torch"], repeats=3, example=torch.rand(1, 3, 32, 32))
        >>> [row.name for row in measured.rows], measured.rows[1].latency.median > 0
        (['torch-eager', 'torch'], True)
    """
    for name, value in (("batch", batch), ("repeats", repeats), ("threads", threads)):
        if value is not None and value < 1:
            raise OptionError(f"`{name}` must be a positive integer, got {value}")
    variants = choose_variants(formats, half=half, int8=int8)
    subject = open_subject(model, names, example).subject
    require_detector(subject.description, {"data": data, "imgsz": imgsz, "int8": int8 or None})
    images = _data(model, data, subject, int8=int8)
    report = report or (lambda _: None)
    with _folder(out) as folder, torch_threads(threads):
        example_pass = example_of(subject, images, imgsz, batch)
        files = write_variants(subject, variants, folder, tuple(example_pass.shape), images, report)
        measured = measure_subject(subject, variants, files, example_pass, images, repeats, report)
        if out is not None:
            write_json(folder / "benchmark.json", measured.to_dict())
            draw_benchmark(measured, folder / "benchmark.png")
    return measured


def _data(
    model: nn.Module | str | os.PathLike[str],
    data: str | os.PathLike[str] | None,
    subject: ExportSubject,
    *,
    int8: bool,
) -> ExportData:
    """Return the images of the data set that is named, or of that of the run if it still exists."""
    try:
        images = export_data(model, data, subject.description, is_measured=True)
    except (DataError, OptionError):
        if data is not None or int8:
            raise
        return ExportData()
    if int8 and images.validation is None:
        raise OptionError(
            "`int8` needs a data set, got none", remedy="name one with `data`: it measures ranges and mAP"
        )
    return images


@contextmanager
def _folder(out: str | os.PathLike[str] | None) -> Iterator[Path]:
    """Yield the folder of the files; a temporary one is removed afterwards."""
    if out is None:
        with tempfile.TemporaryDirectory(prefix="attendet-benchmark-") as temporary:
            yield Path(temporary)
        return
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from error
    yield folder
