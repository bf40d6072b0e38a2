"""Runs and studies that are killed at any change of a file, resumed, and compared with uninterrupted ones."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from attendet.study.folder import StudyFolder, read_study
from attendet.training.run_folder import RunFolder
from tests.fuzz.kinds import Case
from tests.fuzz.outcomes import Finding, Outcome
from tests.fuzz.runner import ROOT
from tests.helpers.small_studies import write_small
from tests.helpers.small_training import MODEL, rows_of, write_set


@dataclass(frozen=True)
class KilledVerb:
    """A command that is killed and resumed.

    Attributes:
        start: Returns the arguments of the command, for a folder with its inputs and a folder of its results.
        resume: Returns the arguments that resume it.
        result: Returns the values that must be equal, bit for bit, at the end.
        kept: Returns the number of finished parts (epochs, or runs) after the kill.
    """

    start: Callable[[Path, Path], list[str]]
    resume: Callable[[Path, Path], list[str]]
    result: Callable[[Path], object]
    kept: Callable[[Path], int]


def examine_kills(name: str, choose: Callable[[int], Iterable[int]], folder: Path) -> Iterator[Finding]:
    """Kill a command before some of its changes of files, and yield whether resuming it loses anything.

    Args:
        name: A key of `VERBS`.
        choose: Returns the numbers of the changes, from 1 to the number that it is called with.
        folder: An empty folder.

    Raises:
        RuntimeError: If the command fails without a kill.
    """
    verb, inputs, whole = VERBS[name], folder / "inputs", folder / "whole"
    inputs.mkdir()
    _write_inputs(inputs)
    finished = _run(whole, 0, verb.start(inputs, whole))
    if finished.returncode != 0:
        raise RuntimeError(f"{name} failed without a kill:\n{finished.stderr[-2000:]}")
    changes, expected = int(finished.stdout.split()[-1]), verb.result(whole)
    for last in choose(changes):
        detail = _lost(verb, inputs, folder / f"killed-{last}", last, expected)
        yield Finding(Case(name, last), Outcome.LOST if detail else Outcome.ACCEPTED, detail)


def _lost(verb: KilledVerb, inputs: Path, results: Path, last: int, expected: object) -> str:
    """Return the loss of a killed and resumed command, or an empty text."""
    killed = _run(results, last, verb.start(inputs, results))
    if killed.returncode != -signal.SIGKILL:
        return f"it ended with {killed.returncode} instead of being killed: {killed.stderr[-500:]}"
    resumed = _run(results, 0, verb.resume(inputs, results))
    if resumed.returncode == 2 and verb.kept(results) == 0:
        # It was killed before there was anything to resume.
        resumed = _run(results, 0, verb.start(inputs, results))
    if resumed.returncode != 0:
        return f"resuming it ended with {resumed.returncode}: {resumed.stderr[-500:]}"
    return "" if verb.result(results) == expected else "the resumed run differs from the uninterrupted one"


def _run(results: Path, last: int, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.killed_command", str(results), str(last), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 (our own)


def _write_inputs(folder: Path) -> None:
    write_set(folder / "set")
    (folder / "small.yaml").write_text(MODEL)
    write_small(folder, "{a: , b: se:reduction=2@after:Conv}", epochs=2)


def _train(inputs: Path, results: Path) -> list[str]:
    files = ["--data", str(inputs / "set" / "data.yaml"), "--cfg", str(inputs / "small.yaml")]
    sizes = ("--imgsz", "64", "--epochs", "3", "--batch-size", "4", "--workers", "0", "--device", "cpu")
    return ["train", *files, *sizes, "--set", "augment.mixup=0.2", "--out", str(results), "--exist-ok"]


def _resume_training(inputs: Path, results: Path) -> list[str]:  # noqa: ARG001 (one signature for all)
    return ["train", "--resume", str(results)]


def _run_study(inputs: Path, results: Path) -> list[str]:
    return ["study", "run", str(inputs / "study.yaml"), "--out", str(results)]


def _trained(results: Path) -> object:
    """Return the rows of the results, and the bits of the weights."""
    folder = RunFolder(results)
    weights = [load_file(path) for path in (folder.last, folder.best)]
    bits = [{key: value.view(torch.uint8).tolist() for key, value in each.items() if value.dim()} for each in weights]
    return rows_of(folder), bits


def _studied(results: Path) -> object:
    """Return the numbers of all records of the study."""
    cells = read_study(StudyFolder(results)).cells
    return {
        key: (cell.status, _without_seconds(cell.history), cell.best, cell.initialization, cell.order)
        for key, cell in cells.items()
    }


def _without_seconds(history: Mapping[str, list[float | None]]) -> dict[str, list[float | None]]:
    return {column: values for column, values in history.items() if column != "seconds"}


def _finished_epochs(results: Path) -> int:
    folder = RunFolder(results)
    return len(rows_of(folder)) if folder.results.is_file() else 0


def _finished_runs(results: Path) -> int:
    return len(list(results.glob("cells/*.json")))


VERBS: Mapping[str, KilledVerb] = {
    "kill -9 of train": KilledVerb(_train, _resume_training, _trained, _finished_epochs),
    "kill -9 of study run": KilledVerb(_run_study, _run_study, _studied, _finished_runs),
}
"""The commands that are killed."""
