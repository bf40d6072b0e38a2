"""Paths of a study's files, and reading its records."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attendet.errors import DataError, Location
from attendet.study.image_records import ImageMatches, read_image_matches
from attendet.study.records import CellRecord, CostRecord, StudyRecord
from attendet.utils.records import read_record


@dataclass(frozen=True)
class StudyFolder:
    """Paths of the files of a study.

    Example:
        >>> StudyFolder(Path("runs/study/first")).cell("0a1b").as_posix()
        'runs/study/first/cells/0a1b.json'
    """

    path: Path

    @property
    def study(self) -> Path:
        """Record of the plan."""
        return self.path / "study.json"

    @property
    def costs(self) -> Path:
        """Record of the costs."""
        return self.path / "costs.json"

    @property
    def ledger(self) -> Path:
        """All looks at the results."""
        return self.path / "ledger.jsonl"

    def cell(self, key: str) -> Path:
        """Return the path of the record of a run."""
        return self.path / "cells" / f"{key}.json"

    def image_matches(self, key: str) -> Path:
        """Return the path of the detections of a run on each validation image."""
        return self.path / "cells" / f"{key}.npz"


@dataclass(frozen=True)
class StudyRecords:
    """All records of a study.

    Attributes:
        study: The plan.
        cells: Records of planned runs by key, with the current names of their arms.
        costs: Costs of the arms; None if they were not measured.
        outside: Records of finished runs in the folder that are not in the plan, by key.
        problems: Records that could not be read, one sentence each.
        image_matches: Detections of finished runs on each validation image, by key; older studies lack them.
    """

    study: StudyRecord
    cells: Mapping[str, CellRecord]
    costs: CostRecord | None
    problems: tuple[str, ...]
    outside: Mapping[str, CellRecord] = field(default_factory=dict)
    image_matches: Mapping[str, ImageMatches] = field(default_factory=dict)


def read_study(folder: StudyFolder) -> StudyRecords:
    """Return all records of a study. Damaged records are listed in `problems` and left out.

    Raises:
        DataError: If the folder holds no study, or the record of its plan is damaged.
    """
    if not folder.study.exists():
        remedy = "name the folder of a study, or start one: attendet study run study.yaml"
        raise DataError("no study found", where=Location(str(folder.path)), remedy=remedy)
    study = read_record(folder.study, StudyRecord)
    cells: dict[str, CellRecord] = {}
    image_matches: dict[str, ImageMatches] = {}
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
            problems.append(f"{cell.name}: {path}: this is the record of another run")
            continue
        cells[cell.key] = record.model_copy(update={"arm": cell.arm})
        found = folder.image_matches(cell.key)
        if record.status == "finished" and found.exists():
            try:
                image_matches[cell.key] = read_image_matches(found)
            except DataError as error:
                problems.append(f"{cell.name}: {error}")
    costs = None
    if folder.costs.exists():
        try:
            costs = read_record(folder.costs, CostRecord)
        except DataError as error:
            problems.append(str(error))
    return StudyRecords(
        study, cells, costs, tuple(problems), _outside(folder, {cell.key for cell in study.cells}), image_matches
    )


def _outside(folder: StudyFolder, planned: Collection[str]) -> dict[str, CellRecord]:
    """Return the records of finished runs that are not in the plan: of arms, seeds, or settings of earlier designs."""
    paths = sorted(folder.cell("*").parent.glob("*.json"))
    records = {path.stem: read_cell(folder, path.stem) for path in paths if path.stem not in planned}
    return {key: record for key, record in records.items() if record is not None and record.status == "finished"}


def runs_of_arm(records: StudyRecords, name: str, fraction: float = 1.0) -> list[CellRecord]:
    """Return the finished runs of an arm for one fraction of the images."""
    return [
        record
        for record in records.cells.values()
        if record.arm == name and record.fraction == fraction and record.status == "finished"
    ]


def read_cell(folder: StudyFolder, key: str) -> CellRecord | None:
    """Return the record of a run, or None if it is missing, damaged, or the record of another run."""
    try:
        record = read_record(folder.cell(key), CellRecord)
    except DataError:
        return None
    return record if record.key == key else None
