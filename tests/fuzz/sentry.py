"""An audit hook that notices and prevents every execution, foreign import, connection, and write outside a folder."""

from __future__ import annotations

import inspect
import os
import sys
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from tests.fuzz.hostile_values import MODULES

_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_FORBIDDEN = frozenset(
    {
        *("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile"),
        *("subprocess.Popen", "fuzz.fork_exec", "pty.spawn", "os.kill", "signal.pthread_kill"),
        *("ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function", "ctypes.cdata"),
        *("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
        *("socket.gethostbyname", "urllib.Request", "http.client.connect", "ftplib.connect", "smtplib.connect"),
        *("webbrowser.open", "pickle.find_class", "function.__new__", "sys.addaudithook"),
    }
)
"""Events that no input may cause."""

_CODE_EVENTS = frozenset({"exec", "compile", "marshal.loads", "marshal.load"})
"""Events that are allowed below a trusted caller."""

_TRUSTED_CALLERS = ("<frozen importlib", typing.__file__, inspect.__file__)
"""Sources that compile or run code for a good reason: allowed imports, and annotations of our own commands."""

_CYTHON_FRAME = b"_getframe()"
"""Code that Cython compiles to add its own source to a traceback."""

_CHANGED_PATHS = {
    "os.remove": 1,
    "os.rmdir": 1,
    "os.mkdir": 1,
    "os.chmod": 1,
    "os.chown": 1,
    "os.truncate": 1,
    "os.utime": 1,
    "os.rename": 2,
    "os.link": 2,
    "os.symlink": 2,
    "shutil.rmtree": 1,
    "shutil.move": 2,
    "shutil.copyfile": 2,
}
"""Events that change files, and the number of paths among their first arguments."""


class ForbiddenActionError(BaseException):
    """An action that no input may cause; not an `Exception`, so that few handlers catch it."""


class Sentry:
    """Watches the process while it reads an input.

    Args:
        folder: The only folder that may be written to.
    """

    def __init__(self, folder: Path) -> None:
        self.findings: list[str] = []
        self._folder = os.path.realpath(folder)
        self._loaded: frozenset[str] = frozenset()
        self._may_import = False
        self._is_watching = False
        sys.addaudithook(self._notice)
        # `importlib.import_module` raises no audit event, but asks every finder.
        sys.meta_path.insert(0, self)

    @contextmanager
    def watching(self, *, may_import: bool = False) -> Iterator[None]:
        """Refuse forbidden actions inside the block, and list them in `findings`.

        Args:
            may_import: Whether the block may import packages that are not loaded yet.
        """
        self.findings.clear()
        self._loaded = frozenset(name.partition(".")[0] for name in sys.modules)
        self._may_import = may_import
        self._is_watching = True
        try:
            yield
        finally:
            self._is_watching = False

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002
        """Report an import as an audit event, and leave it to the other finders."""
        sys.audit("fuzz.import", name)

    def _notice(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_watching:
            return
        # Judging an event may cause others.
        self._is_watching = False
        try:
            is_forbidden = self._is_forbidden(event, arguments)
        finally:
            self._is_watching = True
        if is_forbidden:
            finding = f"{event} {arguments!r}"[:500]
            self.findings.append(finding)
            raise ForbiddenActionError(finding)

    def _is_forbidden(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event in _FORBIDDEN:
            return True
        if event in _CODE_EVENTS:
            return arguments[0] != _CYTHON_FRAME and not _has_trusted_caller(sys._getframe())
        judge = _JUDGES.get(event)
        if judge is not None:
            return judge(self, arguments)
        paths = arguments[: _CHANGED_PATHS.get(event, 0)]
        return any(self._is_outside(path) for path in paths)

    def _is_foreign_import(self, arguments: tuple[Any, ...]) -> bool:
        name = str(arguments[0])
        root = name.partition(".")[0]
        # XML names its encoding; Python looks for it in this package only.
        is_known = self._may_import or root in self._loaded or root == "encodings"
        return not is_known or name in MODULES

    def _is_write_outside(self, arguments: tuple[Any, ...]) -> bool:
        path, mode, flags = arguments
        is_write = any(letter in (mode or "") for letter in "wax+") or bool((flags or 0) & _WRITE_FLAGS)
        return is_write and self._is_outside(path)

    def _is_outside(self, path: object) -> bool:
        # Open files are known by a number.
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        real = os.path.realpath(os.fsdecode(path))
        return real != "/dev/null" and not f"{real}/".startswith(f"{self._folder}/")


_JUDGES: dict[str, Callable[[Sentry, tuple[Any, ...]], bool]] = {
    "fuzz.import": Sentry._is_foreign_import,
    "open": Sentry._is_write_outside,
}


def _has_trusted_caller(frame: FrameType | None) -> bool:
    """Return whether a trusted source is among the callers of a frame."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_TRUSTED_CALLERS):
            return True
        frame = frame.f_back
    return False
