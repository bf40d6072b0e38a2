"""`attendet clean`: remove unfinished files that killed processes left, and cached data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from attendet.cli.command import DEFECTS
from attendet.cli.inputs import require_file
from attendet.cli.options import AsJson
from attendet.cli.ui.console import console
from attendet.utils.json_text import to_json
from attendet.utils.text import plural, printable

if TYPE_CHECKING:
    from attendet.utils.processes.temporary_files import Leftover

# The cached content of label files (data/reading/file_cache.py), and compiled operators (ops/cbam/compiler.py).
_CACHED = re.compile(r"data-[0-9a-f]{16}\.sqlite(-journal|-wal|-shm)?|cbam-[0-9a-f]{24}\.so")


def clean_command(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Folder that is searched with all folders in it.")
    ] = Path(),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and remove nothing.")] = False,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache", help="Remove the cached content of label files and the compiled operators of this user, too."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Remove unfinished files that killed commands and interrupted downloads left.

    Only files with names that attendet gives to unfinished files are removed, links are not followed, and files of
    running processes are kept. If something is kept, the exit code is 1.
    """
    require_file(folder, "name a folder, such as runs")
    from attendet.utils.processes.temporary_files import remove_leftovers

    found = remove_leftovers(folder, dry_run=dry_run)
    if cache:
        found += _remove_cache(dry_run=dry_run)
    removed = [leftover for leftover in found if leftover.kept is None]
    kept = [leftover for leftover in found if leftover.kept is not None]
    if as_json:
        about = {"dry_run": dry_run, "bytes": sum(each.size for each in removed)}
        typer.echo(to_json({**about, "removed": _rows(removed), "kept": _rows(kept)}))
    else:
        _print(removed, kept, dry_run=dry_run)
    if kept:
        raise typer.Exit(DEFECTS)


def _remove_cache(*, dry_run: bool) -> list[Leftover]:
    from attendet.ops.cbam.compiler import cache_folder
    from attendet.utils.processes.temporary_files import Leftover, remove_leftovers

    folder = cache_folder()
    if not folder.is_dir():
        return []
    found = remove_leftovers(folder, dry_run=dry_run)
    for path in sorted(folder.iterdir()):
        if _CACHED.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            found.append(Leftover(path, path.stat().st_size, None))
            if not dry_run:
                path.unlink()
    return found


def _rows(leftovers: Iterable[Leftover]) -> list[dict[str, object]]:
    return [{"path": str(each.path), "bytes": each.size, "kept": each.kept} for each in leftovers]


def _print(removed: list[Leftover], kept: list[Leftover], *, dry_run: bool) -> None:
    out = console()
    verb = "would remove" if dry_run else "removed"
    for each in removed:
        out.print(f"{verb} {printable(str(each.path))}: {each.size:,} bytes", soft_wrap=True)
    for each in kept:
        out.print(f"kept {printable(str(each.path))}: {each.kept}", soft_wrap=True)
    total = sum(each.size for each in removed)
    out.print(f"{verb} {plural(len(removed), 'item')}, {total:,} bytes")
