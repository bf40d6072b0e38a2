"""The runs of a study, each with a key that identifies a finished run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attendet.attention.catalog import attentions
from attendet.errors import OptionError
from attendet.models.attention_request import parse_request
from attendet.models.bundled import bundled_names, bundled_text
from attendet.models.yaml.lookup import find_bundled
from attendet.study.design.schema import StudyDesign
from attendet.training.config import TrainConfig, build_config
from attendet.utils.regular_files import open_regular
from attendet.weights.io.opening import resolve_weights_path

# These settings change the duration or the location of a run, or are hashed by content instead.
WITHOUT_EFFECT = ("data.path", "data.cache", "data.workers", "model.cfg", "model.weights", "model.attention")


@dataclass(frozen=True)
class Cell:
    """One run of a study's grid.

    Attributes:
        arm: Name of its arm.
        seed: Seed for all random number generators.
        fraction: Fraction of the training images, 0-1, before the arm's own fraction.
        key: Hash of everything that affects the result (see `run_grid`), 16 hexadecimal digits.
        identity: Hash of the arm: its model, weights, attention, and settings, including its own fraction of the
            images, 16 hexadecimal digits. It is the same for all data, seeds, and fractions of the study. Empty in
            plans of older versions.
    """

    arm: str
    seed: int
    fraction: float
    key: str
    identity: str = ""

    @property
    def name(self) -> str:
        """Name in folders and tables.

        Example:
            >>> Cell("cbam", 3, 0.25, "0").name, Cell("cbam", 3, 1.0, "0").name
            ('cbam-0.25-seed3', 'cbam-seed3')
        """
        part = "" if self.fraction == 1 else f"-{self.fraction:g}"
        return f"{self.arm}{part}-seed{self.seed}"


def run_grid(design: StudyDesign, data: str, folder: Path) -> list[Cell]:
    """Return the runs of a study in the order of seeds, so that the runs that finish first form pairs.

    A key is the SHA-256 of model, weights, attention, settings, data, seed, and fraction as canonical JSON. Only
    settings that differ from their defaults are included. Names, order, metric, and settings that affect only the time
    are excluded. So no finished run is repeated if an arm is renamed or another one is added, while a changed model
    file makes a new run.

    Args:
        design: The design of the study.
        data: Fingerprint of the training and validation images.
        folder: The folder of study.yaml, which relative paths of model files and weights start from.

    Raises:
        OptionError: If a model file or weights file is missing, or two arms are the same run.
    """
    arms = {name: _identity(design, name, folder) for name in design.arms}
    cells = [
        Cell(
            arm=name,
            seed=seed,
            fraction=fraction,
            key=_hash({**identity, "data": data, "seed": seed, "fraction": fraction}),
            identity=_hash(identity),
        )
        for fraction in sorted(design.fractions, reverse=True)
        for seed in design.seeds
        for name, identity in arms.items()
    ]
    seen: dict[str, Cell] = {}
    for cell in cells:
        if cell.key in seen:
            raise OptionError(
                f"arms must differ, got {cell.arm} equal to {seen[cell.key].arm}", remedy="remove one of them"
            )
        seen[cell.key] = cell
    return cells


def resolve_path(word: str, folder: Path) -> str:
    """Return the path relative to the folder of study.yaml if such a file exists, otherwise as written.

    Example:
        >>> resolve_path("yolov5n", Path("studies"))
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
        "settings": dict(_changed_settings(build_config(settings))),
    }


def _request(text: str) -> dict[str, Any]:
    request = parse_request(text)
    # A name, its aliases, and other spellings are the same attention.
    entry = attentions.get(request.attention)
    name = next(name for name in attentions.names() if attentions.get(name) is entry)
    return {"attention": name, "at": request.at, "options": request.options}


def _changed_settings(config: TrainConfig) -> Iterator[tuple[str, object]]:
    """Yield the settings that differ from their defaults."""
    plain = config.model_dump(mode="json")
    defaults = build_config({"data.path": ""}).model_dump(mode="json")
    for section, settings in plain.items():
        for name, value in settings.items():
            key = f"{section}.{name}"
            if value != defaults[section][name] and key not in WITHOUT_EFFECT and section != "output":
                yield key, value


def _content(word: str, folder: Path) -> str:
    path = Path(resolve_path(word, folder))
    bundled = find_bundled(str(path))
    if bundled is not None:
        return hashlib.sha256(bundled_text(bundled).encode()).hexdigest()
    with open_regular(resolve_weights_path(path), OptionError) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _hash(identity: dict[str, Any]) -> str:
    text = json.dumps(identity, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
