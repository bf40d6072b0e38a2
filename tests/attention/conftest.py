"""Fixtures: a reset of the compiler, and the names of all registered attention modules."""

import sys
from collections.abc import Iterator

import pytest
import torch

from attendet.attention import CBAM, names

# The implementation on GPUs and on machines without a compiler.
PLAIN_CBAM = "cbam in plain torch"


@pytest.fixture(autouse=True)
def forget_compiled_code() -> Iterator[None]:
    """Reset torch's compiler, which otherwise stops to compile a function after eight different modules."""
    yield
    if "torch._dynamo" in sys.modules:
        torch.compiler.reset()


@pytest.fixture(params=[*names(), PLAIN_CBAM])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    torch.manual_seed(0)
    if request.param == PLAIN_CBAM:
        monkeypatch.setattr(CBAM, "implementation", "reference")
        return "cbam"
    return str(request.param)
