"""Train a detector with one call."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.errors import OptionError
from attendet.training.config import build_config
from attendet.training.reporter import NullReporter, Reporter
from attendet.training.run_folder import RunFolder, RunRecord
from attendet.training.runner import config_to_resume
from attendet.training.runner import train as run_training
from attendet.utils.html import html_table

SUMMARY = ("map50", "map50_95", "precision", "recall")


@dataclass(frozen=True)
class TrainingResult:
    """A finished training run.

    Attributes:
        folder: The run's folder.
        record: Everything that decided the run, and its metrics; the content of `run.json`.
    """

    folder: Path
    record: RunRecord

    @property
    def weights(self) -> Path:
        """Path of the best weights, or of the last ones if no epoch was validated."""
        return RunFolder(self.folder).weights

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Metrics of the best weights on the validation images, as in `run.json`; empty if they were not measured."""
        return self.record.metrics or {}

    def to_dict(self) -> dict[str, Any]:
        """Return folder, weights, and record as plain values, ready for JSON."""
        return {
            "folder": str(self.folder),
            "weights": str(self.weights),
            "record": self.record.model_dump(mode="json"),
        }

    def __repr__(self) -> str:
        """Show where the run is and how good its weights are."""
        scores = ", ".join(f"{name}={self.metrics[name]:.3f}" for name in SUMMARY if self.metrics.get(name) is not None)
        return f"TrainingResult({str(self.folder)!r}{', ' if scores else ''}{scores})"

    def _repr_html_(self) -> str:
        scores = {name: self.metrics.get(name) for name in SUMMARY}
        rows = [(name, "-" if value is None else f"{value:.3f}") for name, value in scores.items()]
        return html_table(("metric", "value"), [*rows, ("weights", str(self.weights))])


def train(
    data: str | os.PathLike[str] | None = None,
    cfg: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    attention: str | Sequence[str] = (),
    epochs: int | None = None,
    imgsz: int | None = None,
    batch_size: int | None = None,
    device: str | None = None,
    seed: int | None = None,
    out: str | os.PathLike[str] | None = None,
    exist_ok: bool = False,
    resume: str | os.PathLike[str] | None = None,
    settings: Mapping[str, object] | None = None,
    reporter: Reporter | None = None,
) -> TrainingResult:
    """Train a detector on a data set, validate it, and draw its pictures: `attendet train` as a function.

    Args:
        data: A data.yaml, a folder, or a COCO JSON. Required unless `resume` is given.
        cfg: A model file, or a bundled name such as `yolov5s_CBAM` (default: the model of `weights`).
        weights: Weights to start from: a run's folder, a `.safetensors` file, or a YOLO `.pt` checkpoint.
        attention: Attention to attach, such as `cbam@neck` or `["cbam@before:SPPF", "se:reduction=8@neck"]`.
        epochs: Passes over the training images (default: 300).
        imgsz: Side of the square training images in pixels (default: 640).
        batch_size: Images per step, over all processes (default: 16).
        device: `auto`, `cpu`, `cuda`, or numbers of GPUs such as `0` or `0,1` (default: `auto`).
        seed: Seed for all random number generators (default: 0).
        out: Folder of the run (default: `runs/train/exp`, numbered if it exists).
        exist_ok: Replace a run that is in `out` already.
        resume: Folder of an interrupted run to continue with its own settings; excludes all other arguments except
            `data`, the same data set in another place.
        settings: Every other setting by its dotted key, such as `{"optimizer.lr0": 0.002}`; see docs/training.md.
        reporter: Receives progress and log lines (default: silent).

    Returns:
        The run's folder, weights, metrics, and record.

    Raises:
        OptionError: If a setting does not exist or has an invalid value, or `resume` is combined with others.
        AttendetError: If the data set, model file, or weights cannot be used, or the run cannot continue.

    Example:
        >>> import attendet
        >>> attendet.train("data.yaml", "yolov5n", epochs=0)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `schedule.epochs` must be greater than or equal to 1, got 0
    """
    given = {
        "data.path": None if data is None else os.fspath(data),
        "model.cfg": None if cfg is None else os.fspath(cfg),
        "model.weights": None if weights is None else os.fspath(weights),
        "model.attention": attention or None,
        "schedule.epochs": epochs,
        "schedule.imgsz": imgsz,
        "schedule.batch_size": batch_size,
        "schedule.seed": seed,
        "hardware.device": device,
        **_output(out, exist_ok=exist_ok),
    }
    values = {key: value for key, value in given.items() if value is not None} | dict(settings or {})
    reporter = reporter or NullReporter()
    if resume is not None:
        moved = values.pop("data.path", None)
        if values:
            raise OptionError(
                f"`resume` must be the only argument except `data`, got {', '.join(sorted(values))}",
                remedy="a resumed run continues with its own settings",
            )
        folder = RunFolder(Path(resume))
        config = config_to_resume(folder, None if moved is None else str(moved))
        finished, record = run_training(config, reporter, resume=folder)
    else:
        if "data.path" not in values:
            raise OptionError("`data` must name a data set, got None", remedy="pass a data.yaml")
        finished, record = run_training(build_config(values), reporter)
    return TrainingResult(finished.path, record)


def _output(out: str | os.PathLike[str] | None, *, exist_ok: bool) -> dict[str, object]:
    """Return the settings that place a run in a folder."""
    if out is None:
        return {"output.exist_ok": True} if exist_ok else {}
    folder = Path(out)
    return {"output.project": str(folder.parent), "output.name": folder.name, "output.exist_ok": exist_ok or None}
