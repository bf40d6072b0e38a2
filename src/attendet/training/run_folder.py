"""The folder of a training run: the paths of its files, its record, and its results."""

from __future__ import annotations

import csv
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from attendet.errors import DataError, Location
from attendet.utils.io import read_text, write_atomically, write_csv
from attendet.utils.json_text import to_json
from attendet.utils.records import read_record
from attendet.utils.settings import StrictModel
from attendet.weights.io.file_digests import PLACEHOLDER, require_intact, write_digest

# The metrics of each class take most of a record. This limit is enough for a hundred thousand classes.
_MAX_RECORD_BYTES = 64 * 1024 * 1024


class RunRecord(StrictModel):
    """The record of a training run, which `run.json` stores.

    Attributes:
        command: The command line; empty if the run was started from Python.
        configuration: All settings.
        recipe: The optimizer settings that were chosen, with the reasons.
        model: Name, parameters, GFLOPs at the training size, attention rows, and how they were read.
        names: Class names in the order of their indices.
        data: For each split, the numbers of images, objects, and skipped images, and a fingerprint.
        versions: Versions of Python, attendet, and the packages that affect results.
        git: Commit that is checked out in the working folder; None outside a repository.
        device: Description of the device.
        computed_on: Name of the device in torch.
        notes: Sentences about problems in the data, fitted anchors, and weights that did not fit.
        seconds: Duration of the whole run and of its parts.
        epochs: Number of completed epochs.
        best_epoch: The epoch, counted from 1, with the best weights.
        metrics: Metrics of the best weights after the run.
        finished: Whether the run was completed.
        initialization: Digests of the initial weights of all layers outside attention, by path.
        order: Digest of the images of the first epoch in their order; empty if it is unknown.
        digest: Digest of the file, by which damage is found; only in the file.
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
    digest: str = ""


@dataclass(frozen=True)
class RunFolder:
    """The paths of a run's files.

    Attributes:
        path: The folder.

    Example:
        >>> RunFolder(Path("runs/train/exp")).best
        PosixPath('runs/train/exp/weights/best.safetensors')
    """

    path: Path

    @property
    def record(self) -> Path:
        """Path of the record of the run."""
        return self.path / "run.json"

    @property
    def results(self) -> Path:
        """Path of the results, a CSV file with one row per epoch."""
        return self.path / "results.csv"

    @property
    def best(self) -> Path:
        """Path of the best weights."""
        return self.path / "weights" / "best.safetensors"

    @property
    def last(self) -> Path:
        """Path of the weights of the last epoch."""
        return self.path / "weights" / "last.safetensors"

    @property
    def weights(self) -> Path:
        """Path of the best weights, or of the last weights if no epoch was validated."""
        return self.best if self.best.is_file() else self.last

    @property
    def checkpoint(self) -> Path:
        """Path of the checkpoint that `--resume` continues from."""
        return self.path / "checkpoint" / "last.ckpt"

    def picture(self, name: str) -> Path:
        """Return the path of a picture."""
        return self.path / "pictures" / f"{name}.png"


def read_run(folder: RunFolder) -> RunRecord:
    """Return the record of a run, `run.json`.

    Raises:
        DataError: If the folder has no such file, or the file is damaged: its digest differs from its content.
    """
    if not folder.record.is_file():
        remedy = "name the folder of a training run"
        raise DataError("run record not found", where=Location(str(folder.record)), remedy=remedy)
    require_intact(folder.record, DataError)
    record = read_record(folder.record, RunRecord, max_bytes=_MAX_RECORD_BYTES)
    return record.model_copy(update={"digest": ""})


def write_run(folder: RunFolder, record: RunRecord) -> None:
    """Write the record of a run atomically as `run.json`, with a digest.

    Raises:
        OutputError: If the file cannot be written.
    """
    content = record.model_copy(update={"digest": PLACEHOLDER}).model_dump(mode="json")
    with write_atomically(folder.record) as temporary:
        temporary.write_text(to_json(content), encoding="utf-8")
        write_digest(temporary)


def check_digests(folder: RunFolder) -> tuple[str, ...]:
    """Return a sentence about each file that a resumed run needs and whose digest is missing.

    Raises:
        AttendetError: If a file is damaged: its digest differs from its content.
    """
    files = (folder.record, folder.checkpoint, folder.best, folder.last)
    unknown = [path for path in files if path.is_file() and not require_intact(path)]
    return tuple(f"{path.name} has no digest, so damage to it is not found" for path in unknown)


def write_results(folder: RunFolder, rows: Sequence[Mapping[str, float]]) -> None:
    """Write `results.csv` atomically.

    Args:
        folder: The folder of the run.
        rows: One mapping from columns to numbers per epoch.

    Raises:
        OutputError: If the file cannot be written.
    """
    write_csv(folder.results, [{key: _rounded(value) for key, value in row.items()} for row in rows])


def read_results(path: Path) -> list[dict[str, float]]:
    """Return the rows of `results.csv`: for each epoch a number per column, NaN if it was not measured.

    Args:
        path: The file, such as `RunFolder.results`.

    Raises:
        DataError: If the file cannot be read, or a row does not have a number for each column.
    """
    try:
        rows = csv.DictReader(read_text(path, _MAX_RECORD_BYTES).splitlines())
        return [{column: float(value) for column, value in row.items()} for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        # The csv module returns None for a missing value and a list for surplus values; float() rejects both.
        raise DataError(
            "every row of the results must have a number in each column", where=Location(str(path))
        ) from error


def device_name(device: torch.device) -> str:
    """Return a readable description of a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()} ({platform.machine()}, {torch.get_num_threads()} threads)"


def _rounded(value: float) -> float | str:
    return value if isinstance(value, int) else f"{value:.6g}"
