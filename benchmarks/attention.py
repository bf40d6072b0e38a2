"""What attention costs: CBAM beside its peers, and every module of the zoo beside SE, each side by side in one run.

    python benchmarks/attention.py [--device cuda] [--rounds 15] [--only cbam|zoo]
        [--out benchmarks/results/attention-cpu.md] [--docs docs/attention.md]

Peers of CBAM are the authors' formula written naively and timm's module, all eager and in float32. Ours and the naive
one have the same weights and have to agree before anything is timed. In every round each contender runs once, in an
order drawn anew, so that a drifting machine slows all alike; a ratio is taken within its round. Reported are median and
quartiles over the rounds. `--docs` writes the zoo's tables, medians only, between their marks in that page.
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
from timing import machine, measure, spread, work_on
from timm.layers.cbam import CbamModule
from torch import nn

from attendet.attention import CBAM, create, names

MARKS = ("<!-- costs: written by benchmarks/attention.py -->", "<!-- end of costs -->")

METHOD = (
    "Interleaved in one run; median (quartiles). Ratios are the contender's time over that of ours with variant "
    "`authors`, which computes what the naive one computes; above 1, ours is faster."
)
ZOO_METHOD = (
    "Interleaved in one run; contiguous features; {shown} of the module's time over that of SE in the same "
    "round, default options. All in plain torch; what fused operators make of CBAM is in docs/performance.md."
)


def contenders(channels: int) -> dict[str, nn.Module]:
    """Return ours first, then the peers."""
    ours = CBAM(channels, variant="authors")
    naive = naive_like(ours, channels)
    x = torch.randn(2, channels, 16, 16)
    torch.testing.assert_close(ours(x), naive(x))
    made = {"ours, authors": ours, "ours, plain": CBAM(channels), "naive": naive, "timm": CbamModule(channels)}
    return {name: in_plain_torch(module) for name, module in made.items()}


def rows(device: torch.device, rounds: int) -> list[str]:
    """Return the lines of the table."""
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
                works = {name: work_on(module, x, upstream, backward=backward) for name, module in modules.items()}
                times = measure(works, rounds, device)
                ours = times["ours, authors"]
                ratios = {
                    name: [peer / own for peer, own in zip(times[name], ours, strict=True)]
                    for name in ("ours, plain", "naive", "timm")
                }
                what = "forward+backward" if backward else "forward"
                cells = [str(shape), layout, what, spread(ours, 1e3), *(spread(ratio) for ratio in ratios.values())]
                lines.append("| " + " | ".join(cells) + " |")
                print(lines[-1], flush=True)
    return lines


def zoo_ratios(device: torch.device, rounds: int) -> dict[str, list[list[float]]]:
    """Return for every module its times over those of SE: for forward, then forward and backward, at each shape."""
    ratios: dict[str, list[list[float]]] = {name: [] for name in names()}
    for backward in (False, True):
        for shape in SHAPES:
            torch.manual_seed(0)
            x = torch.randn(shape, device=device)
            upstream = torch.randn_like(x)
            modules = {name: in_plain_torch(create(name, shape[1])).to(device).train() for name in names()}
            works = {name: work_on(module, x, upstream, backward=backward) for name, module in modules.items()}
            times = measure(works, rounds, device)
            for name, spent in times.items():
                ratios[name].append([own / se for own, se in zip(spent, times["se"], strict=True)])
            print(f"{shape}, backward {backward}: SE {spread(times['se'], 1e3)} ms", flush=True)
    return ratios


def measured_table(ratios: Mapping[str, list[list[float]]], *, quartiles: bool) -> list[str]:
    """Return the measured ratios as Markdown, with quartiles or without."""
    what = [f"{word} {shape[1]}×{shape[2]}²" for word in ("forward", "both") for shape in SHAPES]
    lines = [f"| module | {' | '.join(what)} |", "|---" * (len(what) + 1) + "|"]
    for name, columns in ratios.items():
        cells = [spread(column) if quartiles else f"{statistics.median(column):.2f}" for column in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
    return lines


def write_between_marks(page: Path, lines: list[str]) -> None:
    """Replace what a page has between the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    if not end:
        raise SystemExit(f"{page} has no place for the tables; write {MARKS[0]} and {MARKS[1]} into it")
    page.write_text("\n".join([before + MARKS[0], "", *lines, "", end + after]), encoding="utf-8")


def cbam_report(device: torch.device, rounds: int) -> str:
    """Return CBAM's table as Markdown, with what it was measured on."""
    header = [
        "# CBAM, side by side",
        "",
        machine(device, rounds),
        "",
        METHOD,
        "",
        "| shape | layout | what | ours, ms | ours, plain | naive | timm |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(header), flush=True)
    return "\n".join([*header, *rows(device, rounds)]) + "\n"


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", choices=("cbam", "zoo"))
    parser.add_argument("--out", type=Path)
    parser.add_argument("--docs", type=Path)
    options = parser.parse_args()
    device = torch.device(options.device)
    reports = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if options.only != "zoo":
            reports.append(cbam_report(device, options.rounds))
        if options.only != "cbam":
            counted, ratios = counted_table(), zoo_ratios(device, options.rounds)
            about = [machine(device, options.rounds), "", ZOO_METHOD, ""]
            table = [line.format(shown="median (quartiles)") for line in about]
            table += measured_table(ratios, quartiles=True)
            print("\n".join(table))
            reports.append("\n".join(["# The zoo beside SE", "", *table, "", "## Counted", "", *counted]) + "\n")
            if options.docs:
                medians = [line.format(shown="median") for line in about] + measured_table(ratios, quartiles=False)
                write_between_marks(options.docs, [*counted, "", *medians])
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text("\n".join(reports), encoding="utf-8")


if __name__ == "__main__":
    main()
