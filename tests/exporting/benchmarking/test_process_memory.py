"""Memory of a network in a process of its own."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from attendet.errors import OptionError
from attendet.exporting import ExportSubject
from attendet.exporting.benchmarking.process_memory import measure_peak_memory
from attendet.exporting.benchmarking.variants import Variant
from attendet.runtimes.network_description import describe_network

MEGABYTE = 2**20
ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def importable_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import the network below."""
    monkeypatch.syspath_prepend(ROOT)


class Hungry(nn.Module):
    """A network that takes a number of megabytes while it runs."""

    def __init__(self, megabytes: int) -> None:
        super().__init__()
        self.conv, self.megabytes = nn.Conv2d(3, 4, 1), megabytes

    def forward(self, images: Tensor) -> Tensor:
        if self.megabytes < 0:
            raise ValueError("this network cannot run")
        taken = torch.ones(self.megabytes * MEGABYTE // 4)
        return self.conv(images) + taken.sum() * 0


def peak_of(folder: Path, megabytes: int) -> float:
    network = Hungry(megabytes)
    torch.save(ExportSubject(network, describe_network(network), "hungry"), folder / "network.pt")
    return measure_peak_memory(Variant(), (1, 3, 8, 8), 1, network=folder / "network.pt") / MEGABYTE


def test_memory_is_that_of_the_network_and_not_that_of_this_process(tmp_path: Path) -> None:
    ballast = torch.ones(300 * MEGABYTE // 4)
    small, large = peak_of(tmp_path, 1), peak_of(tmp_path, 200)
    assert ballast.sum() > 0
    assert 0 < small < 100
    assert 150 < large - small < 250


def test_a_process_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"memory of torch-eager could not be measured: .*this network cannot run"):
        peak_of(tmp_path, -1)
