"""The head of a report: data, model, and training, and the answer in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from attendet.study.folder import StudyRecords
from attendet.study.records import CellRecord
from attendet.study.reporting.contrasts import Contrast
from attendet.study.reporting.explanations import signed, verdict_phrase
from attendet.training.config import build_config
from attendet.utils.text import plural

DECIDED = ("helps", "hurts", "helps considerably", "hurts considerably")


@dataclass(frozen=True)
class StudyHeader:
    """Data, model, and training of a study.

    Attributes:
        data: The data set as the design names it.
        images: Number of images by split.
        model: The base model as the design names it.
        weights: The weights that all arms start from; None for random initial weights.
        epochs: Number of epochs of the baseline.
        imgsz: Side of the images in pixels, of the baseline.
        recipe: Settings of all arms that differ from their defaults.
        seeds: Number of planned seeds.
        devices: Devices of the runs.
        versions: Versions of Python packages, of the first finished run.
        dates: Days of the first and the last run, ISO 8601; None if they are unknown.
        look: Number of this look at the results.
    """

    data: str
    images: Mapping[str, int]
    model: str
    weights: str | None
    epochs: int
    imgsz: int
    recipe: Mapping[str, object]
    seeds: int
    devices: tuple[str, ...]
    versions: Mapping[str, str]
    dates: tuple[str, str] | None
    look: int

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield names and values for a table."""
        images = ", ".join(f"{count:,} {split}" for split, count in self.images.items())
        yield "data", f"{self.data} ({images} images)" if images else self.data
        yield "model", f"{self.model}, {f'weights {self.weights}' if self.weights else 'random initial weights'}"
        others = [f"{key} {value}" for key, value in self.recipe.items()]
        yield "training", ", ".join([plural(self.epochs, "epoch"), f"{self.imgsz} pixels", *others])
        yield "seeds", str(self.seeds)
        yield "device", "; ".join(self.devices) or "unknown"
        yield "versions", ", ".join(f"{name} {version}" for name, version in self.versions.items()) or "unknown"
        if self.dates:
            first, last = self.dates
            yield "dates", first if first == last else f"{first} to {last}"
        yield "look", str(self.look)


def study_header(records: StudyRecords, look: int) -> StudyHeader:
    """Return the head of a report.

    Args:
        records: Records of the study.
        look: Number of this look at the results.
    """
    design = records.study.design
    runs = [record for record in records.cells.values() if record.status == "finished"]
    schedule = build_config(design.settings(design.baseline, design.seeds[0])).schedule
    shown = {key: value for key, value in design.recipe.items() if key not in ("schedule.epochs", "schedule.imgsz")}
    whole = next((run for run in runs if run.arm == design.baseline and run.fraction == 1), runs[0] if runs else None)
    return StudyHeader(
        data=design.data,
        images=dict(whole.images) if whole else {},
        model=design.model,
        weights=design.weights,
        epochs=schedule.epochs,
        imgsz=schedule.imgsz,
        recipe=shown,
        seeds=len(design.seeds),
        devices=tuple(sorted({run.device for run in runs if run.device})),
        versions=_versions(whole),
        dates=_dates(runs),
        look=look,
    )


def answer(contrasts: Sequence[Contrast], metric: str, matters: float | None) -> str:
    """Return the answer of a study in one line.

    Args:
        contrasts: Comparisons with the baseline.
        metric: Display name of the metric.
        matters: Smallest difference that matters.
    """
    asked = [each for each in contrasts if each.family == "baseline"]
    parts = [
        f"{each.arm} {verdict_phrase(each.verdict, matters)} ({signed(each.difference or 0.0)} {metric})"
        for each in asked
        if each.verdict in DECIDED
    ]
    same = [each.arm for each in asked if each.verdict == "no difference that matters"]
    failing = [each.arm for each in asked if each.verdict == "does not train"]
    rest = len(asked) - len(parts) - len(same) - len(failing)
    if same:
        everyone = len(same) == len(asked) > 1
        names = f"no arm makes a difference that matters, {matters:g} {metric}" if everyone else _listed(same)
        parts.append(names if everyone else f"{names} {_verb(same, 'make')} no difference that matters")
    if failing:
        parts.append(f"{_listed(failing)} {_verb(failing, 'do')} not train")
    if rest:
        others = plural(rest, "other arm", "other arms") if parts else "no arm"
        parts.append(f"{others} could {'not ' if parts else ''}be shown to help or to hurt")
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}." if text.startswith("no arm") else f"{text}."


def _verb(names: Sequence[str], verb: str) -> str:
    """Return a verb in the third person that fits the number of names."""
    if len(names) > 1:
        return verb
    return {"make": "makes", "do": "does"}[verb]


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _versions(run: CellRecord | None) -> dict[str, str]:
    names = ("attendet", "torch")
    return {name: run.versions[name] for name in names if name in run.versions} if run else {}


def _dates(runs: Sequence[CellRecord]) -> tuple[str, str] | None:
    days = sorted(run.ended[:10] for run in runs if run.ended)
    return (days[0], days[-1]) if days else None
