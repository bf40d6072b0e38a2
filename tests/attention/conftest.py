"""A fixture with the names of all registered attention modules."""

import pytest
import torch

from attendet.attention import CBAM, names

# The implementation on GPUs and on machines without a compiler.
PLAIN_CBAM = "cbam in plain torch"


@pytest.fixture(params=[*names(), PLAIN_CBAM])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    torch.manual_seed(0)
    if request.param == PLAIN_CBAM:
        monkeypatch.setattr(CBAM, "implementation", "reference")
        return "cbam"
    return str(request.param)
