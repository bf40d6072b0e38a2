"""The draft of a study that tests the best candidates of a search."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import yaml

from attendet.attention.catalog import create
from attendet.attention.controls import NO_PAPER
from attendet.models.attention_request import parse_request
from attendet.study.searching.search_design import BASELINE
from attendet.study.searching.search_records import Candidate, SearchRecord
from attendet.study.searching.trials import Trials
from attendet.utils.io import write_text

SEEDS = 8
# A number of channels that every attention module accepts, with any number of groups.
CHANNELS = 1024

DRAFT_HEADER = """\
# A draft, written by attendet study search. Read it, change it, then: attendet study plan, attendet study run.
#
# The search trained {tried} candidates and kept {kept}. Its scores are not evidence: each comes from one run with seed
# {seed}, and the best of many candidates is partly the luckiest. So the scores are not repeated here, and the seeds
# below are different. The candidates were selected on the validation images of this data set, and fit these images
# better than others with any seed. If you have images that the search did not use, validate on them.
"""


def draft_study(record: SearchRecord, places: Mapping[str, Any]) -> str:
    """Return the text of a study.yaml with the baseline, the best finished candidates, and a control for each.

    The control is `control-conv1x1:like=…` in the same place: as many parameters, without attention. Attention without
    parameters has no control.

    Args:
        record: The search.
        places: Settings of a run that name model, data, and weights by absolute paths, so that the draft works from any
            folder.
    """
    design = record.design
    kept = record.ranked()[: design.keep]
    arms = {BASELINE: None} | {name: arm for each in kept for name, arm in _arms(each)}
    study = {
        "name": f"{design.name[:30]}-confirmed",
        "model": places["model.cfg"],
        **({"weights": places["model.weights"]} if places["model.weights"] else {}),
        "data": places["data.path"],
        "recipe": dict(design.recipe),
        "arms": arms,
        "baseline": BASELINE,
        "seeds": _seeds(design.seed),
        "metric": design.metric,
        "last_epochs": design.last_epochs,
    }
    tried = sum(each.arm != BASELINE and each.state != "failed" for each in record.candidates)
    head = DRAFT_HEADER.format(tried=tried, kept=len(kept), seed=design.seed)
    uncontrolled = " and ".join(each.arm for each in kept if control_of(each) is None)
    note = (
        f"# {uncontrolled}: without a control, because it has no parameters or is itself a control.\n"
        if uncontrolled
        else ""
    )
    return head + note + "\n" + yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=120)


def write_draft(text: str, file: Path, trials: Trials) -> bool:
    """Write a draft unless the user has changed the existing one, and return whether it was written.

    Args:
        text: Text of the draft.
        file: Path of the draft.
        trials: Trials of the search; they store the digest of the last draft.

    Raises:
        OutputError: If the draft cannot be written.
    """
    if file.exists() and _digest(file.read_bytes()) != trials.recall("draft"):
        return False
    write_text(file, text)
    trials.keep("draft", _digest(text.encode()))
    return True


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _arms(candidate: Candidate) -> Iterator[tuple[str, dict[str, str] | str | None]]:
    control = control_of(candidate)
    if control is None:
        yield candidate.arm, candidate.attention
        return
    name = f"conv-{candidate.arm}"
    yield candidate.arm, {"attention": candidate.attention or "", "control": name}
    yield name, control


def control_of(candidate: Candidate) -> str | None:
    """Return the request of a control with as many parameters in the same place, or None if there is no control.

    Example:
        >>> fields = dict(arm="a", state="finished", epochs=1, values={}, value=0.1, error=None, run="a")
        >>> control_of(Candidate(attention="cbam:reduction=8@before:SPPF", **fields))
        'control-conv1x1:like=cbam,reduction=8@before:SPPF'
        >>> control_of(Candidate(attention="simam@neck", **fields))
    """
    attention, _, place = (candidate.attention or "").partition("@")
    name, colon, options = attention.partition(":")
    with torch.device("meta"):
        module = create(name, CHANNELS, **parse_request(candidate.attention or "").options)
    if module.paper == NO_PAPER or next(module.parameters(), None) is None:
        return None
    return f"control-conv1x1:like={name}{',' if colon else ''}{options}@{place}"


def _seeds(used: int) -> int | list[int]:
    """Return enough seeds for a verdict, without the seed of the search: a number if possible, otherwise a list."""
    return SEEDS if used >= SEEDS else [seed for seed in range(SEEDS + 1) if seed != used]
