"""Changes of a study's design after looking, and the runs that count although their arms were dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attendet.study.design.schema import METRIC_NAMES
from attendet.study.folder import StudyRecords
from attendet.study.ledger import Ledger, Look
from attendet.study.records import CellRecord
from attendet.study.reporting.run_scores import by_seed
from attendet.utils.text import plural

# Fields of a look whose changes are reported, with their names.
CHANGEABLE = {
    "metric": "metric",
    "last_epochs": "number of last epochs",
    "baseline": "baseline",
    "matters": "smallest difference that matters",
}


def dropped_arms(records: StudyRecords, ledger: Ledger) -> dict[str, dict[int, float]]:
    """Return the scores by seed of arms that have finished runs in the folder but are not in the design.

    An arm that kept its name but was changed counts as well. Arms that a new question has set aside do not.

    Args:
        records: Records of the study.
        ledger: Earlier looks at its results.
    """
    design = records.study.design
    runs: dict[str, list[CellRecord]] = {}
    for record in records.outside.values():
        if record.fraction == 1 and record.data in (None, records.study.data) and _is_an_arm(record, records):
            runs.setdefault(_outside_name(record), []).append(record)
    return {
        name: by_seed(each, design.metric, design.last_epochs)
        for name, each in runs.items()
        if name not in ledger.set_aside
    }


def _outside_name(record: CellRecord) -> str:
    """Return the name of an arm outside the design, which includes its identity if that is known."""
    return f"{record.arm} {record.identity}" if record.identity else record.arm


def _is_an_arm(record: CellRecord, records: StudyRecords) -> bool:
    """Return whether a run outside the plan is of another arm, not a dropped seed of an arm of the design."""
    identities = {cell.arm: cell.identity for cell in records.study.cells}
    if record.identity is None:
        return record.arm not in identities
    return record.identity not in identities.values()


def history_remarks(records: StudyRecords, ledger: Ledger, now: Look) -> Iterator[str]:
    """Yield the changes since the first look at a study, one sentence each, without the final period.

    Args:
        records: Records of the study.
        ledger: The looks before.
        now: The current look.
    """
    yield from _questions(ledger)
    if ledger.question:
        yield from _dropped(ledger, now)
        yield from _changes(ledger.question, now)
    yield from _outside(records, ledger, now)


def _questions(ledger: Ledger) -> Iterator[str]:
    for before in ledger.looks:
        if before.new_question and before.look > 1:
            names = dict.fromkeys(name.partition(" ")[0] for name in before.set_aside)
            aside = f": the runs of {', '.join(names)} do not count" if names else ""
            yield f"look {before.look} declared a new question about the same runs{aside}"


def _changes(question: Sequence[Look], now: Look) -> Iterator[str]:
    for field, name in CHANGEABLE.items():
        current = _shown(field, now)
        before = next((look for look in question if _shown(field, look) != current), None)
        if before is not None:
            yield f"the {name} was {_shown(field, before)} at look {before.look} and is {current} now"
    if any(before.data != now.data for before in question):
        yield "the images changed since the first look"
    added = [seed for seed in now.seeds if seed not in question[0].seeds]
    if added and not now.looks:
        yield (
            f"{plural(len(added), 'seed was', 'seeds were')} added after look {question[0].look}: with repeated looks,"
            " verdicts are wrong more often than stated; plan them as `looks`"
        )


def _shown(field: str, look: Look) -> str:
    return METRIC_NAMES[look.metric] if field == "metric" else str(getattr(look, field))


def _dropped_names(ledger: Ledger, now: Look) -> list[str]:
    """Return the names of the arms that earlier looks at the same question had and the current one has not."""
    before = {(name, identity): None for look in ledger.question for name, identity in look.arms.items()}
    return list(dict.fromkeys(name for name, identity in before if not _is_kept(name, identity, now.arms)))


def _dropped(ledger: Ledger, now: Look) -> Iterator[str]:
    question, gone = ledger.question, _dropped_names(ledger, now)
    if gone:
        yield f"{plural(len(gone), 'arm was', 'arms were')} dropped since look {question[0].look}: {', '.join(gone)}"
    seeds = sorted({seed for before in question for seed in before.seeds} - set(now.seeds))
    if seeds:
        listed = ", ".join(map(str, seeds))
        yield f"{plural(len(seeds), 'seed was', 'seeds were')} dropped since look {question[0].look}: {listed}"


def _is_kept(name: str, identity: str, arms: Mapping[str, str]) -> bool:
    """Return whether an arm is still in the design, perhaps with another name."""
    if identity and identity in arms.values():
        return True
    # Records of earlier versions do not contain identities.
    return name in arms and not (identity and arms[name])


def _outside(records: StudyRecords, ledger: Ledger, now: Look) -> Iterator[str]:
    counted = sorted({name.partition(" ")[0] for name in dropped_arms(records, ledger)})
    if records.outside:
        count = plural(len(records.outside), "finished run is", "finished runs are")
        verb = "counts" if len(counted) == 1 else "count"
        effect = f"; {', '.join(counted)} still {verb} for the adjustment" if counted else ""
        yield f"{count} not in this design{effect}"
    lost = [name for name in _dropped_names(ledger, now) if name not in (*counted, now.baseline)]
    if lost:
        yield f"the runs of {', '.join(lost)} were removed from the folder, so they cannot count for the adjustment"
