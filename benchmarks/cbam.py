"""What the fused CBAM costs beside plain torch: time, bytes, and how near the copying of memory it comes.

    python benchmarks/cbam.py [--device cuda] [--dtype bfloat16] [--batch 32] [--rounds 15] [--no-compile]
        [--csv benchmarks/results/cbam.csv]

First the operator's tests run; if one fails, nothing is measured. Peers are the authors' formula written naively,
timm's module, our reference, all eager, and `torch.compile` of the reference. In every round each contender runs once,
in an order drawn anew; ratios are taken within a round. The CSV gets a line for every contender.

Bytes are the least that the fused passes touch: forward 3 reads and 1 write of the features, backward 5 and 1. Where a
map stays in a cache between passes, less of it reaches memory, and the bandwidth that follows exceeds that of copying.
The milliseconds to expect are these bytes over the bandwidth of copying, and for each output what a clone takes longer
than a copy into memory that is there: the system hands out fresh memory page by page.
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
from timing import measure, work_on
from timm.layers.cbam import CbamModule
from torch import Tensor, nn

from attendet.attention import CBAM
from attendet.ops.cbam import obstacle

ROOT = Path(__file__).parents[1]
EAGER = ("naive", "timm", "reference")
PASSES = {False: 3 + 1, True: 3 + 1 + 5 + 1}
OUTPUTS = {False: 1, True: 2}
HEADINGS = (
    "shape", "layout", "what", "fused, ms", "to expect", "fastest eager peer", "torch.compile", "least MB",
    "GB/s of a copy's",
)  # fmt: skip
COLUMNS: tuple[str, ...] = (
    "date", "device", "threads", "torch", "python", "dtype", "shape", "layout", "what", "contender",
    "milliseconds", "lower quartile", "upper quartile", "times the fused", "least bytes", "GB/s", "GB/s of a copy",
    "milliseconds to expect",
)  # fmt: skip


def refuse_if_red() -> None:
    """Run the operator's tests; leave if one fails, or if they have nothing to test."""
    reason = obstacle(torch.ones(1, 1, 1, 1))
    if reason is not None:
        raise SystemExit(f"the fused operators do not run here: {reason}")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-x", "tests/ops", "tests/attention/cbam"]
    if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603  # our own command
        raise SystemExit("the tests of the operator are red: there is nothing to measure")


def contenders(channels: int, *, compiled: bool) -> dict[str, nn.Module]:
    """Return the fused module and its peers; fused, reference and naive have equal weights."""
    fused = CBAM(channels, variant="authors")
    fused.implementation = "fused"
    found: dict[str, nn.Module] = {"fused": fused, "naive": naive_like(fused, channels), "timm": CbamModule(channels)}
    found["reference"] = in_plain_torch(copy.deepcopy(fused))
    if compiled:
        twin = in_plain_torch(copy.deepcopy(fused))
        twin.compile()
        found["compiled"] = twin
    return found


def agree(modules: Mapping[str, nn.Module], x: Tensor) -> None:
    """Leave unless those with equal weights give equal features."""
    with torch.no_grad():
        expected = modules["reference"](x)
        for name in set(modules) - {"timm"}:
            # Half precision rounds at every step of the peers.
            tolerance = 1e-4 if x.dtype == torch.float32 else 0.05
            torch.testing.assert_close(modules[name](x), expected, rtol=tolerance, atol=tolerance)


def copy_seconds(x: Tensor, rounds: int) -> tuple[float, float]:
    """Return how long copying features takes, into memory that is there already and into fresh memory."""
    y = torch.empty_like(x)
    times = measure({"there": lambda: y.copy_(x), "fresh": x.clone}, rounds, x.device)
    return statistics.median(times["there"]), statistics.median(times["fresh"])


def peak_memory(work: Callable[[], object]) -> int:
    """Return how many bytes of a GPU a piece of work takes at most, besides what is there before."""
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    work()
    return torch.cuda.max_memory_allocated() - before


def device_name(device: torch.device) -> str:
    """Return what is measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.processor())


def compare(x: Tensor, layout: str, options: argparse.Namespace) -> list[dict[str, object]]:
    """Return the lines of the CSV about one shape and layout, and print a summary of each."""
    upstream = torch.randn_like(x)
    made = contenders(x.shape[1], compiled=not options.no_compile)
    modules = {
        name: module.to(x.device, x.dtype).to(memory_format=LAYOUTS[layout]).train() for name, module in made.items()
    }
    agree(modules, x)
    size = x.numel() * x.element_size()
    there, fresh = copy_seconds(x, options.rounds)
    copied = 2 * size / there
    lines = []
    for backward, passes in PASSES.items():
        works = {name: work_on(module, x, upstream, backward=backward) for name, module in modules.items()}
        times = measure(works, options.rounds, x.device)
        ratios = {name: [a / b for a, b in zip(values, times["fused"], strict=True)] for name, values in times.items()}
        what = "forward+backward" if backward else "forward"
        expected = passes * size / copied + OUTPUTS[backward] * max(fresh - there, 0)
        for name, values in times.items():
            low, median, high = statistics.quantiles(values, n=4, method="inclusive")
            lines.append(
                {
                    "shape": "x".join(map(str, x.shape)),
                    "layout": layout,
                    "what": what,
                    "contender": name,
                    "milliseconds": round(median * 1e3, 3),
                    "lower quartile": round(low * 1e3, 3),
                    "upper quartile": round(high * 1e3, 3),
                    "times the fused": round(statistics.median(ratios[name]), 2),
                    "least bytes": passes * size,
                    "GB/s": round(passes * size / median / 1e9, 1) if name == "fused" else "",
                    "GB/s of a copy": round(copied / 1e9, 1),
                    "milliseconds to expect": round(expected * 1e3, 3) if name == "fused" else "",
                }
            )
        print(summary(lines[-len(times) :], ratios), flush=True)
        if x.device.type == "cuda":
            print({name: f"{peak_memory(work) / size:.2f} maps of memory" for name, work in works.items()}, flush=True)
    return lines


def summary(lines: list[dict[str, object]], ratios: Mapping[str, list[float]]) -> str:
    """Return one line of the table: the fused time, and how many times it the fastest peers take."""
    fused = lines[0]
    eager = min(EAGER, key=lambda name: statistics.median(ratios[name]))
    cells = [str(fused[column]) for column in ("shape", "layout", "what", "milliseconds", "milliseconds to expect")]
    cells.append(f"{statistics.median(ratios[eager]):.2f} ({eager})")
    cells.append(f"{statistics.median(ratios['compiled']):.2f}" if "compiled" in ratios else "not measured")
    cells += [f"{int(str(fused['least bytes'])) / 1e6:.0f}", f"{fused['GB/s']} of {fused['GB/s of a copy']}"]
    return f"| {' | '.join(cells)} |"


def append(path: Path, lines: list[dict[str, object]]) -> None:
    """Add lines to a CSV; a new one gets its header first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerows(lines)


def main() -> None:
    """Test, measure, print and append."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--no-compile", action="store_true", help="leave torch.compile out, which takes long to start")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    refuse_if_red()
    about = {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "device": device_name(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dtype": options.dtype,
    }
    print(", ".join(f"{name} {value}" for name, value in about.items()))
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for _, *sides in SHAPES:
        for layout, memory_format in LAYOUTS.items():
            torch.manual_seed(0)
            torch.compiler.reset()
            x = torch.randn(options.batch, *sides, device=device).to(dtype, memory_format=memory_format)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                lines = [{**about, **line} for line in compare(x, layout, options)]
            if options.csv:
                append(options.csv, lines)


if __name__ == "__main__":
    main()
