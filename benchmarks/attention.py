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
import random
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
import torch.utils._pytree as pytree
from timm.layers.cbam import CbamModule
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from attendet.attention import CBAM, create, names

SHAPES = ((8, 64, 160, 160), (8, 128, 80, 80), (8, 256, 40, 40), (8, 512, 20, 20))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}

MARKS = ("<!-- costs: written by benchmarks/attention.py -->", "<!-- end of costs -->")

METHOD = (
    "Interleaved in one run; median (quartiles). Ratios are the contender's time over that of ours with variant "
    "`authors`, which computes what the naive one computes; above 1, ours is faster."
)


ZOO_METHOD = (
    "Interleaved in one run; contiguous features; {shown} of the module's time over that of SE in the same "
    "round, default options. All in plain torch; what fused operators make of CBAM is in docs/performance.md."
)
COUNTED = (
    "Per image, forward, at {shapes}. FLOPs of convolutions and matrix products, a multiply-add counted as two. Bytes "
    "moved are what plain torch operations read and write, each tensor counted once for each operation, float32."
)


class NaiveCBAM(nn.Module):
    """The authors' formula as one writes it down: window pools, an MLP per pool, maxima with indices."""

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features weighed by channel, then by position."""
        window = x.shape[2:]
        logits = self.mlp(F.avg_pool2d(x, window, window)) + self.mlp(F.max_pool2d(x, window, window))
        x = x * torch.sigmoid(logits)[:, :, None, None].expand_as(x)
        planes = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], dim=1)
        return x * torch.sigmoid(self.norm(self.conv(planes)))


def contenders(channels: int) -> dict[str, nn.Module]:
    """Return ours first, then the peers."""
    ours, naive = CBAM(channels, variant="authors"), NaiveCBAM(channels)
    ours_by_naive = {"mlp.1": "channel.fc1", "mlp.3": "channel.fc2", "conv": "spatial.conv", "norm": "spatial.norm"}
    for theirs, name in ours_by_naive.items():
        naive.get_submodule(theirs).load_state_dict(ours.get_submodule(name).state_dict())
    x = torch.randn(2, channels, 16, 16)
    torch.testing.assert_close(ours(x), naive(x))
    made = {"ours, authors": ours, "ours, plain": CBAM(channels), "naive": naive, "timm": CbamModule(channels)}
    return {name: in_plain_torch(module) for name, module in made.items()}


def in_plain_torch(module: nn.Module) -> nn.Module:
    """Return the module with every CBAM in it computed operation by operation, as the others are."""
    for part in module.modules():
        if isinstance(part, CBAM):
            part.implementation = "reference"
    return module


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return how long a piece of work takes, until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def work_on(module: nn.Module, x: Tensor, upstream: Tensor, *, backward: bool) -> Callable[[], object]:
    """Return one forward pass, or one forward and backward pass, as a function to time."""
    if not backward:

        def forward() -> Tensor:
            with torch.no_grad():
                return module(x)

        return forward

    inputs = [x.detach().requires_grad_(), *module.parameters()]

    def forward_and_backward() -> tuple[Tensor, ...]:
        return torch.autograd.grad(module(inputs[0]), inputs, upstream)

    return forward_and_backward


def measure(works: Mapping[str, Callable[[], object]], rounds: int, device: torch.device) -> dict[str, list[float]]:
    """Return seconds per contender and round; the two first rounds warm up and are not counted."""
    order = random.Random(0)  # noqa: S311
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 2):
        for name in order.sample(list(works), len(works)):
            spent = seconds(works[name], device)
            if turn >= 2:
                times[name].append(spent)
    return times


def spread(values: list[float], unit: float = 1.0) -> str:
    """Return median and quartiles, as 1.23 (1.20 to 1.31)."""
    low, median, high = (value * unit for value in statistics.quantiles(values, n=4, method="inclusive"))
    return f"{median:.2f} ({low:.2f} to {high:.2f})"


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


class BytesMoved(TorchDispatchMode):
    """Adds up what operations read and write; views move nothing, and what is broadcast is read as it is stored."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        """Run an operation and count its tensors."""
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in pytree.tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.total += sum(stored_bytes(tensor) for tensor in {id(tensor): tensor for tensor in tensors}.values())
        return result


def stored_bytes(tensor: Tensor) -> int:
    """Return how many bytes of memory a tensor's values are, those it repeats counted once."""
    stored = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        stored *= length if stride else 1
    return stored


def counts(name: str, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return parameters, FLOPs and bytes moved of a module, forward, of one image; nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        module, x = in_plain_torch(create(name, shape[1])), torch.empty(shape)
        with FlopCounterMode(display=False) as flops:
            module(x)
        with BytesMoved() as moved:
            module(x)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return parameters, flops.get_total_flops() // shape[0], moved.total // shape[0]


def short(number: float) -> str:
    """Return a number with three digits and its magnitude, as 5.24G."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if number >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:g}"


def counted_table() -> list[str]:
    """Return parameters, FLOPs and bytes of every module at all shapes, as Markdown."""
    shapes = ", ".join("×".join(str(side) for side in shape[1:]) for shape in SHAPES)
    lines = [COUNTED.format(shapes=shapes), "", "| module | parameters | FLOPs | bytes moved |", "|---|---|---|---|"]
    for name in names():
        columns = zip(*(counts(name, shape) for shape in SHAPES), strict=True)
        cells = [" · ".join(short(number) for number in column) for column in columns]
        lines.append(f"| `{name}` | {' | '.join(cells)} |")
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


def machine(device: torch.device, rounds: int) -> str:
    """Return what a table was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    return f"{name}; torch {torch.__version__}; float32, training mode; {rounds} rounds."


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
