"""Replace training in searches."""

from collections.abc import Callable

import pytest

from attendet.study.searching import search_run
from tests.helpers.small_studies import FakeTrainer
from tests.study.searching.pretended_runs import Pretend, chance


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Pretend:
    def start(score: Callable[[str, int], float] = chance, epochs: int = 4) -> FakeTrainer:
        runs = FakeTrainer(score, epochs)
        monkeypatch.setattr(search_run, "run_job", runs.perform)
        return runs

    return start
