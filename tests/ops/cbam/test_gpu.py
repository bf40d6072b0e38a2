"""The Triton passes against the reference: interpreted on a CPU, and on a GPU if one is available."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="needs Triton")

ROOT = Path(__file__).parents[3]


def test_interpreted_passes_equal_the_reference() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "tests.helpers.triton_interpreter"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TRITON_INTERPRET": "1"},
        check=False,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    cases = json.loads(result.stdout.splitlines()[-1])
    assert len(cases) == 2 * (4 + 5 + 1 + 2) + 3
    for case, differences in cases.items():
        # The interpreter truncates to bfloat16 where a GPU rounds. Other cases differ by the order of float32 sums.
        tolerance = 2**-7 if "bfloat16" in case else 2**-11 if "float16" in case else 3e-5
        for name, difference in differences.items():
            assert difference < tolerance, (case, name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_on_a_gpu(layout: torch.memory_format, dtype: torch.dtype) -> None:
    from tests.helpers.random_cbam_nets import converted, nets  # noqa: PLC0415
    from tests.helpers.triton_interpreter import differences  # noqa: PLC0415

    x = torch.randn(4, 96, 61, 67, device="cuda").to(dtype, memory_format=layout)
    bits = {torch.float32: 15, torch.bfloat16: 8, torch.float16: 11}[dtype]
    assert max(differences(x, converted(nets(96, "authors"), device="cuda")).values()) < 2**-bits
