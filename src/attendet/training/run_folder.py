"""What a run was and gave, as files that every later verb reads."""

from __future__ import annotations

import csv
import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from attendet.errors import DataError, Location
from attendet.utils.io import write_csv
from attendet.utils.records import read_record
from attendet.utils.settings import StrictModel

# The metrics of each class take up most of a record; this is enough for a hundred thousand classes.
MAX_RECORD_BYTES = 64 * 1024 * 1024


class RunRecord(StrictModel):
    """A training run, as `run.json` holds it.

    Attributes:
        command: The command line, empty from Python.
        configuration: Every setting.
        recipe: What was chosen from the number of steps, with the reasons.
        model: Name, parameters, GFLOPs at the training size, rows with attention and how they were read.
        names: The classes' names, by number.
        data: By split: images, objects, images left out, fingerprint.
        versions: Of Python, attendet and the packages that numbers depend on.
        git: Commit of the working folder, and whether it has changes; None outside a repository.
        device: What computed.
        computed_on: The same as torch names it.
        notes: What a reader should know: problems in the data, anchors that were fitted, weights that did not fit.
        seconds: Duration of the whole run, and by part.
        epochs: Epochs done.
        best_epoch: The epoch, from 1, whose weights are `best`.
        metrics: Of the best weights, after the run.
        finished: Whether the run came to its end.
        initialization: Fingerprint of the first weights of each layer that is no part of attention, by its path.
        order: Fingerprint of which images came in the first epoch, in which order; empty where it is not known.
    """

    command: tuple[str, ...]
    configuration: Mapping[str, Any]
    recipe: Mapping[str, Any]
    model: Mapping[str, Any]
    names: tuple[str, ...]
    data: Mapping[str, Any]
    versions: Mapping[str, str]
    git: Mapping[str, Any] | None
    device: str
    computed_on: str = "cpu"
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = Field(default_factory=dict)
    epochs: int = 0
    best_epoch: int | None = None
    metrics: Mapping[str, Any] | None = None
    finished: bool = False
    initialization: Mapping[str, str] = Field(default_factory=dict)
    order: str = ""


@dataclass(frozen=True)
class RunFolder:
    """Where the files of a run are.

    Example:
        >>> RunFolder(Path("runs/train/exp")).best
        PosixPath('runs/train/exp/weights/best.safetensors')
    """

    path: Path

    @property
    def record(self) -> Path:
        """The run's record."""
        return self.path / "run.json"

    @property
    def results(self) -> Path:
        """One row per epoch."""
        return self.path / "results.csv"

    @property
    def best(self) -> Path:
        """The best weights."""
        return self.path / "weights" / "best.safetensors"

    @property
    def last(self) -> Path:
        """The weights of the last epoch."""
        return self.path / "weights" / "last.safetensors"

    @property
    def weights(self) -> Path:
        """The best weights, or the last where no epoch was measured."""
        return self.best if self.best.is_file() else self.last

    @property
    def checkpoint(self) -> Path:
        """What `--resume` goes on from."""
        return self.path / "checkpoint" / "last.ckpt"

    def picture(self, name: str) -> Path:
        """Return where a picture is."""
        return self.path / "pictures" / f"{name}.png"


def read_run(folder: RunFolder) -> RunRecord:
    """Return the record of a run, `run.json`.

    Raises:
        DataError: If the folder has no such file, or the file is damaged.
    """
    if not folder.record.is_file():
        remedy = "name the folder of a training run"
        raise DataError("run record not found", where=Location(str(folder.record)), remedy=remedy)
    return read_record(folder.record, RunRecord, max_bytes=MAX_RECORD_BYTES)


def write_results(folder: RunFolder, rows: Sequence[Mapping[str, float]]) -> None:
    """Write `results.csv`, whole or not at all."""
    write_csv(folder.results, [{key: _short(value) for key, value in row.items()} for row in rows])


def read_results(path: Path) -> list[dict[str, float]]:
    """Return what `results.csv` holds: the numbers of each epoch by column, NaN where nothing was measured.

    Args:
        path: The file, such as `RunFolder.results`.

    Raises:
        DataError: If there is none, or a row of it is not a number for each column.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [{column: float(value) for column, value in row.items()} for row in csv.DictReader(file)]
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"the results of a run cannot be read: {reason}", where=Location(str(path))) from error
    except (ValueError, TypeError, csv.Error) as error:
        # TypeError: csv has None for a value that is missing, and a list of those that have no column.
        raise DataError("it is no table of epochs", where=Location(str(path))) from error


def git_state(folder: Path) -> dict[str, Any] | None:
    """Return the commit of a folder and whether it has changes, or None where there is no git or repository."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(folder), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()  # noqa: S603

    try:
        return {"commit": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def device_name(device: torch.device) -> str:
    """Return a device for people."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()} ({platform.machine()}, {torch.get_num_threads()} threads)"


def _short(value: float) -> float | str:
    return value if isinstance(value, int) else f"{value:.6g}"
