"""The search for a study as a function."""

from __future__ import annotations

import os
from pathlib import Path

from attendet.study.searching.search_design import read_search
from attendet.study.searching.search_records import SearchFolder, SearchRecord
from attendet.study.searching.search_run import Search, SearchObserver, SilentSearchObserver, run_search

DEFAULT_SEARCH_ROOT = Path("runs/search")


def search(
    file: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    observer: SearchObserver | None = None,
) -> SearchRecord:
    """Try many attention modules and places with one seed, and draft a study of the best.

    It can be interrupted at any time; the same call continues. The scores are not evidence: the drafted study decides.

    Args:
        file: The design of the search, usually `search.yaml`; see docs/study.md.
        out: Folder of the search (default: `runs/search/NAME`, with the search's name). The draft is its `study.yaml`.
        observer: Receives progress and log lines (default: silent).

    Returns:
        The candidates that were tried, with their scores; the content of the folder's `search.json`.

    Raises:
        OptionError: If the file is not a valid design, Optuna is not installed, no candidate finishes, or the folder
            belongs to another search.
        AttendetError: If data or models are missing, or the baseline cannot be trained.

    Example:
        >>> from attendet import study
        >>> study.search("nowhere.yaml")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: nowhere.yaml: the file cannot be read: No such file or directory
    """
    return run_search(open_search(file, out), observer or SilentSearchObserver())


def open_search(file: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Search:
    """Return a search: its design, the folder of the file, and the folder of its records.

    Args:
        file: The design of the search.
        out: Folder of the search (default: `runs/search/NAME`, with the search's name).

    Raises:
        OptionError: If the file is not a valid design.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder, "search.yaml")
        ...     _ = file.write_text(
        ...         "{name: where, model: yolov5n, data: d.yaml, search: {attention: se, at: [neck, head]}, trials: 2}"
        ...     )
        ...     open_search(file).folder.path.as_posix()
        'runs/search/where'
    """
    path = Path(file)
    design = read_search(path)
    folder = SearchFolder(DEFAULT_SEARCH_ROOT / design.name if out is None else Path(out))
    return Search(design, path.parent, folder)
