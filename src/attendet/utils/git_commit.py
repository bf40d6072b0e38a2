"""The commit of a folder, read from the files of git: git itself runs hooks, filters, and monitors of the folder."""

from __future__ import annotations

import re
from pathlib import Path

from attendet.errors import DataError
from attendet.utils.io import read_text
from attendet.utils.regular_files import open_regular

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_REFERENCE = re.compile(r"ref: (refs/[^\s\0]+)")
_MAX_BYTES = 4096
# A large project has ten thousand branches and tags, of about 80 bytes each.
_MAX_PACKED_BYTES = 2**24


def read_commit(folder: Path) -> str | None:
    """Return the commit that is checked out in the repository of a folder; None if it is unknown.

    It is unknown outside a repository, and if git stores branches in another form than files. Variables such as
    GIT_DIR have no effect.

    Args:
        folder: A folder in the repository.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Path(folder, ".git").mkdir()
        ...     _ = Path(folder, ".git/HEAD").write_text("0123456789abcdef0123456789abcdef01234567")
        ...     read_commit(Path(folder))
        '0123456789abcdef0123456789abcdef01234567'
    """
    top = folder.resolve()
    repository = next((each / ".git" for each in (top, *top.parents) if (each / ".git").exists()), None)
    if repository is None:
        return None
    try:
        repository = _follow(repository, "gitdir: ")
        head = _read(repository / "HEAD")
        reference = _REFERENCE.fullmatch(head)
        if reference is None:
            return _as_commit(head)
        return _commit_of(reference[1], repository)
    except DataError:
        return None


def _follow(path: Path, prefix: str) -> Path:
    """Return the repository of a worktree or submodule, whose `.git` is a file with the path of the repository."""
    if path.is_dir():
        return path
    return path.parent / _read(path).removeprefix(prefix)


def _commit_of(reference: str, repository: Path) -> str | None:
    if ".." in reference.split("/"):
        return None
    shared = repository / "commondir"
    # A worktree has its own HEAD, and shares the branches of its repository.
    folders = [repository, repository / _read(shared)] if shared.exists() else [repository]
    for folder in folders:
        if (folder / reference).exists():
            return _as_commit(_read(folder / reference))
    return _packed_commit(reference, folders[-1] / "packed-refs")


def _packed_commit(reference: str, file: Path) -> str | None:
    if not file.exists():
        return None
    for line in read_text(file, _MAX_PACKED_BYTES).splitlines():
        commit, _, name = line.partition(" ")
        if name == reference:
            return _as_commit(commit)
    return None


def _read(path: Path) -> str:
    with open_regular(path, max_bytes=_MAX_BYTES) as file:
        return file.read(_MAX_BYTES).decode("utf-8", "surrogateescape").strip()


def _as_commit(text: str) -> str | None:
    return text if _COMMIT.fullmatch(text) else None
