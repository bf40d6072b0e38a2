"""The files of a study, and all that a report needs read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from attendet.errors import DataError, Location
from attendet.study.records import CellRecord, CostRecord, StudyRecord
from attendet.utils.records import read_record


@dataclass(frozen=True)
class StudyFolder:
    """Where the files of a study are.

    Example:
        >>> StudyFolder(Path("runs/study/first")).cell("0a1b").as_posix()
        'runs/study/first/cells/0a1b.json'
    """

    path: Path

    @property
    def study(self) -> Path:
        """What was planned."""
        return self.path / "study.json"

    @property
    def costs(self) -> Path:
        """What arms cost to use."""
        return self.path / "costs.json"

    def cell(self, key: str) -> Path:
        """Return where the record of a run is."""
        return self.path / "cells" / f"{key}.json"


@dataclass(frozen=True)
class StudyRecords:
    """All records of a study.

    Attributes:
        study: What was planned.
        cells: By key, those that are planned and there; under the names that their arms have now.
        costs: What arms cost; None where it was not measured.
        problems: What could not be read, a sentence each.
    """

    study: StudyRecord
    cells: Mapping[str, CellRecord]
    costs: CostRecord | None
    problems: tuple[str, ...]


def read_study(folder: StudyFolder) -> StudyRecords:
    """Return all records of a study; what is damaged is named and left out.

    Raises:
        DataError: If there is no study, or its plan is damaged.
    """
    if not folder.study.exists():
        remedy = "name the folder of a study, or begin one: attendet study run study.yaml"
        raise DataError("there is no study here", where=Location(str(folder.path)), remedy=remedy)
    study = read_record(folder.study, StudyRecord)
    cells: dict[str, CellRecord] = {}
    problems: list[str] = []
    for cell in study.cells:
        path = folder.cell(cell.key)
        if not path.exists():
            continue
        try:
            record = read_record(path, CellRecord)
        except DataError as error:
            problems.append(f"{cell.name}: {error}")
            continue
        if (record.key, record.seed, record.fraction) != (cell.key, cell.seed, cell.fraction):
            problems.append(f"{cell.name}: {path}: it is the record of another run")
            continue
        cells[cell.key] = record.model_copy(update={"arm": cell.arm})
    costs = None
    if folder.costs.exists():
        try:
            costs = read_record(folder.costs, CostRecord)
        except DataError as error:
            problems.append(str(error))
    return StudyRecords(study, cells, costs, tuple(problems))


def runs_of_arm(records: StudyRecords, name: str, fraction: float = 1.0) -> list[CellRecord]:
    """Return the finished runs of an arm with a share of the images."""
    return [
        record
        for record in records.cells.values()
        if record.arm == name and record.fraction == fraction and record.status == "finished"
    ]


def read_cell(folder: StudyFolder, key: str) -> CellRecord | None:
    """Return the record of a run, or None where it has to be run: there is none, another one's, or a damaged one."""
    try:
        record = read_record(folder.cell(key), CellRecord)
    except DataError:
        return None
    return record if record.key == key else None
