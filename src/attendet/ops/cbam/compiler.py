"""Compiling the C++ on the machine that runs them, once, when they are first asked for.

Installing needs no compiler. What is compiled is kept in $XDG_CACHE_HOME/attendet (or ~/.cache/attendet), under a name
that says from which source, by which compiler and for which processor; so machines can share a home folder.
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
FLAGS = ("-std=c++20", "-O3", "-march=native", "-fopenmp", "-shared", "-fPIC")
REMEDY = "install g++ 12 or newer, or name a compiler in the environment variable CXX"
LONGEST_SECONDS = 600

logger = logging.getLogger(__name__)


@cache
def load() -> ctypes.CDLL:
    """Return the passes as a library, compiled if this machine has not yet done so.

    Raises:
        OptionError: If there is no compiler, it cannot compile them, or there is nowhere to keep what it makes.
        OutputError: If the folder of compiled code cannot be written.
    """
    compiler = find_compiler()
    try:
        compiled = cache_folder() / f"cbam-{fingerprint(compiler)}.so"
        there = compiled.is_file()
    except (OSError, RuntimeError) as error:
        # No home folder, or one that this user may not look into.
        remedy = "set XDG_CACHE_HOME to a folder that can be written"
        raise OptionError(f"compiled code cannot be kept: {error}", remedy=remedy) from error
    if not there:
        logger.info("compiling the fused CBAM for this machine, once; it takes some 15 seconds")
        with write_atomically(compiled) as temporary:
            compile_to(temporary, compiler)
    try:
        return ctypes.CDLL(str(compiled))
    except OSError as error:
        raise OptionError(
            f"{compiled} does not load: {error}", remedy="remove it, so that it is compiled anew"
        ) from error


def find_compiler() -> str:
    """Return the path of the C++ compiler: $CXX, else the first there is.

    Raises:
        OptionError: If there is none.
    """
    named = os.environ.get("CXX")
    for candidate in (named,) if named else ("g++", "c++", "clang++"):
        found = shutil.which(candidate)
        if found:
            return found
    raise OptionError(f"there is no C++ compiler {named or ''}".rstrip(), remedy=REMEDY)


def compile_to(path: Path, compiler: str) -> None:
    """Compile the passes into a file.

    Raises:
        OptionError: If the compiler fails; the error ends with what it has said last.
    """
    command = [compiler, *FLAGS, str(SOURCES / "cbam.cpp"), "-o", str(path)]
    try:
        # The command is our own source and flags, and the compiler the user has chosen.
        done = subprocess.run(  # noqa: S603
            command,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
            # Errors are looked for by their English word.
            env={**os.environ, "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OptionError(f"{compiler} does not run: {error}", remedy=REMEDY) from error
    if done.returncode:
        lines = done.stderr.splitlines() or ["it says nothing"]
        told = next((line for line in lines if "error" in line), lines[-1])
        raise OptionError(f"{compiler} cannot compile the fused CBAM: {told}", remedy=REMEDY)


def cache_folder() -> Path:
    """Return where compiled code is kept."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path.home() / ".cache") / "attendet"


def fingerprint(compiler: str) -> str:
    """Return a name for all that decides what the compiler makes."""
    sources = [path.read_text(encoding="utf-8") for path in sorted(SOURCES.iterdir())]
    parts = (*sources, *FLAGS, compiler_version(compiler), torch.__version__, processor())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def compiler_version(compiler: str) -> str:
    """Return path, size and time of the compiler: it is asked for nothing when the code is there already."""
    status = Path(compiler).resolve().stat()
    return f"{compiler} {status.st_size} {status.st_mtime_ns}"


def processor() -> str:
    """Return what the processor can do, where the system tells, for -march=native compiles for it alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    told = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return "\n".join([platform.machine(), *sorted(told)])
