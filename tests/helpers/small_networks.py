"""Small networks, each with a behavior that surgery has to handle."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def images(count: int = 2) -> Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(2))


class Block(nn.Module):
    """A residual block: convolution, norm, sum with the input, activation."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


class Plain(nn.Module):
    """A stem, two residual blocks, and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.blocks = nn.Sequential(Block(), Block())
        self.fc = nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.blocks(self.stem(x)).mean((2, 3)))


class OwnSequential(nn.Sequential):
    """An `nn.Sequential` with its own `forward`."""

    def forward(self, input: Any) -> Any:  # noqa: A002 (torch's name)
        for child in self:
            input = child(input)  # noqa: A001
        return input


class Parts(nn.ModuleDict):
    """An `nn.ModuleDict` that runs its values in order."""

    def forward(self, x: Tensor) -> Tensor:
        for part in self.values():
            x = part(x)
        return x


class Children(nn.Module):
    """Not a container class, but runs all its children."""

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        for number, part in enumerate(parts):
            self.add_module(f"part{number}", part)

    def forward(self, x: Tensor) -> Tensor:
        for part in self.children():
            x = part(x)
        return x


class PastHooks(nn.Module):
    """Calls `forward` of a child directly, which skips its hooks."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.body = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.body.forward(self.stem(x))


class Twice(nn.Module):
    """Runs one child twice, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.shared = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)
        self.alias = self.shared

    def forward(self, x: Tensor) -> Tensor:
        return self.alias(torch.relu(self.shared(self.stem(x))))


class Uneven(nn.Module):
    """Runs one child on maps of several widths; other children never run or return two maps."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.narrow = nn.Conv2d(3, 16, 1), nn.Conv2d(3, 8, 1)
        self.act, self.idle, self.split = nn.ReLU(), nn.Conv2d(8, 8, 1), Split()

    def forward(self, x: Tensor) -> list[Tensor]:
        return [self.act(self.wide(x)), *self.split(self.act(self.narrow(x)))]


class Split(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return x.chunk(2, 1)


class Named(nn.Module):
    """Passes maps and options as keyword arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.scaled = nn.Conv2d(3, 8, 3), Scaled()

    def forward(self, images: Tensor, factor: float = 2.0) -> Tensor:
        return self.scaled(factor=factor, features=self.stem(images))


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, 8, 1)

    def forward(self, *, features: Tensor, factor: float) -> Tensor:
        return self.conv(features) * factor


class Restless(nn.Module):
    """Draws random numbers and counts its passes, in evaluation mode as well."""

    calls: Tensor
    seen: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.register_buffer("calls", torch.zeros((), dtype=torch.long))
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.seen = self.seen + x.mean()
        return self.norm(self.conv(x)) + torch.rand(())


class Sequence(nn.Module):
    """A network for sequences (N, 3, L)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv, self.norm = nn.Conv1d(3, 8, 3, 2, 1), nn.Conv1d(8, 8, 3, 1, 1), nn.BatchNorm1d(8)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return torch.relu(x + self.norm(self.conv(x)))
