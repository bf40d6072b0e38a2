"""Compiling on demand: location, once per machine, and the message if it fails."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from attendet.attention import CBAM
from attendet.errors import AttendetWarning, OptionError
from attendet.ops.cbam import availability, compiler, unsupported_reason


@pytest.fixture
def forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Let nothing be compiled yet, and compiled code be kept elsewhere."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caches = (compiler.load, availability._device_reason, availability._warn)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path
    for cached in caches:
        cached.cache_clear()


def test_importing_compiles_nothing_and_does_without_torch_s_compiler(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys, attendet.attention; sys.exit('torch._dynamo' in sys.modules)"]
    subprocess.run(command, check=True, env={"XDG_CACHE_HOME": str(tmp_path)})  # noqa: S603  # our own command
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_auto_is_plain_torch_and_says_so_once(
    forgotten: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    module, x = CBAM(64), torch.rand(1, 64, 3, 3)
    module.implementation = "auto"
    with pytest.warns(AttendetWarning, match=r"there is no C\+\+ compiler no-such-compiler; install g\+\+"):
        y = module(x)
    assert torch.equal(module(x), y)
    module.implementation = "reference"
    assert torch.equal(module(x), y)
    module.implementation = "fused"
    with pytest.raises(OptionError, match=r"there is no C\+\+ compiler"):
        module(x)
    assert not list(forgotten.iterdir())


def test_a_compiler_that_fails_leaves_no_file_behind(forgotten: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = forgotten / "compiler"
    program.write_text("#!/bin/sh\necho 'cbam.cpp:1: error: I do not know this' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    reason = unsupported_reason(torch.rand(1, 1, 1, 1))
    assert reason is not None
    assert "cannot compile the fused CBAM: cbam.cpp:1: error: I do not know this" in reason
    assert not list(compiler.cache_folder().iterdir())


def test_what_is_no_library_is_refused(forgotten: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = forgotten / "compiler"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho nothing > "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    with pytest.raises(OptionError, match=r"does not load: .*; remove it"):
        compiler.load()


def test_the_name_of_compiled_code_says_by_which_compiler(forgotten: Path) -> None:
    names = set()
    for size in (1, 2):
        program = forgotten / "compiler"
        program.write_text("x" * size)
        names.add(compiler.fingerprint(str(program)))
    assert len(names) == 2


def test_nowhere_to_keep_what_is_compiled(forgotten: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No home folder, or a path that the system does not take: plain torch, and a word why."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(forgotten / ("x" * 5000)))
    assert "set XDG_CACHE_HOME to a folder that can be written" in (unsupported_reason(torch.rand(1, 1, 1, 1)) or "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    availability._device_reason.cache_clear()
    with pytest.warns(AttendetWarning, match="compiled code cannot be kept: there is no home"):
        CBAM(64)(torch.rand(1, 64, 3, 3))


def no_home() -> Path:
    raise RuntimeError("there is no home")
