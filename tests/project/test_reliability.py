"""The table of docs/reliability.md: up to date, complete, and without a defect."""

import re
from pathlib import Path

import pytest

from tests.fuzz.kill_points import VERBS, examine_kills
from tests.fuzz.kinds import Case
from tests.fuzz.outcomes import Finding, Outcome
from tests.fuzz.registry import KINDS
from tests.fuzz.reliability_page import PAGE, RECORD, page
from tests.fuzz.tally import FuzzRecord, make_record


def test_the_table_is_up_to_date_and_has_every_kind() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run make fuzz"
    assert list(FuzzRecord.read(RECORD).counts) == [*KINDS, *VERBS], "run make fuzz"


def test_no_number_but_the_first_is_above_zero() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([\d,]+) \| (.+) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _, _ in rows] == [*KINDS, *VERBS, "**all**"]
    assert [name for name, tried, _ in rows if tried == "0"] == []
    assert {name: defects for name, _, defects in rows if set(defects.split(" | ")) != {"0"}} == {}


def test_the_machine_has_no_name() -> None:
    record = FuzzRecord.read(RECORD)
    assert re.fullmatch(r"Linux \w+, CPU", record.machine)
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", record.date)
    assert {"Python", "torch", "pillow", "av"} <= record.versions.keys()


def test_counts_equal_the_number_of_findings() -> None:
    outcomes = [Outcome.ACCEPTED, Outcome.REFUSED, Outcome.TRACEBACK, Outcome.LOST]
    findings = [Finding(Case("image", seed), outcome) for seed, outcome in enumerate(outcomes)]
    table = make_record(findings, ["image", "video"], 7, "Linux x86_64, CPU").table()
    assert "| image | 4 | 0 | 1 | 0 | 0 | 1 |" in table
    assert "| video | 0 | 0 | 0 | 0 | 0 | 0 |" in table
    assert "| **all** | 4 | 0 | 1 | 0 | 0 | 1 |" in table
    assert "seed 7, on Linux x86_64, CPU; Python 3." in table


@pytest.mark.slow
@pytest.mark.parametrize("name", VERBS)
def test_a_killed_command_loses_nothing(name: str, tmp_path: Path) -> None:
    found = list(examine_kills(name, lambda changes: [changes // 2, changes - 1], tmp_path))
    assert [str(finding) for finding in found if finding.outcome.is_defect] == []
    assert len(found) == 2
