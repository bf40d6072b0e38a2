"""Measure the cost of attention modules: CBAM against other implementations, and all modules against SE.

    python benchmarks/attention.py [--device cuda] [--rounds 15] [--only cbam|modules]
        [--out benchmarks/results/attention-cpu.md] [--docs docs/attention.md]

CBAM is compared with a naive implementation of the authors' formulas and with timm's module, all in eager mode and
float32. Our CBAM and the naive one have the same weights, and their outputs must agree before anything is timed. In
every round each contender runs once, in random order, so that changes in the machine's speed affect all contenders.
Ratios are taken within a round. The tables contain the median and quartiles over the rounds. `--docs` writes the tables
of all modules, with medians only, between the marks in that page.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from counting import counted_table
from peers import LAYOUTS, SHAPES, in_plain_torch, naive_like
from timing import measure, median_and_quartiles, setup, timed_pass
from timm.layers.cbam import CbamModule
from torch import nn

from attendet.attention import CBAM, create, names

_MARKS = ("<!-- costs: written by benchmarks/attention.py -->", "<!-- end of costs -->")

_CBAM_METHOD = (
    "Interleaved in one run; median (quartiles). Ratios are the contender's time divided by the time of attendet's "
    "CBAM with the variant `authors`, which computes the same as the naive one. Above 1, attendet is faster."
)
_MODULES_METHOD = (
    "Interleaved in one run; contiguous features; default options; {statistic} of the module's time divided by the "
    "time of SE in the same round. All modules run in plain torch; docs/performance.md has times of the fused CBAM."
)


def contenders(channels: int) -> dict[str, nn.Module]:
    """Return the modules to time: our CBAM first, then other implementations."""
    ours = CBAM(channels, variant="authors")
    naive = naive_like(ours, channels)
    x = torch.randn(2, channels, 16, 16)
    torch.testing.assert_close(ours(x), naive(x))
    modules = {
        "attendet, authors": ours,
        "attendet, plain": CBAM(channels),
        "naive": naive,
        "timm": CbamModule(channels),
    }
    return {name: in_plain_torch(module) for name, module in modules.items()}


def rows(device: torch.device, rounds: int) -> list[str]:
    """Return the lines of the table of CBAM."""
    lines = []
    for shape in SHAPES:
        for layout, memory_format in LAYOUTS.items():
            torch.manual_seed(0)
            x = torch.randn(shape, device=device).to(memory_format=memory_format)
            upstream = torch.randn_like(x)
            modules = {
                name: module.to(device).to(memory_format=memory_format).train()
                for name, module in contenders(shape[1]).items()
            }
            for backward in (False, True):
                functions = {
                    name: timed_pass(module, x, upstream, backward=backward) for name, module in modules.items()
                }
                times = measure(functions, rounds, device)
                ours = times["attendet, authors"]
                ratios = {
                    name: [peer / own for peer, own in zip(times[name], ours, strict=True)]
                    for name in ("attendet, plain", "naive", "timm")
                }
                what = "forward+backward" if backward else "forward"
                cells = [
                    str(shape),
                    layout,
                    what,
                    median_and_quartiles(ours, 1e3),
                    *(median_and_quartiles(ratio) for ratio in ratios.values()),
                ]
                lines.append("| " + " | ".join(cells) + " |")
                print(lines[-1], flush=True)
    return lines


def module_ratios(device: torch.device, rounds: int) -> dict[str, list[list[float]]]:
    """Return the ratios of every module's times to SE's times: forward, then forward and backward, for each shape."""
    ratios: dict[str, list[list[float]]] = {name: [] for name in names()}
    for backward in (False, True):
        for shape in SHAPES:
            torch.manual_seed(0)
            x = torch.randn(shape, device=device)
            upstream = torch.randn_like(x)
            modules = {name: in_plain_torch(create(name, shape[1])).to(device).train() for name in names()}
            functions = {name: timed_pass(module, x, upstream, backward=backward) for name, module in modules.items()}
            times = measure(functions, rounds, device)
            for name, durations in times.items():
                ratios[name].append([own / se for own, se in zip(durations, times["se"], strict=True)])
            print(f"{shape}, backward {backward}: SE {median_and_quartiles(times['se'], 1e3)} ms", flush=True)
    return ratios


def measured_table(ratios: Mapping[str, list[list[float]]], *, quartiles: bool) -> list[str]:
    """Return a Markdown table of the measured ratios, with or without quartiles."""
    headings = [f"{passes} {shape[1]}×{shape[2]}²" for passes in ("forward", "both") for shape in SHAPES]
    lines = [f"| module | {' | '.join(headings)} |", "|---" * (len(headings) + 1) + "|"]
    for name, columns in ratios.items():
        cells = [
            median_and_quartiles(column) if quartiles else f"{statistics.median(column):.2f}" for column in columns
        ]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def write_between_marks(page: Path, lines: list[str]) -> None:
    """Replace the lines between the marks of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(_MARKS[0])
    _, end, after = rest.partition(_MARKS[1])
    if not end:
        raise SystemExit(f"{page} must contain the marks {_MARKS[0]} and {_MARKS[1]}")
    page.write_text("\n".join([before + _MARKS[0], "", *lines, "", end + after]), encoding="utf-8")


def cbam_report(device: torch.device, rounds: int) -> str:
    """Return the Markdown report of CBAM, with the setup of the measurement."""
    header = [
        "# CBAM and other implementations",
        "",
        setup(device, rounds),
        "",
        _CBAM_METHOD,
        "",
        "| shape | layout | what | attendet, ms | attendet, plain | naive | timm |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(header), flush=True)
    return "\n".join([*header, *rows(device, rounds)]) + "\n"


def main() -> None:
    """Measure, print, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=("cbam", "modules"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    reports = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options.only != "modules":
            reports.append(cbam_report(device, options.rounds))
        if options.only != "cbam":
            counted, ratios = counted_table(), module_ratios(device, options.rounds)
            description = [setup(device, options.rounds), "", _MODULES_METHOD, ""]
            table = [line.format(statistic="median (quartiles)") for line in description]
            table += measured_table(ratios, quartiles=True)
            print("\n".join(table))
            reports.append(
                "\n".join(["# All modules compared with SE", "", *table, "", "## Counted", "", *counted]) + "\n"
            )
            if options.docs:
                medians = [line.format(statistic="median") for line in description] + measured_table(
                    ratios, quartiles=False
                )
                write_between_marks(options.docs, [*counted, "", *medians])
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(reports), encoding="utf-8")


if __name__ == "__main__":
    main()
