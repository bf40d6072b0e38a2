"""The result of a benchmark: one row per format."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from attendet.exporting.benchmarking.latency import Durations


@dataclass(frozen=True)
class BenchmarkRow:
    """The measurements of one format.

    Attributes:
        name: Name of the format, such as `onnx-int8`.
        latency: Durations of one pass; None if the format could not run.
        speedup: How many times faster than torch the format is; the median of the ratios of each repeat.
        map50_95: mAP50-95 (0-1) on the validation split; None if it was not measured.
        file_bytes: Size of the files, or of the tensors of a network in torch; None if no file was written.
        memory_bytes: Peak resident memory that opening and running adds to a process that has imported torch; None if
            it was not measured.
        difference: Largest difference from torch, as in `Parity.differences`; None if it was not measured.
        problem: Why the file is not usable or a measurement is missing; None if everything was measured.
    """

    name: str
    latency: Durations | None = None
    speedup: float | None = None
    map50_95: float | None = None
    file_bytes: int | None = None
    memory_bytes: int | None = None
    difference: float | None = None
    problem: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the measurements as plain values, ready for JSON, with the quartiles of the latency."""
        values = asdict(self)
        if self.latency is not None:
            lower, median, upper = self.latency.quartiles
            quartiles = {"lower_quartile": lower, "median": median, "upper_quartile": upper}
            values["latency"] = {**quartiles, "milliseconds": list(self.latency.milliseconds)}
        return values


@dataclass(frozen=True)
class Benchmark:
    """The formats of one network side by side.

    Attributes:
        model: Name of the network.
        rows: One row per format; torch is the first.
        input_shape: Shape of the input of one pass, such as (N, 3, H, W).
        real_images: Whether the input holds real images; otherwise synthetic ones.
        threads: Number of threads of each runtime.
        validation_images: Number of images on which mAP was measured; 0 if it was not.
        processor: Name of the processor.
        versions: Versions of the packages that computed.
    """

    model: str
    rows: tuple[BenchmarkRow, ...]
    input_shape: tuple[int, ...]
    real_images: bool
    threads: int
    validation_images: int
    processor: str
    versions: dict[str, str]

    @property
    def passes(self) -> bool:
        """Whether every format was measured completely."""
        return not any(row.problem for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return all measurements as plain values, ready for JSON."""
        values = {name: value for name, value in vars(self).items() if name != "rows"}
        return {**values, "input_shape": list(self.input_shape), "rows": [row.to_dict() for row in self.rows]}

    def __repr__(self) -> str:
        """Show the median latency of each format."""
        times = ", ".join(f"{row.name} {row.latency.median:.1f} ms" for row in self.rows if row.latency is not None)
        return f"Benchmark({self.model}: {times})"
