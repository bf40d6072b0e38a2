"""Compilation on first use: the location of the library, and the errors and warnings if it fails."""

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
def empty_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder that replaces the cache of compiled code, and clear the caches in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caches = (compiler.load, availability._device_reason, availability._warn)
    for cached in caches:
        cached.cache_clear()
    yield tmp_path
    for cached in caches:
        cached.cache_clear()


def test_importing_neither_compiles_nor_imports_torch_dynamo(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys, attendet.attention; sys.exit('torch._dynamo' in sys.modules)"]
    subprocess.run(command, check=True, env={"XDG_CACHE_HOME": str(tmp_path)})  # noqa: S603
    assert not list(tmp_path.iterdir())


def test_without_a_compiler_auto_uses_plain_torch_and_warns_once(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    module, x = CBAM(64), torch.rand(1, 64, 3, 3)
    module.implementation = "auto"
    with pytest.warns(AttendetWarning, match=r"C\+\+ compiler no-such-compiler not found; install g\+\+"):
        y = module(x)
    assert torch.equal(module(x), y)
    module.implementation = "reference"
    assert torch.equal(module(x), y)
    module.implementation = "fused"
    with pytest.raises(OptionError, match=r"C\+\+ compiler no-such-compiler not found"):
        module(x)
    assert not list(empty_cache.iterdir())


def test_a_failing_compiler_leaves_no_file(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = empty_cache / "compiler"
    program.write_text("#!/bin/sh\necho 'cbam.cpp:1: error: unknown token' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    reason = unsupported_reason(torch.rand(1, 1, 1, 1))
    assert reason is not None
    assert "cannot compile the fused CBAM: cbam.cpp:1: error: unknown token" in reason
    assert not list(compiler.cache_folder().iterdir())


def test_a_file_that_is_not_a_library_is_an_error(empty_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = empty_cache / "compiler"
    program.write_text('#!/bin/sh\nfor last; do :; done\necho nothing > "$last"\n')
    program.chmod(0o755)
    monkeypatch.setenv("CXX", str(program))
    with pytest.raises(OptionError, match=r"cannot be loaded: .*; delete the file; it will be compiled again"):
        compiler.load()


def test_the_fingerprint_depends_on_the_compiler(empty_cache: Path) -> None:
    names = set()
    for size in (1, 2):
        program = empty_cache / "compiler"
        program.write_text("x" * size)
        names.add(compiler.fingerprint(str(program)))
    assert len(names) == 2


def test_an_inaccessible_cache_folder_falls_back_to_plain_torch(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is too long for the system, or the user has no home folder."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(empty_cache / ("x" * 5000)))
    assert "set XDG_CACHE_HOME to a writable folder" in (unsupported_reason(torch.rand(1, 1, 1, 1)) or "")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", raise_no_home)
    availability._device_reason.cache_clear()
    with pytest.warns(AttendetWarning, match="the folder for compiled code is not accessible: no home folder"):
        CBAM(64)(torch.rand(1, 64, 3, 3))


def raise_no_home() -> Path:
    raise RuntimeError("no home folder")
