"""Compare the Triton passes, interpreted on a CPU, with the reference, and print the differences as JSON.

tests/ops/cbam/test_gpu.py runs it in a new process, because Triton reads TRITON_INTERPRET on import.
"""

import json
import sys

import torch

from attendet.ops.cbam import ChannelNet, gpu, reference_cbam, triton_passes
from tests.helpers.oracles import relative_difference
from tests.helpers.random_cbam_nets import Nets, converted, nets, parameters

SHAPES = [(1, 1, 1, 1), (2, 5, 1, 7), (2, 17, 5, 3), (1, 70, 3, 11)]
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


def differences(x: torch.Tensor, given: Nets) -> dict[str, float]:
    """Return the relative differences of output and gradients from the reference in float64."""
    upstream = torch.randn(x.shape).to(x).contiguous(memory_format=memory_format(x))
    y, kept = gpu.forward(x, *given)
    gradient, others = gpu.backward(x, upstream, *given, kept)
    exact = converted(given, torch.float64, learn=True)
    wanted = x.double().requires_grad_()
    expected, _ = reference_cbam(wanted, *exact)
    learned = parameters(exact)
    gradients = torch.autograd.grad(expected, [wanted, *learned.values()], upstream.double())
    found = {"y": relative_difference(y.double(), expected.detach())}
    for name, value in zip(["x", *learned], gradients, strict=True):
        actual = gradient if name == "x" else getattr(others, name)
        found[name] = relative_difference(actual.double(), value)
    return found


def memory_format(x: torch.Tensor) -> torch.memory_format:
    return torch.contiguous_format if x.is_contiguous() else torch.channels_last


def cases() -> dict[str, tuple[torch.Tensor, Nets]]:
    found = {}
    for layout, format_ in LAYOUTS.items():
        for shape in SHAPES:
            found[f"{shape} {layout}"] = torch.randn(shape).to(memory_format=format_), nets(shape[1])
        for variant, order, training in (
            ("authors", "both", True),
            ("authors", "both", False),
            ("timm", "both", True),
            ("authors", "channel", True),
            ("timm", "spatial", True),
        ):
            x = torch.randn(2, 6, 5, 7).to(memory_format=format_)
            found[f"{variant} {order} {training} {layout}"] = x, nets(6, variant, order, training=training, kernel=3)
        channel = ChannelNet(torch.ones(3, 6) / 6, None, torch.ones(6, 3), None, torch.tensor([0.0, 2.0]))
        tied = torch.randint(0, 2, (2, 6, 5, 7)).float().to(memory_format=format_)
        found[f"ties {layout}"] = tied, (channel, nets(6)[1])
        for dtype in (torch.bfloat16, torch.float16):
            x = torch.randn(2, 6, 5, 7).to(dtype, memory_format=format_)
            found[f"{dtype} {layout}"] = x, nets(6, "authors")
    return found


def more_positions_than_a_program_takes() -> tuple[torch.Tensor, Nets]:
    x = torch.randn(1, 1, 91, 97)
    assert x.shape[2] * x.shape[3] > triton_passes.POSITIONS_PER_PROGRAM
    return x, nets(1)


def main() -> None:
    torch.manual_seed(0)
    # torch then fills fresh memory with NaN, which shows elements that were never written.
    torch.use_deterministic_algorithms(mode=True)
    found = {name: differences(*case) for name, case in cases().items()}
    found["chunks"] = differences(*more_positions_than_a_program_takes())
    x = torch.randn(2, 6, 5, 7)
    x[1, 3, 2, 2] = float("nan")
    for order in ("channel", "spatial"):
        given = nets(6, order=order)
        y, expected = gpu.forward(x, *given)[0], reference_cbam(x, *given)[0]
        found[f"NaN {order}"] = {"y": float((y.isnan() != expected.isnan()).sum())}
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
