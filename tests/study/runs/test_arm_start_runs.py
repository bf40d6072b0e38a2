"""A real study whose arms see different fractions of the images and start from different weights."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.study.folder import read_study
from attendet.study.runs.execution import Study, run_study
from attendet.study.runs.executors import LocalExecutor
from attendet.study.runs.pairing_checks import find_unpaired
from attendet.training.run_folder import read_run
from tests.helpers.small_studies import RecordingObserver, open_study, write_small
from tests.helpers.small_training import skip_plots

ARMS = """
  plain:
  gated: se:reduction=2@after:Conv
  half: {fraction: 0.5}
  half-gated: {attention: "se:reduction=2@after:Conv", fraction: 0.5}
  scratch: {weights: scratch}
"""


@pytest.fixture(scope="module", autouse=True)
def _undrawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A study that starts from the weights of a run of another study."""
    first = open_study(write_small(tmp_path_factory.mktemp("first"), "{a: , b: se:reduction=2@after:Conv}"))
    run_study(first, LocalExecutor(), RecordingObserver(), limit=1)
    weights = first.job(first.cells()[1][0]).run.weights
    study = open_study(write_small(tmp_path_factory.mktemp("study"), ARMS, more=f"weights: {weights}\n"))
    assert run_study(study, LocalExecutor(), RecordingObserver()).failed == ()
    return study


def test_arms_see_their_fraction_of_the_images_and_are_pairs(ran: Study) -> None:
    records = {record.arm: record for record in read_study(ran.folder).cells.values()}
    seen = {name: record.images["train"] for name, record in records.items()}
    assert seen == {"plain": 8, "gated": 8, "half": 4, "half-gated": 4, "scratch": 8}
    assert {record.images["val"] for record in records.values()} == {4}
    assert records["half"].order == records["half-gated"].order != records["plain"].order
    assert records["plain"].order == records["gated"].order == records["scratch"].order
    assert {record.fraction for record in records.values()} == {1}


def test_an_arm_from_scratch_starts_from_other_weights(ran: Study) -> None:
    records = {record.arm: record for record in read_study(ran.folder).cells.values()}
    plain, scratch = records["plain"].initialization, records["scratch"].initialization
    assert plain.keys() == scratch.keys()
    assert all(plain[layer] != scratch[layer] for layer in plain if layer.endswith("conv"))
    assert records["half"].initialization == plain
    runs = {cell.arm: read_run(ran.job(cell).run) for cell in ran.cells()[1]}
    assert runs["scratch"].configuration["model"]["weights"] is None
    assert runs["plain"].configuration["model"]["weights"] is not None


def test_records_identify_the_arm_and_the_images(ran: Study) -> None:
    study = read_study(ran.folder).study
    records = read_study(ran.folder).cells
    assert {record.data for record in records.values()} == {study.data}
    assert {cell.key: cell.identity for cell in study.cells} == {key: each.identity for key, each in records.items()}
    assert len({record.identity for record in records.values()}) == 5


def test_other_images_are_refused_among_arms_of_one_fraction(ran: Study) -> None:
    records = read_study(ran.folder).cells.values()
    changed = [each.model_copy(update={"order": "x"}) if each.arm == "half-gated" else each for each in records]
    (reason,) = find_unpaired(changed, ran.design).values()
    assert "it saw other images than half with seed 0" in reason


def test_a_baseline_with_a_fraction_does_not_change_the_images_of_the_study(tmp_path: Path) -> None:
    both = "{a: , b: {fraction: 0.5}}"
    whole = open_study(write_small(tmp_path / "whole", both))
    half = open_study(write_small(tmp_path / "half", both, more="baseline: b\n"))
    assert [cell.key for cell in whole.cells()[1]] == [cell.key for cell in half.cells()[1]]
