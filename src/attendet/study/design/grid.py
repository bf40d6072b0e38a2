"""The runs of a study: which there are, and the key by which a finished one is known again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.attention.catalog import attentions
from attendet.errors import Location, OptionError
from attendet.models.attention_request import parse_request
from attendet.models.bundled import bundled_names, bundled_text
from attendet.study.design.schema import StudyDesign
from attendet.training.config import TrainConfig, build_config
from attendet.training.run_folder import RunFolder

# They change how long a run takes, or where it lies, and not what it gives.
WITHOUT_EFFECT = ("data.path", "data.cache", "data.workers", "model.cfg", "model.weights", "model.attention")


@dataclass(frozen=True)
class Cell:
    """One run.

    Attributes:
        arm: Name of its arm.
        seed: Of everything random.
        fraction: Share of the training images, in 0-1.
        key: Hash of what matters (see `run_grid`), 16 hexadecimal digits.
    """

    arm: str
    seed: int
    fraction: float
    key: str

    @property
    def name(self) -> str:
        """Name for folders and tables.

        Example:
            >>> Cell("cbam", 3, 0.25, "0").name, Cell("cbam", 3, 1.0, "0").name
            ('cbam-0.25-seed3', 'cbam-seed3')
        """
        part = "" if self.fraction == 1 else f"-{self.fraction:g}"
        return f"{self.arm}{part}-seed{self.seed}"


def run_grid(design: StudyDesign, data: str, folder: Path) -> list[Cell]:
    """Return the runs of a study, seed by seed, so that whatever is finished first is paired.

    A key is the SHA-256 of model, weights, attention, settings, data, seed and fraction, as canonical JSON; of
    settings, those that differ from what they are unless set. Names, order, metric and whatever changes only the time
    are left out. So an arm may be renamed, and others added, and no finished run is repeated; while another content of
    a model file makes another run.

    Args:
        design: The study.
        data: Fingerprint of the training and validation images.
        folder: The folder of `study.yaml`, where relative paths of model files and weights begin.

    Raises:
        OptionError: If a model file or file of weights is not there, or two arms are the same run.
    """
    arms = {name: _identity(design, name, folder) for name in design.arms}
    cells = [
        Cell(name, seed, fraction, _key({**identity, "data": data, "seed": seed, "fraction": fraction}))
        for fraction in sorted(design.fractions, reverse=True)
        for seed in design.seeds
        for name, identity in arms.items()
    ]
    seen: dict[str, Cell] = {}
    for cell in cells:
        if cell.key in seen:
            raise OptionError(
                f"the arms {seen[cell.key].arm} and {cell.arm} are the same", remedy="leave one of them out"
            )
        seen[cell.key] = cell
    return cells


def located(word: str, folder: Path) -> str:
    """Return a path as it is to be opened: beside `study.yaml` where it is there, otherwise as written.

    Example:
        >>> located("yolov5n", Path("studies"))
        'yolov5n'
    """
    path = folder / word
    return str(path) if word not in bundled_names() and path.exists() else word


def _identity(design: StudyDesign, arm: str, folder: Path) -> dict[str, Any]:
    settings = design.settings(arm, seed=0)
    weights = settings["model.weights"]
    return {
        "model": _content(str(settings["model.cfg"]), folder),
        "weights": _content(str(weights), folder) if weights else None,
        "attention": [_request(text) for text in design.arms[arm].attention],
        "settings": dict(_told(build_config(settings))),
    }


def _request(text: str) -> dict[str, Any]:
    request = parse_request(text)
    # A name and its alias, or another spelling, are one attention.
    entry = attentions.get(request.attention)
    name = next(name for name in attentions.names() if attentions.get(name) is entry)
    return {"attention": name, "at": request.at, "options": request.options}


def _told(config: TrainConfig) -> Iterator[tuple[str, object]]:
    """Yield the settings that are not as they are unless set."""
    plain = config.model_dump(mode="json")
    usual = build_config({"data.path": ""}).model_dump(mode="json")
    for room, settings in plain.items():
        for name, value in settings.items():
            key = f"{room}.{name}"
            if value != usual[room][name] and key not in WITHOUT_EFFECT and room != "output":
                yield key, value


def _content(word: str, folder: Path) -> str:
    if word in bundled_names():
        return hashlib.sha256(bundled_text(word).encode()).hexdigest()
    path = Path(located(word, folder))
    path = RunFolder(path).best if path.is_dir() else path
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OptionError(f"the file cannot be read: {error.strerror}", where=Location(str(path))) from error


def _key(identity: dict[str, Any]) -> str:
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
