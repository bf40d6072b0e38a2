"""Child processes end with their parent, and import nothing from the working folder."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from attendet.utils.processes.child_processes import module_command, module_environment

CHILD = """
import sys, time
from attendet.utils.processes.child_processes import end_with_parent
end_with_parent(int(sys.argv[1]))
print(__import__("os").getpid(), flush=True)
time.sleep(60)
"""
PARENT = f"""
import os, subprocess, sys, time
subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid())], start_new_session=True)
time.sleep(60)
"""


def is_running(process: int) -> bool:
    """Return whether a process exists and is not only waiting to be collected."""
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_ends_when_its_parent_is_killed(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:  # noqa: S603
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.send_signal(number)
        parent.wait()
        end = time.monotonic() + 30
        while is_running(child):
            assert time.monotonic() < end, "the child outlives its parent"
            time.sleep(0.05)


def test_a_child_whose_parent_has_ended_before_ends_at_once() -> None:
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", CHILD, "999999999"], capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, b"")


def test_a_module_of_the_working_folder_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("queue", "json", "attendet"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the working folder')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep)
    done = subprocess.run(  # noqa: S603
        module_command("attendet.data.reading.file_readers", "image"),
        input=f"[{str(tmp_path / 'none.jpg')!r}]\n".replace("'", '"'),
        env=module_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "not found" in done.stdout
