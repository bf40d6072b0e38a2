"""Other implementations of CBAM, and the shapes and layouts of the benchmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from attendet.attention import CBAM
from attendet.attention.cbam.fused import Implementation

SHAPES = ((8, 64, 160, 160), (8, 128, 80, 80), (8, 256, 40, 40), (8, 512, 20, 20))
LAYOUTS = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}


class NaiveCBAM(nn.Module):
    """The authors' formulas in the most direct way: window pools, one MLP pass per pool, maxima with indices."""

    def __init__(self, channels: int, reduction: int = 16, kernel_size: int = 7) -> None:
        super().__init__()
        hidden = channels // reduction
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.conv = nn.Conv2d(2, 1, kernel_size, padding=kernel_size // 2, bias=False)
        self.norm = nn.BatchNorm2d(1, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features gated by channel, then by position."""
        window = x.shape[2:]
        logits = self.mlp(F.avg_pool2d(x, window, window)) + self.mlp(F.max_pool2d(x, window, window))
        x = x * torch.sigmoid(logits)[:, :, None, None].expand_as(x)
        planes = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], dim=1)
        return x * torch.sigmoid(self.norm(self.conv(planes)))


def naive_like(ours: CBAM, channels: int) -> NaiveCBAM:
    """Return a naive CBAM with the weights of our CBAM, which must have the variant `authors` and default options."""
    naive = NaiveCBAM(channels)
    names = {"mlp.1": "channel.fc1", "mlp.3": "channel.fc2", "conv": "spatial.conv", "norm": "spatial.norm"}
    for theirs, name in names.items():
        naive.get_submodule(theirs).load_state_dict(ours.get_submodule(name).state_dict())
    return naive


def use_implementation(module: nn.Module, implementation: Implementation) -> nn.Module:
    """Set the implementation of every CBAM in a module, and return the module."""
    for part in module.modules():
        if isinstance(part, CBAM):
            part.implementation = implementation
    return module


def in_plain_torch(module: nn.Module) -> nn.Module:
    """Make every CBAM in a module run in plain torch, like the other modules, and return the module."""
    return use_implementation(module, "reference")
