"""`attendet study search`, with real runs."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from tests.helpers.small_studies import write_search


def test_a_search_lists_its_candidates_and_drafts_a_study(
    studied: Callable[[str], tuple[int, str, str]], tmp_path: Path
) -> None:
    write_search(tmp_path, "{attention: eca, at: [after:Conv, nowhere]}", trials=9, epochs=1)
    code, out, log = studied("search search.yaml")
    assert code == 0
    assert "baseline finished, mAP50-95 0." in log
    assert "eca-nowhere failed: nowhere matches nothing" in log
    assert re.search(r"eca@after:Conv +1/1 +0\.\d{3} +finished", out)
    assert re.search(r"eca@nowhere +0/1 +· +failed", out)
    assert "the search space is exhausted: 2 candidates" in out
    assert "These scores are not evidence" in out
    assert "then run attendet study plan runs/search/tiny/study.yaml" in out
    code, out, _ = studied("plan runs/search/tiny/study.yaml --no-measure")
    assert code == 0
    assert "3 arms × 8 seeds: 24 runs" in out
    code, out, _ = studied("search search.yaml --json")
    assert code == 0
    states = {each["arm"]: each["state"] for each in json.loads(out)["candidates"]}
    assert states == {"baseline": "finished", "eca-after-Conv": "finished", "eca-nowhere": "failed"}
    write_search(tmp_path, "{attention: eca, at: nowhere}", trials=1, epochs=1)
    code, _, error = studied("search search.yaml --out other/tiny")
    assert code == 2
    assert error.count("\n") == 3
    assert "attendet: none of 1 candidates finished; eca-nowhere: nowhere matches nothing" in error
