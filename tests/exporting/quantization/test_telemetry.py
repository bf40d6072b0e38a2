"""OpenVINO and NNCF do not report to their maker."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

CODE = """
import sys
from attendet.runtimes.extras import require
require("openvino", "int8", "test")
nncf = require("nncf", "int8", "test")
assert nncf is sys.modules["nncf"]
print([name for name in sys.modules if name.split(".")[0] == "openvino_telemetry"])
"""


def test_importing_openvino_and_nncf_writes_and_sends_nothing(tmp_path: Path):
    # `importorskip` would import them, and send a report.
    if not all(map(find_spec, ("openvino", "nncf", "openvino_telemetry"))):
        pytest.skip("needs openvino and nncf")
    # NNCF itself sends nothing if pytest or a CI is around.
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTEST", "CI", "NNCF"))}
    result = subprocess.run(  # noqa: S603
        [sys.executable, "-c", CODE],
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert result.stdout.strip() == "[]"
    assert not list(tmp_path.rglob("*intel*"))
