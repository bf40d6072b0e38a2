"""Measurement of all variants of one network."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from attendet.errors import OptionError, WeightsError
from attendet.evaluation.validation import validate
from attendet.exporting import ExportData, Exported, ExportSubject
from attendet.exporting.benchmarking.benchmark_rows import Benchmark, BenchmarkRow
from attendet.exporting.benchmarking.contenders import open_contender
from attendet.exporting.benchmarking.latency import Durations, measure_interleaved
from attendet.exporting.benchmarking.process_memory import measure_peak_memory
from attendet.exporting.benchmarking.variant_files import VariantFile
from attendet.exporting.benchmarking.variants import EAGER, Variant
from attendet.runtimes.openvino_model import OpenVinoRuntime
from attendet.runtimes.protocol import Runtime
from attendet.utils.provenance import versions

_PACKAGES = ("torch", "onnxruntime", "openvino", "ncnn", "executorch")


@dataclass(frozen=True)
class Contender:
    """A variant that is ready to run, or the reason why it is not.

    Attributes:
        variant: The variant.
        name: Name of its row; for the number format that OpenVINO prefers, with that format, such as `openvino-bf16`.
        runtime: Its runtime; None if it could not be opened.
        file: Its file; None for the network in torch.
        problem: Why it has no runtime; None if it has one.
    """

    variant: Variant
    name: str
    runtime: Runtime | None
    file: VariantFile | None
    problem: str | None = None

    @property
    def exported(self) -> Exported | None:
        """The exported file; None for the network in torch, and if no file could be written."""
        return self.file.exported if self.file else None


@contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Let torch, and all runtimes that are opened, use a number of threads while the block runs.

    Args:
        count: Number of threads; None keeps that of torch.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(before if count is None else count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def open_contenders(
    subject: ExportSubject, variants: Sequence[Variant], files: Mapping[Variant, VariantFile]
) -> list[Contender]:
    """Open all variants, as far as their files are usable.

    A second row of OpenVINO is left out where the processor prefers float32.

    Args:
        subject: The network.
        variants: The variants.
        files: The files of the variants that have one.
    """
    contenders = []
    for variant in variants:
        file = files.get(variant)
        problem = file.problem if file else None
        runtime = None
        if problem is None:
            path = file.exported.path if file and file.exported else None
            try:
                runtime = open_contender(variant, subject=subject, path=path)
            except (OptionError, WeightsError) as error:
                problem = str(error)
        if variant.native and not isinstance(runtime, OpenVinoRuntime):
            # The problem is that of the row in float32.
            continue
        name = variant.name
        if isinstance(runtime, OpenVinoRuntime) and variant.native:
            if runtime.computes_in == "f32":
                continue
            name = name.replace("native", runtime.computes_in)
        contenders.append(Contender(variant, name, runtime, file, problem))
    return contenders


def measure_latency(contenders: Sequence[Contender], images: Tensor, repeats: int) -> dict[str, Durations]:
    """Measure the passes of all contenders that can run, in turn, and return their durations by name.

    Args:
        contenders: The contenders.
        images: Input (N, C, …) of a pass, floating-point in 0-1.
        repeats: Number of durations of each.
    """
    functions = {each.name: lambda runtime=each.runtime: runtime.predict(images) for each in contenders if each.runtime}
    return measure_interleaved(functions, repeats)


def measure_subject(
    subject: ExportSubject,
    variants: Sequence[Variant],
    files: Mapping[Variant, VariantFile],
    images: Tensor,
    data: ExportData,
    repeats: int,
    report: Callable[[str], None],
    *,
    memory: bool = True,
) -> Benchmark:
    """Open and measure all variants of a network with the present number of threads.

    Args:
        subject: The network.
        variants: The variants; the network in torch is the first.
        files: The files of the variants that have one.
        images: Input (N, C, …) of a pass, floating-point in 0-1.
        data: Images on which mAP is measured, if any.
        repeats: Number of durations of each variant.
        report: Called with a sentence before each step that takes seconds.
        memory: Whether to measure memory, which takes some seconds per variant.
    """
    contenders = open_contenders(subject, variants, files)
    peaks = _measure_memory(subject, contenders, images, report) if memory else {}
    quality = {each.name: _measure_quality(each, max(images.shape[2:]), data, report) for each in contenders}
    rows = [_row(subject, each, peaks.get(each.name), quality[each.name]) for each in contenders]
    report(f"measuring latency: {repeats} passes of each format, in turn")
    latencies = measure_latency(contenders, images, repeats)
    validation = data.validation
    return Benchmark(
        model=subject.name,
        rows=tuple(_with_latency(row, latencies) for row in rows),
        input_shape=tuple(images.shape),
        real_images=bool(data.images),
        threads=torch.get_num_threads(),
        validation_images=len(validation.records) if validation is not None else 0,
        processor=_processor(),
        versions={name: value for name, value in versions(_PACKAGES).items() if value != "unknown"},
    )


def _measure_memory(
    subject: ExportSubject, contenders: Sequence[Contender], images: Tensor, report: Callable[[str], None]
) -> dict[str, int | OptionError | None]:
    """Return the memory of each contender in bytes, or the error that measuring it caused."""
    memory: dict[str, int | OptionError | None] = {}
    with tempfile.TemporaryDirectory(prefix="attendet-benchmark-") as temporary:
        network = Path(temporary, "network.pt")
        for each in contenders:
            if each.runtime is None:
                memory[each.name] = None
                continue
            report(f"{each.name}: measuring memory")
            path = each.exported.path if each.exported else None
            try:
                if path is None and not network.exists():
                    torch.save(subject, network)
                memory[each.name] = measure_peak_memory(
                    each.variant,
                    images.shape,
                    torch.get_num_threads(),
                    network=network if path is None else None,
                    path=path,
                )
            except OptionError as error:
                memory[each.name] = error
    return memory


def _row(
    subject: ExportSubject, contender: Contender, memory: int | OptionError | None, quality: float | None
) -> BenchmarkRow:
    """Return the row of a contender without its latency."""
    exported = contender.exported
    differences = exported.parity.differences.values() if exported and not contender.variant.native else ()
    size = exported.size if exported else None
    if contender.variant.file_format is None:
        size = sum(tensor.nbytes for tensor in subject.network.state_dict().values())
    return BenchmarkRow(
        name=contender.name,
        map50_95=quality,
        file_bytes=size,
        memory_bytes=memory if isinstance(memory, int) else None,
        difference=max(differences, default=None),
        problem=str(memory) if isinstance(memory, OptionError) else contender.problem,
    )


def _measure_quality(contender: Contender, imgsz: int, data: ExportData, report: Callable[[str], None]) -> float | None:
    quality = contender.exported.parity.quality if contender.exported else None
    if quality is not None and not contender.variant.native:
        return quality.map_file
    runtime = contender.runtime
    if data.validation is None or runtime is None:
        return None
    report(f"{contender.name}: measuring mAP on {len(data.validation.records):,} images")
    return validate(runtime, data.validation, runtime.image_size or imgsz).metrics.map50_95


def _with_latency(row: BenchmarkRow, latencies: Mapping[str, Durations]) -> BenchmarkRow:
    latency, baseline = latencies.get(row.name), latencies[EAGER]
    return row if latency is None else replace(row, latency=latency, speedup=latency.speedup_over(baseline))


def _processor() -> str:
    """Return the name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
