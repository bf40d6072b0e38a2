"""Measure the fused CBAM: time compared with plain torch, and memory bandwidth compared with a copy.

    python benchmarks/cbam.py [--device cuda] [--dtype bfloat16] [--batch 32] [--rounds 15] [--no-compile]
        [--csv benchmarks/results/cbam.csv]

The operator's tests run first; if one fails, nothing is measured. Contenders are a naive implementation of the authors'
formulas, timm's module, and our reference in eager mode, and `torch.compile` of the reference. In every round each
contender runs once, in random order. Ratios are taken within a round. The CSV file gets one line per contender.

The number of bytes is the minimum that the fused passes read and write: 3 reads and 1 write of the features in the
forward pass, 5 reads and 1 write in the backward pass. If a map stays in a cache between passes, fewer bytes reach the
memory, and the computed bandwidth exceeds that of a copy. The expected milliseconds are these bytes divided by the
bandwidth of a copy. For each output, they include the additional time of a clone compared with a copy into existing
memory, because the system maps new memory page by page.
"""

from __future__ import annotations

import argparse
import copy
import csv
import datetime as dt
import platform
import statistics
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from peers import LAYOUTS, SHAPES, in_plain_torch, naive_like
from timing import measure, timed_pass
from timm.layers.cbam import CbamModule
from torch import Tensor, nn

from attendet.attention import CBAM
from attendet.ops.cbam import unsupported_reason

_ROOT = Path(__file__).parents[1]
_EAGER = ("naive", "timm", "reference")
_PASSES = {False: 3 + 1, True: 3 + 1 + 5 + 1}
_OUTPUTS = {False: 1, True: 2}
_HEADINGS = (
    "shape", "layout", "what", "fused, ms", "to expect", "fastest eager peer", "torch.compile", "least MB",
    "GB/s of a copy's",
)  # fmt: skip
_COLUMNS: tuple[str, ...] = (
    "date", "device", "threads", "torch", "python", "dtype", "shape", "layout", "what", "contender",
    "milliseconds", "lower quartile", "upper quartile", "times the fused", "least bytes", "GB/s", "GB/s of a copy",
    "milliseconds to expect",
)  # fmt: skip


def require_passing_tests() -> None:
    """Run the operator's tests, and exit if one fails or the operators do not run on this machine."""
    reason = unsupported_reason(torch.ones(1, 1, 1, 1))
    if reason is not None:
        raise SystemExit(f"the fused operators do not run on this machine: {reason}")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "tests/ops", "tests/attention/cbam"]
    if subprocess.run(command, cwd=_ROOT, check=False).returncode:  # noqa: S603
        raise SystemExit("the tests of the operators fail; nothing is measured")


def contenders(channels: int, *, compiled: bool) -> dict[str, nn.Module]:
    """Return the fused module and the other contenders. All except timm's have equal weights."""
    fused = CBAM(channels, variant="authors")
    fused.implementation = "fused"
    modules: dict[str, nn.Module] = {"fused": fused, "naive": naive_like(fused, channels), "timm": CbamModule(channels)}
    modules["reference"] = in_plain_torch(copy.deepcopy(fused))
    if compiled:
        plain = in_plain_torch(copy.deepcopy(fused))
        plain.compile()
        modules["compiled"] = plain
    return modules


def require_agreement(modules: Mapping[str, nn.Module], x: Tensor) -> None:
    """Raise an error unless the modules with equal weights return equal features."""
    with torch.no_grad():
        expected = modules["reference"](x)
        for name in set(modules) - {"timm"}:
            # In half precision, plain torch rounds after every operation.
            tolerance = 1e-4 if x.dtype == torch.float32 else 0.05
            torch.testing.assert_close(modules[name](x), expected, rtol=tolerance, atol=tolerance)


def copy_seconds(x: Tensor, rounds: int) -> tuple[float, float]:
    """Return the seconds for copying features into existing memory and into new memory."""
    y = torch.empty_like(x)
    times = measure({"existing": lambda: y.copy_(x), "new": x.clone}, rounds, x.device)
    return statistics.median(times["existing"]), statistics.median(times["new"])


