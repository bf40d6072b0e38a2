"""The fuzzer notices what it looks for: planted defects of every kind, and the same input for the same seed."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz import planted_defects
from tests.fuzz.kinds import Case
from tests.fuzz.mutations import mutate_bytes, mutate_value
from tests.fuzz.outcomes import Finding, Outcome
from tests.fuzz.registry import KINDS
from tests.fuzz.resource_limits import SECONDS_VARIABLE
from tests.fuzz.runner import examine

QUICK = [name for name, outcome in planted_defects.EXPECTED.items() if outcome != "over 10 s"]


def outcomes(names: list[str]) -> dict[str, str]:
    """Return the outcome of one input of each planted kind, all in one batch."""
    found = examine([Case(name, 0) for name in names], planted_defects.__name__)
    return {finding.case.kind: finding.outcome.value for finding in found}


def test_every_planted_defect_is_noticed_and_the_batch_continues() -> None:
    assert outcomes(QUICK) == {name: planted_defects.EXPECTED[name] for name in QUICK}


def test_a_hang_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECONDS_VARIABLE, "0.5")
    names = ["endless computing", "endless waiting", "a valid input"]
    assert outcomes(names) == {name: planted_defects.EXPECTED[name] for name in names}


@pytest.mark.parametrize("name", KINDS)
def test_the_same_seed_writes_the_same_input(name: str, tmp_path: Path) -> None:
    first, second = ([_content(Case(name, seed), tmp_path / run / str(seed)) for seed in range(5)] for run in "ab")
    assert first == second
    assert len(set(map(str, first))) > 1


def seeded_random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 (no secret)


def _content(case: Case, folder: Path) -> dict[str, bytes]:
    folder.mkdir(parents=True)
    case.write(KINDS[case.kind], folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@given(st.sampled_from(list(KINDS)), st.integers(0, 2**62))
@settings(max_examples=60)
def test_every_seed_writes_an_input(name: str, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Case(name, seed).write(KINDS[name], Path(folder))
        assert path.is_relative_to(folder)
        assert path.exists()


@given(st.binary(max_size=200), st.integers(0, 1000))
def test_changed_bytes_depend_on_the_seed_alone(content: bytes, seed: int) -> None:
    first, second = (mutate_bytes(seeded_random(seed), content) for _ in range(2))
    assert first == second


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_VALUES, st.integers(0, 1000))
@settings(max_examples=40)
def test_changed_values_are_copies_that_json_can_hold(value: object, seed: int) -> None:
    before = json.dumps(value)
    json.dumps(mutate_value(seeded_random(seed), value))
    assert json.dumps(value) == before


def test_a_finding_survives_its_line() -> None:
    finding = Finding(Case("pickle", 3), Outcome.EXECUTED, "os.system ('\udcff',)")
    assert Finding.from_line(finding.to_line()) == finding
    assert [outcome for outcome in Outcome if not outcome.is_defect] == [Outcome.ACCEPTED, Outcome.REFUSED]
