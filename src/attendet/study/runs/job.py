"""One run of a study as a job that any process can start, resume, or finish."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from attendet.data.records import Split
from attendet.errors import AttendetError, DataError, DivergenceError, Location, WeightsError
from attendet.evaluation.validation import Validation, validate
from attendet.study.design.grid import Cell, resolve_path
from attendet.study.design.schema import StudyDesign
from attendet.study.image_records import read_image_matches, write_image_matches
from attendet.study.records import MAX_ERROR_LENGTH
from attendet.study.runs.image_matching import collect_matches
from attendet.training.config import TrainConfig, build_config
from attendet.training.preparation import read_run_split
from attendet.training.reporter import Reporter
from attendet.training.run_folder import RunFolder, RunRecord, read_run
from attendet.training.runner import config_to_resume, train
from attendet.utils.io import write_json
from attendet.utils.text import shorten
from attendet.weights.io import opening


@dataclass(frozen=True)
class RunFailure:
    """Why a run did not finish.

    Attributes:
        message: Error message for a record.
        diverged: True if loss or weights became infinite or NaN, which is an outcome of the run; False for an error of
            the machine or of the user.
    """

    message: str
    diverged: bool = False

    def to_json(self) -> str:
        """Return the failure as one line of JSON for another process."""
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> RunFailure:
        """Return the failure that `to_json` has written.

        Raises:
            ValueError: If the text is something else.

        Example:
            >>> failure = RunFailure("the loss is nan in epoch 2, batch 5", diverged=True)
            >>> RunFailure.from_json(failure.to_json()) == failure
            True
        """
        fields = json.loads(text)
        if not isinstance(fields, dict) or fields.keys() != {"message", "diverged"}:
            raise ValueError("not the failure of a run")
        return cls(str(fields["message"]), bool(fields["diverged"]))


@dataclass(frozen=True)
class Job:
    """A run to carry out.

    Attributes:
        cell: The run in the study's grid.
        settings: Training settings by dotted key.
        folder: Folder of the run. A run that was started there is resumed.
    """

    cell: Cell
    settings: Mapping[str, Any]
    folder: Path

    @property
    def run(self) -> RunFolder:
        """Files of the run."""
        return RunFolder(self.folder)

    @property
    def training_images(self) -> Path:
        """Path of the metrics of the best weights on the training images."""
        return self.folder / "training_images.json"

    @property
    def image_matches(self) -> Path:
        """Path of the detections of the best weights on each validation image."""
        return self.folder / "image_matches.npz"

    def to_json(self) -> str:
        """Return the job as one line of JSON for another process."""
        return json.dumps({"cell": asdict(self.cell), "settings": dict(self.settings), "folder": str(self.folder)})

    @classmethod
    def from_json(cls, text: str) -> Job:
        """Return the job that `to_json` has written.

        Example:
            >>> job = Job(Cell("cbam", 0, 1.0, "0a"), {"data.path": "a.yaml"}, Path("runs/a"))
            >>> Job.from_json(job.to_json()) == job
            True
        """
        fields = json.loads(text)
        return cls(Cell(**fields["cell"]), fields["settings"], Path(fields["folder"]))


def make_job(cell: Cell, design: StudyDesign, base: Path, cells: Path) -> Job:
    """Return the job of a run.

    Args:
        cell: The run in the study's grid.
        design: The design of the study.
        base: The folder of study.yaml, which relative paths start from.
        cells: The folder of all runs.
    """
    settings = design.settings(cell.arm, cell.seed)
    for key in ("data.path", "model.cfg", "model.weights"):
        if settings[key]:
            place = resolve_path(str(settings[key]), base)
            # Absolute, because other processes may have another working directory. Bundled names stay as they are.
            settings[key] = str(Path(place).resolve()) if Path(place).exists() else place
    # The name is for readers; the key distinguishes runs if an arm is changed and keeps its name.
    folder = (cells / f"{cell.name}-{cell.key}").resolve()
    output = {"output.project": str(folder.parent), "output.name": folder.name, "output.exist_ok": True}
    attention, share = list(design.arms[cell.arm].attention), cell.fraction * design.arms[cell.arm].share
    return Job(cell, {**settings, "model.attention": attention, "data.fraction": share, **output}, folder)


def run_job(job: Job, reporter: Reporter) -> None:
    """Carry out the remaining part of a run: training, then validation on its training images and image by image.

    Args:
        job: The job.
        reporter: Receives progress and log lines.

    Raises:
        AttendetError: If the run fails.
    """
    record = _existing_record(job.run)
    if record is None or not record.finished:
        job.training_images.unlink(missing_ok=True)
        job.image_matches.unlink(missing_ok=True)
        _train(job, record, reporter)
    if not job.training_images.is_file():
        validation, _ = _validate(job, "train", reporter)
        write_json(job.training_images, validation.metrics.to_dict(), indent=None)
    if not _has_image_matches(job):
        write_image_matches(job.image_matches, collect_matches(*_validate(job, "val", reporter)))


def try_job(job: Job, reporter: Reporter) -> RunFailure | None:
    """Carry out a run like `run_job`, and return its failure or None, so that other runs can continue."""
    try:
        run_job(job, reporter)
    except Exception as error:  # noqa: BLE001 - no error of one run may stop the others
        return RunFailure(describe_error(error), isinstance(error, DivergenceError))
    return None


def describe_error(error: BaseException) -> str:
    """Return an error message for a record, shortened to its limit.

    An unexpected exception is a defect of attendet, so its type, file, and line are included.

    Args:
        error: The exception.

    Example:
        >>> describe_error(WeightsError("they do not fit")), describe_error(KeyError("a"))
        ('they do not fit', "KeyError: 'a'")
    """
    if isinstance(error, AttendetError):
        return shorten(str(error), MAX_ERROR_LENGTH)
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f" ({Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno})"
        trace = trace.tb_next
    place = place if "<doctest" not in place else ""
    return shorten(f"{type(error).__name__}: {error}", MAX_ERROR_LENGTH - len(place)) + place


def _existing_record(run: RunFolder) -> RunRecord | None:
    with contextlib.suppress(DataError):
        return read_run(run)
    return None


def _train(job: Job, record: RunRecord | None, reporter: Reporter) -> None:
    if record is not None and job.run.checkpoint.is_file():
        try:
            train(config_to_resume(job.run), reporter, resume=job.run)
        except WeightsError as error:
            reporter.log(f"{error}; the run starts again")
        else:
            return
    train(build_config(job.settings), reporter)


def _has_image_matches(job: Job) -> bool:
    try:
        read_image_matches(job.image_matches)
    except DataError:
        return False
    return True


def _validate(job: Job, name: Literal["train", "val"], reporter: Reporter) -> tuple[Validation, Split]:
    """Validate the best weights of a finished run on a split, and return the result and the split."""
    record, run = read_run(job.run), job.run
    try:
        config = TrainConfig.model_validate(record.configuration)
    except ValidationError as error:
        raise DataError(
            "the configuration was written by another version",
            where=Location(str(run.record)),
            remedy="remove the folder",
        ) from error
    split = read_run_split(config, name, reporter)
    images = {"train": "training", "val": "validation"}[name]
    validation = validate(
        opening.open(run.weights).detector,
        split,
        config.schedule.imgsz,
        config.validation,
        batch_size=config.schedule.batch_size,
        device=record.computed_on,
        progress=lambda done, total: reporter.on_data_progress(f"validating on {images} images", done, total),
    )
    return validation, split