def peak_memory(function: Callable[[], object]) -> int:
    """Return the peak number of bytes that a function allocates on a GPU."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    function()
    return torch.cuda.max_memory_allocated() - before


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def compare(x: Tensor, layout: str, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the CSV lines for one shape and layout, and print a summary."""
    upstream = torch.randn_like(x)
    new = contenders(x.shape[1], compiled=not options.no_compile)
    modules = {
        name: module.to(x.device, x.dtype).to(memory_format=LAYOUTS[layout]).train() for name, module in new.items()
    }
    require_agreement(modules, x)
    size = x.numel() * x.element_size()
    existing_seconds, new_seconds = copy_seconds(x, options.rounds)
    bandwidth = 2 * size / existing_seconds
    lines = []
    for backward, passes in _PASSES.items():
        functions = {name: timed_pass(module, x, upstream, backward=backward) for name, module in modules.items()}
        times = measure(functions, options.rounds, x.device)
        ratios = {name: [a / b for a, b in zip(values, times["fused"], strict=True)] for name, values in times.items()}
        mode = "forward+backward" if backward else "forward"
        expected = passes * size / bandwidth + _OUTPUTS[backward] * max(new_seconds - existing_seconds, 0)
        for name, values in times.items():
            low, median, high = statistics.quantiles(values, n=4, method="inclusive")
            lines.append(
                {
                    "shape": "x".join(map(str, x.shape)),
                    "layout": layout,
                    "what": mode,
                    "contender": name,
                    "milliseconds": round(median * 1e3, 3),
                    "lower quartile": round(low * 1e3, 3),
                    "upper quartile": round(high * 1e3, 3),
                    "times the fused": round(statistics.median(ratios[name]), 2),
                    "least bytes": passes * size,
                    "GB/s": round(passes * size / median / 1e9, 1) if name == "fused" else "",
                    "GB/s of a copy": round(bandwidth / 1e9, 1),
                    "milliseconds to expect": round(expected * 1e3, 3) if name == "fused" else "",
                }
            )
        print(summary(lines[-len(times) :], ratios), flush=True)
        if x.device.type == "cuda":
            print(
                {name: f"{peak_memory(function) / size:.2f} maps of memory" for name, function in functions.items()},
                flush=True,
            )
    return lines


def summary(lines: list[dict[str, object]], ratios: Mapping[str, list[float]]) -> str:
    """Return one line of the table: the fused time, and the ratios of the fastest eager contender and of compile."""
    fused = lines[0]
    eager = min(_EAGER, key=lambda name: statistics.median(ratios[name]))
    cells = [str(fused[column]) for column in ("shape", "layout", "what", "milliseconds", "milliseconds to expect")]
    cells.append(f"{statistics.median(ratios[eager]):.2f} ({eager})")
    cells.append(f"{statistics.median(ratios['compiled']):.2f}" if "compiled" in ratios else "not measured")
    cells += [f"{int(str(fused['least bytes'])) / 1e6:.0f}", f"{fused['GB/s']} of {fused['GB/s of a copy']}"]
    return f"| {' | '.join(cells)} |"


def append(path: Path, lines: list[dict[str, object]]) -> None:
    """Append lines to a CSV file, with a header if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, _COLUMNS)
        if is_new:
            writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Test, measure, print, and append to the CSV file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-compile", action="store_true", help="skip torch.compile, which takes long to start")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    require_passing_tests()
    description = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": options.dtype,
    }
    print(", ".join(f"{name} {value}" for name, value in description.items()))
    print(f"| {' | '.join(_HEADINGS)} |\n|{'---|' * len(_HEADINGS)}")
    for _, *sides in SHAPES:
        for layout, memory_format in LAYOUTS.items():
            torch.manual_seed(0)
            torch.compiler.reset()
            x = torch.randn(options.batch, *sides, device=device).to(dtype, memory_format=memory_format)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                lines = [{**description, **line} for line in compare(x, layout, options)]
            if options.csv:
                append(options.csv, lines)


if __name__ == "__main__":
    main()
