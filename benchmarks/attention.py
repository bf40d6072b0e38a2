"""CBAM against its peers: time of forward and forward+backward, side by side in one run.

    python benchmarks/attention.py [--device cuda] [--rounds 15] [--out benchmarks/results/attention-cpu.md]

Peers are the authors' formula written naively and timm's module, all eager and in float32. Ours and the naive one have
the same weights and have to agree before anything is timed. In every round each contender runs once, in an order drawn
anew, so that a drifting machine slows all alike; a ratio is taken within its round. Reported are median and quartiles
over the rounds: time for ours, ratio of the peer's time to ours for the peers (above 1: ours is faster).
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
from timm.layers.cbam import CbamModule
from torch import Tensor, nn

from attendet.attention import CBAM

SHAPES = ((8, 64, 160, 160), (8, 128, 80, 80), (8, 256, 40, 40), (8, 512, 20, 20))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}

METHOD = (
    "Interleaved in one run; median (quartiles). Ratios are the contender's time over that of ours with variant "
    "`authors`, which computes what the naive one computes; above 1, ours is faster."
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
    return {"ours, authors": ours, "ours, plain": CBAM(channels), "naive": naive, "timm": CbamModule(channels)}


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


def report(device: torch.device, rounds: int) -> str:
    """Return the whole table as Markdown, with what it was measured on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    header = [
        "# CBAM, side by side",
        "",
        f"{name}; torch {torch.__version__}; float32, training mode; {rounds} rounds.",
        "",
        METHOD,
        "",
        "| shape | layout | what | ours, ms | ours, plain | naive | timm |",
        "|---|---|---|---|---|---|---|",
    ]
    print("\n".join(header), flush=True)
    return "\n".join([*header, *rows(device, rounds)]) + "\n"


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = report(torch.device(options.device), options.rounds)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
