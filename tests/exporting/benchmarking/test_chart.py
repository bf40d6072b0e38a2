"""The picture of a benchmark."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from attendet.exporting.benchmarking.benchmark_rows import Benchmark, BenchmarkRow
from attendet.exporting.benchmarking.chart import draw_benchmark
from attendet.exporting.benchmarking.latency import Durations
from attendet.utils.plotting import COLORS

ROWS = (
    BenchmarkRow("torch-eager", Durations((30.0, 31.0, 35.0)), 1.0, 0.45),
    BenchmarkRow("onnx", Durations((15.0, 16.0, 17.0)), 1.9, 0.45),
    BenchmarkRow("openvino-bf16", Durations((12.0, 12.5, 13.0)), 2.5, 0.448),
    BenchmarkRow("onnx-int8", problem="mAP50-95 is 0.300 instead of 0.450"),
)
MEASURED = Benchmark("best", ROWS, (1, 3, 320, 320), True, 2, 72, "a processor", {"torch": "2"})


def pixels(path: Path, color: str) -> int:
    """Return the number of pixels of a color."""
    image = np.asarray(Image.open(path).convert("RGB"), np.int64)
    return int((np.abs(image - 255 * np.array(to_rgb(color))).max(-1) < 2).sum())


def test_every_format_that_ran_is_a_point_of_its_own_color(tmp_path: Path) -> None:
    draw_benchmark(MEASURED, tmp_path / "benchmark.png")
    drawn = [pixels(tmp_path / "benchmark.png", color) for color in COLORS]
    # Each point is in the plot and in the legend.
    assert all(count > 60 for count in drawn[:2])
    assert drawn[2:] == [0] * len(drawn[2:])


def test_without_map_the_bars_are_as_long_as_the_latencies(tmp_path: Path) -> None:
    rows = tuple(replace(row, map50_95=None) for row in ROWS)
    draw_benchmark(replace(MEASURED, rows=rows), tmp_path / "benchmark.png")
    image = np.asarray(Image.open(tmp_path / "benchmark.png").convert("RGB"), np.int64)
    is_bar = np.abs(image - 255 * np.array(to_rgb(COLORS[0]))).max(-1) < 2
    lengths = is_bar.sum(1)
    starts = np.flatnonzero((lengths[1:] > 0) & (lengths[:-1] == 0)) + 1
    longest = [int(lengths[start : start + 10].max()) for start in starts]
    assert len(longest) == 3
    np.testing.assert_allclose(np.array(longest) / longest[0], [1, 16 / 31, 12.5 / 31], atol=0.02)


@pytest.mark.parametrize("with_map", [True, False])
def test_json_holds_every_number_of_the_picture(with_map: bool) -> None:
    rows = ROWS if with_map else tuple(replace(row, map50_95=None) for row in ROWS)
    values = replace(MEASURED, rows=rows).to_dict()
    assert [row["name"] for row in values["rows"]] == ["torch-eager", "onnx", "openvino-bf16", "onnx-int8"]
    assert values["rows"][0]["latency"]["median"] == 31.0
    assert values["rows"][0]["latency"]["upper_quartile"] == np.percentile([30, 31, 35], 75)
    assert values["rows"][3]["latency"] is None
    assert values["rows"][0]["map50_95"] == (0.45 if with_map else None)
