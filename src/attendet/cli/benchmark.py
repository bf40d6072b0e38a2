"""`attendet benchmark`: compare the formats of a network by latency, mAP, size, and memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.inputs import one_model, require_data, split_names
from attendet.cli.options import COMPUTING, INPUT, OUTPUT, AsJson, NetworkArgument, NetworkOption
from attendet.cli.ui.console import console
from attendet.cli.ui.tables import score, styled, table
from attendet.utils.json_text import to_json
from attendet.utils.text import plural

if TYPE_CHECKING:
    from attendet.exporting.benchmarking import Benchmark, BenchmarkRow

_FORMATS = "Formats"


def benchmark_command(
    model: NetworkArgument = None,
    weights: NetworkOption = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="DATA",
            help="Data set to measure mAP with, and to calibrate int8 with. [default: data set of the run]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            "--include",
            metavar="NAMES",
            help="torch-eager, torch-compile, onnx, openvino, torch, ncnn, executorch; several with commas. "
            "[default: all files whose packages are installed]",
            rich_help_panel=_FORMATS,
        ),
    ] = None,
    half: Annotated[
        bool, typer.Option("--half", help="Measure files in 16 bits, too.", rich_help_panel=_FORMATS)
    ] = False,
    int8: Annotated[
        bool,
        typer.Option("--int8", help="Measure int8 files of onnx and openvino, too.", rich_help_panel=_FORMATS),
    ] = False,
    imgsz: Annotated[
        int | None,
        typer.Option(
            "--imgsz",
            "--img",
            "--img-size",
            metavar="PIXELS",
            help="Side of the square images. [default: as in training]",
            min=32,
            rich_help_panel=COMPUTING,
        ),
    ] = None,
    batch: Annotated[
        int,
        typer.Option("--batch", "--batch-size", metavar="N", help="Images per pass.", min=1, rich_help_panel=COMPUTING),
    ] = 1,
    repeats: Annotated[
        int, typer.Option(metavar="N", help="Measured passes of each format.", min=1, rich_help_panel=COMPUTING)
    ] = 50,
    threads: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Threads of every runtime. [default: all cores]", min=1, rich_help_panel=COMPUTING
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep the files here, and write benchmark.json and benchmark.png.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the formats of a network on the CPU: latency (measured in turn), mAP, size of the files, and memory.

    A file that cannot be written or differs too much from torch is a row with the reason: the exit code is then 1.
    """
    path = one_model(model, weights)
    if data is not None:
        require_data(data)
    from attendet.api.benchmarking import benchmark

    measured = benchmark(
        path,
        split_names(formats) if formats else None,
        data=data,
        imgsz=imgsz,
        batch=batch,
        repeats=repeats,
        threads=threads,
        half=half,
        int8=int8,
        out=out,
        report=console(stderr=True).print,
    )
    if as_json:
        typer.echo(to_json(measured.to_dict()))
    else:
        _print(measured, out)
    if not measured.passes:
        raise typer.Exit(DEFECTS)


def _print(benchmark: Benchmark, folder: Path | None) -> None:
    has_quality = any(row.map50_95 is not None for row in benchmark.rows)
    columns = [("format", False), ("median ms", True), ("quartiles ms", True), ("speedup", True)]
    columns += [("mAP50-95", True)] if has_quality else []
    columns += [("size MB", True), ("memory MB", True), ("differs by", True)]
    rows = table(benchmark.model, columns)
    for row in benchmark.rows:
        rows.add_row(*_cells(row, has_quality=has_quality))
    out = console()
    out.print(rows)
    images = "real" if benchmark.real_images else "synthetic"
    shape = "x".join(map(str, benchmark.input_shape))
    out.print(f"\n{images} input of {shape}, {plural(benchmark.threads, 'thread')}; {benchmark.processor}")
    if has_quality:
        out.print(f"mAP50-95 on {plural(benchmark.validation_images, 'image')}")
    for row in benchmark.rows:
        if row.problem:
            out.print(styled(f"{row.name}: {row.problem}", "red"), soft_wrap=True)
    if folder is not None:
        out.print(f"results: {folder}", soft_wrap=True)


def _cells(row: BenchmarkRow, *, has_quality: bool) -> list[str]:
    cells = [row.name]
    if row.latency is None or row.speedup is None:
        cells += ["failed", "-", "-"]
    else:
        lower, median, upper = row.latency.quartiles
        cells += [f"{median:.1f}", f"{lower:.1f}-{upper:.1f}", f"{row.speedup:.2f}x"]
    cells += [score(row.map50_95)] if has_quality else []
    return [
        *cells,
        _megabytes(row.file_bytes),
        _megabytes(row.memory_bytes),
        "-" if row.difference is None else f"{row.difference:.0e}",
    ]


def _megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 2**20:.1f}"
