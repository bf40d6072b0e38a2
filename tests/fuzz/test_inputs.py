"""Some hostile inputs of each kind: nothing runs, hangs, grows, crashes, or ends in a traceback."""

from __future__ import annotations

from collections import Counter

from tests.fuzz.kinds import Case
from tests.fuzz.registry import KINDS
from tests.fuzz.runner import examine


def test_no_input_breaks_a_promise() -> None:
    cases = [Case(name, seed) for name, kind in KINDS.items() for seed in range(kind.inputs)]
    findings = list(examine(cases))
    assert [str(finding) for finding in findings if finding.outcome.is_defect] == []
    # The inputs are neither all refused at the door nor all harmless. Every pickled object runs something, and the data
    # set with odd names has one good image.
    outcomes = Counter((finding.case.kind, finding.outcome.value) for finding in findings)
    refused_only = [name for name in KINDS if not outcomes[name, "accepted"]]
    assert refused_only == ["pickled object"]
    assert [name for name in KINDS if not outcomes[name, "refused"]] == ["odd file names"]
