"""One run of a study, as any process can carry it out: begun, taken up again, or only measured."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from attendet.errors import AttendetError, DataError, Location, WeightsError
from attendet.evaluation.validation import validate
from attendet.study.design.grid import Cell, located
from attendet.study.design.schema import StudyDesign
from attendet.study.records import LONGEST_ERROR
from attendet.training.config import TrainConfig, build_config
from attendet.training.preparation import read_images
from attendet.training.reporter import Reporter
from attendet.training.run_folder import RunFolder, RunRecord, read_run
from attendet.training.runner import resumed, train
from attendet.utils.io import write_json
from attendet.utils.text import shorten
from attendet.weights.io import opening


@dataclass(frozen=True)
class Job:
    """A run that is to be carried out.

    Attributes:
        cell: Which it is.
        settings: What training is told, by dotted key.
        folder: The run's folder; a run that has begun there is the same run.
    """

    cell: Cell
    settings: Mapping[str, Any]
    folder: Path

    @property
    def run(self) -> RunFolder:
        """The run's files."""
        return RunFolder(self.folder)

    @property
    def training_images(self) -> Path:
        """Metrics of the best weights on the training images."""
        return self.folder / "training_images.json"

    def to_json(self) -> str:
        """Return it as one line, for another process."""
        return json.dumps({"cell": asdict(self.cell), "settings": dict(self.settings), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return what `to_json` has written.

        Example:
            >>> job = Job(Cell("cbam", 0, 1.0, "0a"), {"data.path": "a.yaml"}, Path("runs/a"))
            >>> Job.from_json(job.to_json()) == job
            True
        """
        fields = json.loads(text)
        return cls(Cell(**fields["cell"]), fields["settings"], Path(fields["folder"]))


def make_job(cell: Cell, design: StudyDesign, base: Path, cells: Path) -> Job:
    """Return a cell's job.

    Args:
        cell: The run.
        design: Its study.
        base: The folder of `study.yaml`, where relative paths begin.
        cells: The folder of all runs.
    """
    settings = design.settings(cell.arm, cell.seed)
    for key in ("data.path", "model.cfg", "model.weights"):
        if settings[key]:
            place = located(str(settings[key]), base)
            # Absolute, for processes that work elsewhere; a bundled name is no file.
            settings[key] = str(Path(place).resolve()) if Path(place).exists() else place
    # The name is for people; the key is what a run is known by when its arm is changed and keeps its name.
    folder = (cells / f"{cell.name}-{cell.key}").resolve()
    output = {"output.project": str(folder.parent), "output.name": folder.name, "output.exist_ok": True}
    attention = list(design.arms[cell.arm].attention)
    return Job(cell, {**settings, "model.attention": attention, "data.fraction": cell.fraction, **output}, folder)


def perform(job: Job, reporter: Reporter) -> None:
    """Carry out a run, or what is left of it: training, then the measurement on its training images.

    Raises:
        AttendetError: If it cannot be carried out.
    """
    record = _begun(job.run)
    if record is None or not record.finished:
        job.training_images.unlink(missing_ok=True)
        _train(job, record, reporter)
    if not job.training_images.is_file():
        _measure(job, reporter)


def attempt(job: Job, reporter: Reporter) -> str | None:
    """Carry out a run as `perform` does, and return what went wrong, or None: one run that fails stops no other."""
    try:
        perform(job, reporter)
    except Exception as error:  # noqa: BLE001 - whatever one run has, the others go on
        return explain(error)
    return None


def explain(error: BaseException) -> str:
    """Return an error for a record; one that is not ours with its kind and place, for it is a fault of ours.

    What is too long for a record is cut.

    Example:
        >>> explain(WeightsError("they do not fit")), explain(KeyError("a"))
        ('they do not fit', "KeyError: 'a'")
    """
    if isinstance(error, AttendetError):
        return shorten(str(error), LONGEST_ERROR)
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    place = place if "<doctest" not in place else ""
    return shorten(f"{type(error).__name__}: {error}", LONGEST_ERROR - len(place)) + place


def _begun(run: RunFolder) -> RunRecord | None:
    with contextlib.suppress(DataError):
        return read_run(run)
    return None


def _train(job: Job, record: RunRecord | None, reporter: Reporter) -> None:
    if record is not None and job.run.checkpoint.is_file():
        try:
            train(resumed(job.run), reporter, resume=job.run)
        except WeightsError as error:
            reporter.say(f"{error}; the run begins anew")
        else:
            return
    train(build_config(job.settings), reporter)


def _measure(job: Job, reporter: Reporter) -> None:
    record, run = read_run(job.run), job.run
    try:
        config = TrainConfig.model_validate(record.configuration)
    except ValidationError as error:
        raise DataError(
            "its configuration is not of this version", where=Location(str(run.record)), remedy="remove the folder"
        ) from error
    detector = opening.open(run.weights).detector
    measured = validate(
        detector,
        read_images(config, "train", reporter),
        config.schedule.imgsz,
        config.validation,
        batch_size=config.schedule.batch_size,
        device=record.computed_on,
        progress=lambda done, total: reporter.scanned("measuring training images", done, total),
    )
    write_json(job.training_images, measured.metrics.to_dict(), indent=None)
