"""An attention module of another package, registered by an entry point, works like a built-in one."""

import json
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from attendet.attention import CBAM, create, names
from tests.helpers.installed_package import install

MODULE = '''
import torch
from torch import Tensor, nn

from attendet.attention import Attention, Gate


class MeanGate(Gate):
    def __init__(self, channels: int, start: str) -> None:
        super().__init__(start)
        self.scale = nn.Parameter(torch.zeros(channels, 1, 1))

    def logits(self, x: Tensor) -> Tensor:
        return self.scale * x.mean((2, 3), keepdim=True)


class MeanAttention(Attention):
    """Parameters: C."""

    paper = "Author: Means. arXiv:0000.00000"

    def __init__(self, channels: int, start: str = "paper") -> None:
        super().__init__()
        self.gate = MeanGate(channels, start)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)
'''

MODEL = """
nc: 3
depth_multiple: 1.0
width_multiple: 1.0
anchors: [[10, 13, 16, 30, 33, 23]]
backbone:
  - [-1, 1, Conv, [16, 6, 2, 2]]
  - [-1, 1, Mean, []]
head:
  - [[-1], 1, Detect, [nc, anchors]]
"""

COMMAND_LINE = """
import sys
from attendet.cli.main import run
sys.argv = ["attendet", "attentions", "--channels", "16", "--size", "8", "--json"]
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Return a folder with an installed package, in the layout of an installer: the module next to its metadata."""
    install(tmp_path, "mean_attention", MODULE, "[attendet.attention]\nmean = mean_attention:MeanAttention\n")
    (tmp_path / "model.yaml").write_text(MODEL)
    return tmp_path


def run(package: Path, code: str) -> str:
    """Run code in a new process with the package on its path, and return its output."""
    command = [sys.executable, "-c", code]
    environment = {"PYTHONPATH": str(package), "PATH": "", "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, cwd=package, env=environment, check=False)  # noqa: S603
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_module_of_another_package_works_like_a_built_in_one(package: Path) -> None:
    code = """
import attendet, torch
from attendet.attention import create, names
from attendet.attention.catalog import attentions

print("mean" in names(), "Mean" in attentions)
module = create("mean", 16, start="identity")
x = torch.rand(2, 16, 4, 4)
print(torch.equal(module(x), x), type(module).__module__)

from torchvision.models import resnet18
network = resnet18().train(False)
images = torch.rand(1, 3, 64, 64)
before = network(images)
attachment = attendet.attach(network, "mean", "residual-branch")
print(torch.equal(network(images), before), {type(module).__name__ for module in attachment.modules().values()})

detector = attendet.build("model.yaml", start="identity")
print(type(detector.model[1]).__name__, detector.model[1].gate.range.tolist())

from attendet.models.costs import attention_costs
print([cost["parameters"] for cost in attention_costs(16, 8) if cost["name"] == "mean"])
"""
    assert run(package, code).split("\n") == [
        "True True",
        "True mean_attention",
        "True {'MeanAttention'}",
        "MeanAttention [0.0, 2.0]",
        "[16]",
        "",
    ]


def test_the_command_line_lists_modules_of_other_packages(package: Path) -> None:
    listed = {entry["name"]: entry for entry in json.loads(run(package, f"{COMMAND_LINE}run()"))}
    assert listed["mean"] | {"activation_bytes": 0} == {
        "name": "mean",
        "paper": "Author: Means. arXiv:0000.00000",
        "parameters": 16,
        "flops": 0,
        "activation_bytes": 0,
    }


def test_a_module_needs_no_paper_and_no_options(package: Path) -> None:
    (package / "mean_attention.py").write_text(
        "from attendet.attention import Attention\n\n\nclass MeanAttention(Attention):\n"
        "    def __init__(self, channels): super().__init__()\n\n    def forward(self, x): return x\n",
    )
    code = """
from attendet.attention import create
from attendet.errors import AttendetError
print(len(list(create("control-conv1x1", 16, like="mean").parameters())))
try:
    create("mean", 16, reduction=8)
except AttendetError as error:
    print(error)
"""
    assert run(package, code).splitlines() == ["2", "mean has no option 'reduction'; it has no options"]
    listed = {entry["name"]: entry for entry in json.loads(run(package, f"{COMMAND_LINE}run()"))}
    assert listed["mean"]["paper"] == ""
    assert listed["mean"]["parameters"] == 0


@pytest.mark.parametrize(
    ("module", "why"),
    [
        ("import a_package_that_is_missing", "cannot be loaded (ModuleNotFoundError: No module named"),
        ("1 / 0", "cannot be loaded (ZeroDivisionError: division by zero)"),
        ("MeanAttention = 1", "is not a class derived from Attention"),
        ("class MeanAttention: pass", "is not a class derived from Attention"),
        ("", "cannot be loaded (AttributeError: "),
    ],
)
def test_a_broken_package_is_skipped_with_a_warning(package: Path, module: str, why: str) -> None:
    (package / "mean_attention.py").write_text(module)
    code = """
import warnings
from attendet.attention import create, names
from attendet.errors import AttendetError, AttendetWarning
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    print("mean" in names(), "cbam" in names())
    try:
        create("mean", 64)
    except AttendetError as error:
        print(str(error).partition(";")[0])
(warning,) = caught
print(warning.category is AttendetWarning, warning.message)
"""
    lines = run(package, code).splitlines()
    assert lines[:2] == ["False True", "unknown attention 'mean'"]
    left_out = "True the attention 'mean' of mean-attention is skipped: mean_attention:MeanAttention "
    assert lines[2].startswith(left_out + why)


def test_the_command_line_works_if_another_package_is_broken(package: Path) -> None:
    (package / "mean_attention.py").write_text("1 / 0")
    assert {entry["name"] for entry in json.loads(run(package, f"{COMMAND_LINE}run()"))} == set(names())


def test_a_built_in_name_cannot_be_replaced(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = package / "mean_attention-1.0.dist-info" / "entry_points.txt"
    points.write_text("[attendet.attention]\nCBAM = mean_attention:MeanAttention\n")
    monkeypatch.syspath_prepend(package)
    assert "CBAM" in entry_points(group="attendet.attention").names
    before = names()
    assert type(create("cbam", 64)) is CBAM
    assert names() == before
    assert "mean_attention" not in sys.modules
