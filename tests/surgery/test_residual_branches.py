"""Every residual branch is found, no matter how it is added; counted by hand in papers and lists of blocks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from attendet.errors import AttendetWarning, OptionError
from attendet.surgery import attach
from tests.helpers.third_party_networks import equal, run


def branch(layers: int, channels: int = 8) -> nn.Sequential:
    parts = [(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()) for _ in range(layers)]
    return nn.Sequential(*[part for layer in parts for part in layer])


class Body(nn.Module):
    """A stem and parts, whose sums a subclass defines."""

    def __init__(self, **parts: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        for name, part in parts.items():
            self.add_module(name, part)

    def forward(self, x: Tensor) -> Tensor:
        return self.add_branches(self.stem(x))

    def add_branches(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def __getattr__(self, name: str) -> Any:
        return super().__getattr__(name)


def paths(model: nn.Module, side: int = 32) -> list[str]:
    example = torch.rand(1, 3, side, side)
    model.train(False)
    before = run(model, example)
    attachment = attach(model, "eca", "residual-branch", example=example)
    assert equal(run(model, example), before)
    return [site.path for site in attachment.sites]


class InSequence(Body):
    def add_branches(self, x: Tensor) -> Tensor:
        x = x + self.a(x)
        return x + self.b(x)


class InLoop(Body):
    def add_branches(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = torch.relu(x + block(x))
        return x


class InParallel(Body):
    def add_branches(self, x: Tensor) -> Tensor:
        return x + self.a(x) + self.b(x)


class Scaled(Body):
    def __init__(self, **parts: nn.Module) -> None:
        super().__init__(**parts)
        self.scale = nn.Parameter(torch.full((8,), 0.5))

    def add_branches(self, x: Tensor) -> Tensor:
        x = self.scale[:, None, None] * self.a(x) + x
        return x.add_(self.b(x) * 0.2)


class Add(nn.Module):
    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        return first + second


class AddedByAModule(Body):
    def add_branches(self, x: Tensor) -> Tensor:
        x = self.add(x, self.a(x))
        return self.add(self.b(x), x)


class WithOneDropPath(Body):
    """Both branches end with one module that does nothing in evaluation, as in torchvision's Swin."""

    def add_branches(self, x: Tensor) -> Tensor:
        x = x + self.drop(self.a(x))
        return x + self.drop(self.b(x))


class Projected(Body):
    def add_branches(self, x: Tensor) -> Tensor:
        return torch.relu(self.a(x) + self.shortcut(x))


class Repeated(Body):
    """The same weights in both branches."""

    def add_branches(self, x: Tensor) -> Tensor:
        x = x + self.a(x)
        return x + self.a(x)


@pytest.mark.parametrize("layers", [1, 2, 3, 6])
@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda n: InSequence(a=branch(n), b=branch(n)), ["a", "b"]),
        (lambda n: InLoop(blocks=nn.ModuleList(branch(n) for _ in range(5))), [f"blocks.{i}" for i in range(5)]),
        (lambda n: InParallel(a=branch(n), b=branch(n)), ["a", "b"]),
        (lambda n: Scaled(a=branch(n), b=branch(n)), ["a", "b"]),
        (lambda n: AddedByAModule(a=branch(n), b=branch(n), add=Add()), ["a", "b"]),
        (lambda n: WithOneDropPath(a=branch(n), b=branch(n), drop=nn.Dropout()), ["a", "b"]),
        (lambda n: Projected(a=branch(n + 1), shortcut=nn.Conv2d(8, 8, 1)), ["a"]),
        (lambda n: Repeated(a=branch(n)), ["a"]),
    ],
    ids=["in-sequence", "in-loop", "in-parallel", "scaled", "added", "drop-path", "projected", "repeated"],
)
def test_branches_of_any_length(make: Callable[[int], nn.Module], expected: list[str], layers: int) -> None:
    assert paths(make(layers)) == expected


class Pyramid(nn.Module):
    """A feature pyramid in the forward method of the network, top-down and bottom-up."""

    def __init__(self) -> None:
        super().__init__()
        self.c1, self.c2, self.c3 = nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1)
        self.up, self.down = nn.Upsample(scale_factor=2), nn.Conv2d(8, 8, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        c1 = self.c1(x)
        c2 = self.c2(c1)
        c3 = self.c3(c2)
        p2 = c2 + self.up(c3)
        p1 = c1 + self.up(p2)
        return p2 + self.down(p1)


def test_levels_of_a_pyramid_are_not_branches() -> None:
    with pytest.raises(OptionError, match="residual-branch matches nothing"):
        paths(Pyramid())


class Hierarchical(Body):
    """Sums inside of a branch, whose terms end with a shared activation, as in Res2Net."""

    def add_branches(self, x: Tensor) -> Tensor:
        first, second = x.chunk(2, 1)
        first = self.act(self.a(first))
        second = self.act(self.b(first + second))
        return self.c(torch.cat([first, second], 1)) + x


def test_sums_inside_of_a_branch_are_reported() -> None:
    model = Hierarchical(a=branch(2, 4), b=branch(1, 4), c=branch(1), act=nn.ReLU())
    message = "inside others, which do not end with a module, get no attention: in the network"
    with pytest.warns(AttendetWarning, match=message):
        assert paths(model) == ["c"]


# Two branches in each block of MetaFormer (figure 1 of arXiv:2111.11418), one in each of ConvNeXt and ResNet.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("poolformer_s12", 2 * (2 + 2 + 6 + 2)),
        ("poolformerv2_s12", 2 * (2 + 2 + 6 + 2)),
        ("convformer_s18", 2 * (3 + 3 + 9 + 3)),
        ("resnetv2_50", 3 + 4 + 6 + 3),
        ("convnext_atto", 2 + 2 + 6 + 2),
        # 10 + 20 + 9 blocks of Inception-ResNet-v2 and the last one without activation (arXiv:1602.07261).
        ("inception_resnet_v2", 10 + 20 + 9 + 1),
        ("nf_resnet26", 2 + 2 + 2 + 2),
    ],
)
@pytest.mark.filterwarnings("ignore:residual-branch matches")
def test_published_networks(name: str, count: int) -> None:
    side = 128 if name.startswith("inception") else 64
    assert len(paths(timm.create_model(name), side)) == count
