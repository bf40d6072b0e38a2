"""Values that have broken readers: names of code, numbers at the limits of types, and texts with side effects."""

from __future__ import annotations

import os
from random import Random

PLANTED_MODULE = "fuzz_planted_module"
"""A module in the working folder of the child process: an import of it is a finding."""

CALLABLES = (
    "os.system",
    "posix.system",
    "os.posix_spawn",
    "subprocess.Popen",
    "subprocess.check_output",
    "builtins.eval",
    "builtins.exec",
    "__builtin__.eval",
    "builtins.compile",
    "builtins.__import__",
    "builtins.getattr",
    "builtins.open",
    "importlib.import_module",
    "runpy.run_path",
    "pickle.loads",
    "marshal.loads",
    "ctypes.CDLL",
    "socket.create_connection",
    "urllib.request.urlopen",
    "shutil.rmtree",
    "pty.spawn",
    "webbrowser.open",
    "antigravity.geohash",
    "torch.load",
    "torch.hub.load",
    "torch.storage._load_from_bytes",
    "torch.ops.load_library",
    "numpy.load",
    "operator.attrgetter",
    "functools.partial",
    f"{PLANTED_MODULE}.run",
    f"torch.{PLANTED_MODULE}",
    f"attendet.{PLANTED_MODULE}.run",
)
"""Functions that a file must not call."""

MODULES = frozenset(name.rpartition(".")[0] for name in CALLABLES) | {f"torch.{PLANTED_MODULE}"}
"""Modules that a file must not import."""

INTEGERS = (
    *(0, -1, 1, 2, 3, 7, 255, 256, 65_535, 65_536, 10**6, 10**9),
    *(2**31 - 1, 2**31, -(2**31), 2**32, 2**53 + 1, 2**61 - 1, 2**63 - 1, 2**63, -(2**63), 2**64, 10**40),
)

FLOATS = (0.0, -0.0, 0.5, 1e-320, 1e-9, 1e9, 1e308, -1e308, float("inf"), float("-inf"), float("nan"))

TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "nan",
    "1e999",
    "0x" + "f" * 4000,
    "1" + ":59" * 3000,
    "true",
    "null",
    "~",
    "a" * 10_000,
    "é" * 300,
    "猫",
    "قط",
    "\U0001f600",
    ":boom:",
    "[red]x[/red]",
    "[/]",
    "\x1b[31m\x07",
    "\u202etxt.exe",
    "\u200b",
    "\ufeff",
    "a\nb",
    "a\rb",
    "\0",
    "../../outside",
    "/etc/passwd",
    "/dev/zero",
    "~root",
    "file:///etc/passwd",
    "concat:/etc/passwd",
    "$(touch ran)",
    "; touch ran",
    "{0.__class__}",
    "%n%s%d",
    "<script>alert(1)</script>",
    "=1+1",
    "@SUM(1)",
    "**/**/**/*",
    "[" * 200,
    "\\U00110000",
    "__import__('os').system('touch ran')",
    "!!python/object/apply:os.system ['touch ran']",
)


PORT_VARIABLE = "FUZZ_PORT"
"""Environment variable with the port of this machine that nothing may connect to."""


def address() -> str:
    """Return the web address that nothing may open."""
    return f"http://127.0.0.1:{os.environ.get(PORT_VARIABLE, '9')}/ran.mp4"


def integer(random: Random) -> int:
    """Return a small integer, or one at the limit of a type."""
    return random.choice((random.randint(-4, 300), random.choice(INTEGERS)))


def scalar(random: Random) -> object:
    """Return a value of a random type."""
    return random.choice(
        (integer(random), random.choice(FLOATS), random.choice(TEXTS), random.random() < 0.5, None, [], {})
    )


def equal_hashes(count: int) -> list[int]:
    """Return integers that all have the hash 0, so that a mapping with these keys takes quadratic time."""
    return [number * (2**61 - 1) for number in range(1, count + 1)]
