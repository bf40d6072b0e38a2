"""Compilation of the C++ operators on the user's machine, once, on first use.

Installing the package needs no compiler. The library is stored in $XDG_CACHE_HOME/attendet (or ~/.cache/attendet). Its
file name is a hash of the source, the compiler, and the processor, so that several machines can share a home folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
from functools import cache
from pathlib import Path

import torch

from attendet.errors import OptionError
from attendet.utils.io import write_atomically

SOURCES = Path(__file__).with_name("native")
_FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
_REMEDY = "install g++ 12 or newer, or set the environment variable CXX to a compiler"
_MAX_SECONDS = 600

_logger = logging.getLogger(__name__)


@cache
def load() -> ctypes.CDLL:
    """Return the library of the fused operators, and compile it if this machine has not done so before.

    Raises:
        OptionError: If no compiler is found, compilation fails, or the cache folder is not accessible.
        OutputError: If the library cannot be written to the cache folder.
    """
    compiler = find_compiler()
    try:
        library = cache_folder() / f"cbam-{fingerprint(compiler)}.so"
        is_compiled = library.is_file()
    except (OSError, RuntimeError) as error:
        # The user has no home folder, or no permission to read it.
        remedy = "set XDG_CACHE_HOME to a writable folder"
        raise OptionError(f"the folder for compiled code is not accessible: {error}", remedy=remedy) from error
    if not is_compiled:
        _logger.info("compiling the fused CBAM for this machine, once; it takes about 15 seconds")
        with write_atomically(library) as temporary:
            compile_to(temporary, compiler)
    try:
        return ctypes.CDLL(str(library))
    except OSError as error:
        remedy = "delete the file; it will be compiled again"
        raise OptionError(f"{library} cannot be loaded: {error}", remedy=remedy) from error


def find_compiler() -> str:
    """Return the path of the C++ compiler: $CXX if it is set, otherwise the first of g++, c++, and clang++.

    Raises:
        OptionError: If no compiler is found.
    """
    chosen = os.environ.get("CXX")
    for candidate in (chosen,) if chosen else ("g++", "c++", "clang++"):
        path = shutil.which(candidate, path=_search_path())
        if path:
            return path
    raise OptionError(f"C++ compiler {chosen or ''}".rstrip() + " not found", remedy=_REMEDY)


def _search_path() -> str:
    """Return the absolute folders of $PATH: a compiler in the working folder may be a stranger's."""
    return os.pathsep.join(entry for entry in os.get_exec_path() if Path(entry).is_absolute())


def compile_to(path: Path, compiler: str) -> None:
    """Compile the operators into a shared library at `path`.

    Raises:
        OptionError: If the compiler fails. The message contains the first error that it reports.
    """
    command = [compiler, *_FLAGS, str(SOURCES / "cbam.cpp"), "-o", str(path)]
    try:
        # The command consists of our own source and flags, and the compiler that the user has chosen.
        result = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=_MAX_SECONDS,
            check=False,
            # Error messages are recognized by the English word "error".
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"{compiler} does not run: {error}", remedy=_REMEDY) from error
    if result.returncode:
        lines = result.stderr.splitlines() or ["no error message"]
        message = next((line for line in lines if "error" in line), lines[-1])
        raise OptionError(f"{compiler} cannot compile the fused CBAM: {message}", remedy=_REMEDY)


def cache_folder() -> Path:
    """Return the folder for compiled libraries."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "attendet"


def fingerprint(compiler: str) -> str:
    """Return a hash of everything that determines the compiled library."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    parts = (*sources, *_FLAGS, compiler_version(compiler), torch.__version__, processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def compiler_version(compiler: str) -> str:
    """Return the path, size, and modification time of a compiler, which identify it without running it."""
    status = Path(compiler).resolve().stat()
    return f"{compiler} {status.st_size} {status.st_mtime_ns}"


def processor() -> str:
    """Return the model and features of the processor, because -march=native compiles for this processor only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    features = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join([platform.machine(), *sorted(features)])
