"""The best of a search → a study that asks whether they are any good."""

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
from attendet.study.statistics.power import min_seeds
from attendet.utils.io import write_text

SEEDS = 8
# Of features for which every attention can be made, whatever the groups it makes of them.
CHANNELS = 1024

HEAD = """\
# A draft, written by attendet study search. Read it, change it, then: attendet study plan, attendet study run.
#
# The search has trained {tried} candidates and kept {kept}. Its numbers are no evidence: each is of one run with seed
# {seed}, and the best of many is the best by luck too. So they are not repeated here, and the seeds below are others.
# They were picked by the validation images of this data, and fit these better than others, whatever the seed. If you
# have images that the search has not seen, let them be the validation images of the data that you name here.
"""


def draft_study(record: SearchRecord, places: Mapping[str, Any]) -> str:
    """Return the text of a `study.yaml`: the baseline, the best that came to their end, and a control for each.

    The control is `control-conv1x1:like=…` in the same place: as many parameters, and no attention. There is none
    beside an attention without parameters.

    Args:
        record: The search.
        places: Model, data and weights by the settings of a run, so that the draft works from any folder.
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
        "seeds": _seeds(len(arms) - 1, design.seed),
        "metric": design.metric,
        "last_epochs": design.last_epochs,
    }
    tried = sum(each.arm != BASELINE and each.state != "failed" for each in record.candidates)
    head = HEAD.format(tried=tried, kept=len(kept), seed=design.seed)
    alone = " and ".join(each.arm for each in kept if control_of(each) is None)
    note = f"# There is no control for {alone}: no parameters to match, or a control itself.\n" if alone else ""
    return head + note + "\n" + yaml.safe_dump(study, sort_keys=False, allow_unicode=True, width=120)


def write_draft(text: str, file: Path, trials: Trials) -> bool:
    """Write a draft, unless somebody has changed the one that is there; return whether it was written.

    Raises:
        OutputError: If it cannot be written.
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
    """Return what has as many parameters in the same place, or None beside a control, and where there are none.

    Example:
        >>> facts = dict(arm="a", state="finished", epochs=1, values={}, value=0.1, error=None, run="a")
        >>> control_of(Candidate(attention="cbam:reduction=8@before:SPPF", **facts))
        'control-conv1x1:like=cbam,reduction=8@before:SPPF'
        >>> control_of(Candidate(attention="simam@neck", **facts))
    """
    what, _, place = (candidate.attention or "").partition("@")
    name, colon, given = what.partition(":")
    with torch.device("meta"):
        made = create(name, CHANNELS, **parse_request(candidate.attention or "").options)
    if made.paper == NO_PAPER or next(made.parameters(), None) is None:
        return None
    return f"control-conv1x1:like={name}{',' if colon else ''}{given}@{place}"


def _seeds(comparisons: int, used: int) -> int | list[int]:
    """Return seeds that can decide, as short as it can be written, without the one that the search has used."""
    count = max(SEEDS, min_seeds(comparisons))
    return count if used >= count else [seed for seed in range(count + 1) if seed != used]
