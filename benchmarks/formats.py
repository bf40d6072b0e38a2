"""Measure every export format on four networks, and the speed of the fast ones against torch.

    python benchmarks/formats.py [--weights NAME=RUN ...] [--data DATA] [--imgsz 320] [--threads 2] [--repeats 30]
        [--formats onnx,openvino] [--speed-imgsz 320,640] [--speed-threads 1,2]
        [--out benchmarks/results/formats-cpu.md] [--docs docs/export.md]

NAME is one of the networks: yolov5n, yolov5n_CBAM, cbam@neck. Networks without weights have random ones: their latency
is the same, and their mAP is left out. With weights and a data set, int8 files are measured, too. All formats of a
network are measured in turn in one process. Memory is measured for the first network. `--docs` writes the tables
between the marks in that page.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from torchvision.models import resnet18

import attendet
from attendet.api.exporting import export_data, open_subject
from attendet.exporting import ExportData, ExportSubject
from attendet.exporting.benchmarking import (
    Benchmark,
    Durations,
    Variant,
    VariantFile,
    choose_variants,
    example_of,
    measure_latency,
    measure_subject,
    open_contenders,
    torch_threads,
    write_variants,
)
from attendet.utils.text import plural

_MARKS = ("<!-- formats: written by benchmarks/formats.py -->", "<!-- end of formats -->")
_DETECTORS = ("yolov5n", "yolov5n_CBAM", "cbam@neck")
_RESNET = "resnet18+CBAM"
_RESNET_SIDE = 224
# How many times faster than torch these formats must be.
_FLOAT_BAR, _REDUCED_BAR = 1.8, 2.3

_METHOD = (
    "`differs by` is the largest difference from torch of a score, or of a coordinate as a fraction of the canvas "
    "(for resnet18, of an output as a fraction of the largest). `ms` is the median (quartiles) of one pass, measured "
    "in turn; `speedup` is the median of the ratios to torch in each repeat. int8 files are kept by their mAP."
)


@dataclass(frozen=True)
class MeasuredNetwork:
    """A network with its files and measurements."""

    subject: ExportSubject
    variants: Sequence[Variant]
    files: Mapping[Variant, VariantFile]
    data: ExportData
    benchmark: Benchmark


def network_of(name: str) -> nn.Module | str:
    """Return a network with random weights."""
    if name == "cbam@neck":
        detector = attendet.build("yolov5n").train(False)
        attendet.attach(detector, "cbam", "neck")
        return detector
    if name == _RESNET:
        resnet = resnet18().train(False)
        attendet.attach(resnet, "cbam", "residual-branch")
        return resnet
    return name


def measure_network(name: str, folder: Path, arguments: argparse.Namespace) -> MeasuredNetwork:
    """Write and measure all formats of a network."""
    weights = dict(entry.partition("=")[::2] for entry in arguments.weights).get(name)
    is_detector = name in _DETECTORS
    torch.manual_seed(0)
    example = None if is_detector else torch.rand(1, 3, _RESNET_SIDE, _RESNET_SIDE)
    subject = open_subject(weights or network_of(name), (), example).subject
    data = ExportData()
    if weights is not None and arguments.data is not None:
        data = export_data(weights, arguments.data, subject.description, is_measured=True)
    formats = arguments.formats.split(",") if arguments.formats else None
    variants = choose_variants(formats, int8=data.validation is not None)
    images = example_of(subject, data, arguments.imgsz if is_detector else None)

    def report(text: str) -> None:
        print(f"{name}: {text}", file=sys.stderr, flush=True)

    with torch_threads(arguments.threads):
        files = write_variants(subject, variants, folder, tuple(images.shape), data, report)
        has_memory = name == _DETECTORS[0]
        measured = measure_subject(subject, variants, files, images, data, arguments.repeats, report, memory=has_memory)
    return MeasuredNetwork(subject, variants, files, data, measured)


def format_rows(name: str, benchmark: Benchmark) -> list[str]:
    """Return the lines of the table for a network."""
    lines = []
    for row in benchmark.rows:
        cells = [
            name,
            row.name,
            "" if row.difference is None else f"{row.difference:.0e}",
            "" if row.map50_95 is None else f"{row.map50_95:.3f}",
            "" if row.latency is None else _median_and_quartiles(row.latency),
            "" if row.speedup is None else f"{row.speedup:.2f}",
            *("" if size is None else f"{size / 2**20:.1f}" for size in (row.file_bytes, row.memory_bytes)),
        ]
        if row.problem:
            cells[2] = f"{cells[2]} failed: {row.problem}".strip()
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def speed_lines(network: MeasuredNetwork, arguments: argparse.Namespace) -> list[str]:
    """Return the lines of the section about speed: each image size and number of threads is one interleaved run."""
    lines = ["| pixels | threads | format | ms | speedup |", "|---|---|---|---|---|"]
    floats: list[float] = []
    reduced: list[float] = []
    chosen = [each for each in network.variants if each.file_format in (None, "onnx", "openvino")]
    for side in map(int, arguments.speed_imgsz.split(",")):
        images = example_of(network.subject, network.data, side)
        for threads in map(int, arguments.speed_threads.split(",")):
            with torch_threads(threads):
                contenders = open_contenders(network.subject, chosen, network.files)
                latencies = measure_latency(contenders, images, arguments.repeats)
            speedups = {name: each.speedup_over(latencies["torch-eager"]) for name, each in latencies.items()}
            for name, latency in latencies.items():
                cells = (str(side), str(threads), name, _median_and_quartiles(latency), f"{speedups[name]:.2f}")
                lines.append(f"| {' | '.join(cells)} |")
            floats += [speedups["onnx"]] if "onnx" in speedups else []
            reduced.append(max((value for name, value in speedups.items() if _is_reduced(name)), default=0.0))
    lines += [""]
    lines += [_verdict("onnxruntime in float32", floats, _FLOAT_BAR)]
    lines += [_verdict("The fastest of int8 and bf16", reduced, _REDUCED_BAR)]
    return lines


def _is_reduced(name: str) -> bool:
    return name.endswith(("-int8", "-bf16", "-f16"))


def _verdict(what: str, speedups: Sequence[float], bar: float) -> str:
    lowest = min(speedups, default=0.0)
    met = sum(speedup >= bar for speedup in speedups)
    return f"- {what} is at least {lowest:.2f} times as fast as torch; {bar} in {met} of {len(speedups)} settings."


def _median_and_quartiles(latency: Durations) -> str:
    lower, median, upper = latency.quartiles
    return f"{median:.1f} ({lower:.1f} to {upper:.1f})"


def report_lines(arguments: argparse.Namespace) -> list[str]:
    """Return the lines of the report."""
    names = (*_DETECTORS, _RESNET)
    rows: list[str] = []
    with tempfile.TemporaryDirectory() as temporary:
        networks = [measure_network(name, Path(temporary, str(number)), arguments) for number, name in enumerate(names)]
        speed = speed_lines(networks[0], arguments)
    for name, network in zip(names, networks, strict=True):
        rows += format_rows(name, network.benchmark)
    first = networks[0].benchmark
    packages = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    side = max(first.input_shape[2:])
    heading = "| network | format | differs by | mAP50-95 | ms | speedup | size, MB | memory, MB |"
    machine = f"{first.processor}, {plural(first.threads, 'thread')}; {packages}"
    return [
        f"{machine}; {arguments.repeats} repeats; batch 1, {side} pixels ({_RESNET_SIDE} for resnet18).",
        "",
        _METHOD,
        "",
        heading,
        "|---|---|---|---|---|---|---|---|",
        *rows,
        "",
        f"Speed of {names[0]}, batch 1:",
        "",
        *speed,
    ]


def main() -> None:
    """Measure, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", nargs="*", default=[], metavar="NAME=RUN")
    parser.add_argument("--data")
    parser.add_argument("--imgsz", type=int, default=320)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--formats", help="default: all whose packages are installed")
    parser.add_argument("--speed-imgsz", default="320,640")
    parser.add_argument("--speed-threads", default="1,2")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--docs", type=Path)
    arguments = parser.parse_args()
    for entry in arguments.weights:
        if entry.partition("=")[0] not in _DETECTORS:
            parser.error(f"--weights must be NAME=RUN with a name out of {', '.join(_DETECTORS)}, got {entry!r}")
    lines = report_lines(arguments)
    arguments.out.write_text("\n".join(["# Export formats", "", *lines, ""]), encoding="utf-8")
    if arguments.docs is not None:
        before, _, rest = arguments.docs.read_text(encoding="utf-8").partition(_MARKS[0])
        _, end, after = rest.partition(_MARKS[1])
        if not end:
            parser.error(f"{arguments.docs} must contain {_MARKS[0]} and {_MARKS[1]}")
        text = "\n".join([f"{before}{_MARKS[0]}", "", *lines, "", f"{_MARKS[1]}{after}"])
        arguments.docs.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
