"""Runs of a study: paired or refused, never repeated, and independent of failures of other runs."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attendet.errors import OptionError, WeightsError
from attendet.study.folder import StudyFolder, read_study
from attendet.study.reporting.publishing import publish_report
from attendet.study.runs import execution
from attendet.study.runs.execution import Study, run_study
from attendet.study.runs.executors import LocalExecutor
from attendet.study.runs.job import describe_error
from attendet.training.run_folder import read_run
from attendet.utils.records import write_record
from tests.helpers.small_studies import FailingExecutor, RecordingObserver, open_study, write_small
from tests.helpers.small_training import skip_plots
from tests.helpers.typed_access import not_none

# SiLU keeps shapes, so attention can replace it. A convolution of stride 2 does not.
ARMS = """
  plain:
  gated: se:reduction=2@after:Conv
  instead: cbam:reduction=2@replace:SiLU
  weighed: {recipe: {data.image_weights: true}}
  one-class: {recipe: {data.single_cls: true}}
  broken: se:reduction=2@replace:Conv
"""


@pytest.fixture(scope="module", autouse=True)
def _undrawn():
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        yield


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Study, execution.StudyRunResult, RecordingObserver]:
    study = open_study(write_small(tmp_path_factory.mktemp("study"), ARMS))
    watcher = RecordingObserver()
    return study, run_study(study, LocalExecutor(), watcher), watcher


def records(study: Study):
    return {record.arm: record for record in read_study(study.folder).cells.values()}


def test_arms_of_a_seed_begin_alike_and_see_the_same_images(ran):
    found = records(ran[0])
    plain, gated, instead = (found[name] for name in ("plain", "gated", "instead"))
    assert [each.status for each in (plain, gated, instead)] == ["finished"] * 3
    assert plain.order == gated.order == instead.order
    assert plain.initialization == gated.initialization
    assert plain.initialization == instead.initialization
    assert not_none(plain.parameters) < not_none(gated.parameters)


def test_arms_that_do_not_pair_are_refused_with_a_reason(ran):
    found = records(ran[0])
    assert found["weighed"].status == found["one-class"].status == "failed"
    assert "it saw other images than plain with seed 0, or in another order" in not_none(found["weighed"].error)
    assert "had other initial weights than in plain with seed 0, such as model." in not_none(found["one-class"].error)


def test_a_run_that_fails_is_recorded_and_stops_no_other(ran):
    study, outcome, watcher = ran
    broken = records(study)["broken"]
    assert broken.status == "failed"
    assert "model.0 turns (1, 3, 64, 64) into (1, 8, 32, 32) and cannot be replaced" in not_none(broken.error)
    assert [name for name, _ in outcome.failed] == ["weighed-seed0", "one-class-seed0", "broken-seed0"]
    assert (outcome.finished, outcome.left) == (3, 0)
    assert [record.arm for record in watcher.records if record.status == "finished"][:2] == ["plain", "gated"]


def test_every_run_has_a_folder_of_its_own_and_is_measured_on_its_training_images(ran):
    study, _, _ = ran
    record = records(study)["gated"]
    _, cells = study.cells()
    job = study.job(next(cell for cell in cells if cell.arm == "gated"))
    assert job.folder.parent == (study.folder.path / "cells").resolve()
    run = read_run(job.run)
    assert run.finished
    assert not_none(run.metrics)["map50_95"] == not_none(record.best).map50_95
    saved = json.loads(job.training_images.read_text())
    assert saved["images"] == 8
    assert not_none(record.train).map50_95 == saved["map50_95"]


def test_finished_runs_are_not_repeated(ran, tmp_path):
    study = open_study(copied(ran[0], tmp_path))
    again = FailingExecutor()
    outcome = run_study(study, again, RecordingObserver())
    assert sorted(again.asked) == ["broken-seed0", "one-class-seed0", "weighed-seed0"]
    assert outcome.finished == 3
    limited = FailingExecutor()
    assert run_study(study, limited, RecordingObserver(), limit=1).left == 2
    assert limited.asked == ["weighed-seed0"]


def test_another_recipe_is_another_run(ran, tmp_path):
    file = copied(ran[0], tmp_path)
    file.write_text(file.read_text().replace("schedule.epochs: 1", "schedule.epochs: 2"))
    again = FailingExecutor()
    run_study(open_study(file), again, RecordingObserver())
    assert len(again.asked) == 6


def copied(study: Study, folder: Path) -> Path:
    shutil.copytree(study.base, folder / "copy")
    return folder / "copy" / "study.yaml"


def test_costs_are_measured_of_all_arms_that_have_a_run(ran):
    study, _, _ = ran
    costs = not_none(read_study(study.folder).costs)
    assert set(costs.arms) == {"plain", "gated", "instead"}
    for name, arm in costs.arms.items():
        assert [(each.batch, each.rounds) for each in arm.latency] == [(1, 40), (16, 10)]
        assert all(0 < each.low_ms <= each.median_ms <= each.high_ms for each in arm.latency)
        assert arm.parameters == records(study)[name].parameters
    # 16 images of 64 pixels, and the output of the first convolution: 8 channels at half the resolution.
    plain, gated = costs.arms["plain"], costs.arms["gated"]
    assert not_none(plain.peak_bytes) > 4 * 16 * 8 * 32 * 32
    assert not_none(gated.activation_bytes) > not_none(plain.activation_bytes)


def test_the_report_needs_records_and_no_runs(ran, tmp_path):
    study, _, _ = ran
    alone = tmp_path / "records"
    (alone / "cells").mkdir(parents=True)
    for path in ("study.json", "costs.json"):
        shutil.copy(study.folder.path / path, alone / path)
    for path in (study.folder.path / "cells").glob("*.json"):
        shutil.copy(path, alone / "cells")
    published = publish_report(StudyFolder(alone))
    assert {arm.name: arm.finished for arm in published.report.arms}["gated"] == 1
    assert {failure.cell for failure in published.report.failures} == {
        "weighed-seed0",
        "one-class-seed0",
        "broken-seed0",
    }
    assert published.html.is_file()


def test_two_at_once_on_one_study_are_refused(tmp_path):
    study = open_study(write_small(tmp_path, "{a: , b: se:reduction=2@after:Conv}"))

    class Nosy(FailingExecutor):
        def run(self, jobs, observer):
            with pytest.raises(OptionError, match="another process works in this folder"):
                run_study(study, FailingExecutor(), RecordingObserver())
            yield from super().run(jobs, observer)

    assert len(run_study(study, Nosy(), RecordingObserver()).failed) == 2


def test_a_baseline_that_runs_last_is_not_refused_because_of_an_unpaired_arm(tmp_path):
    arms = "{weighed: {recipe: {data.image_weights: true}}, plain: }"
    study = open_study(write_small(tmp_path, arms, more="baseline: plain\n"))
    first = run_study(study, LocalExecutor(), RecordingObserver(), limit=1)
    assert (first.finished, first.failed) == (1, ())
    # The call that finds it out tells it, though another one ran it.
    then = run_study(study, LocalExecutor(), RecordingObserver())
    assert [name for name, _ in then.failed] == ["weighed-seed0"]
    assert "it saw other images than plain with seed 0" in then.failed[0][1]
    assert {name: record.status for name, record in records(study).items()} == {
        "weighed": "failed",
        "plain": "finished",
    }


def test_an_interrupted_run_resumes_and_has_the_same_weights(tmp_path):
    arms = "{a: , b: se:reduction=2@after:Conv}"
    whole = open_study(write_small(tmp_path / "whole", arms, epochs=3))
    run_study(whole, LocalExecutor(), RecordingObserver(), limit=1)

    study, watcher = open_study(write_small(tmp_path / "parts", arms, epochs=3)), RecordingObserver()

    def interrupt(_: object, epoch: int) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    watcher.then = interrupt
    with pytest.raises(KeyboardInterrupt):
        run_study(study, LocalExecutor(), watcher, limit=1)
    assert read_study(study.folder).cells == {}
    after = RecordingObserver()
    assert run_study(study, LocalExecutor(), after, limit=1).finished == 1
    assert after.moves == [("a-seed0", 2), ("a-seed0", 3)]
    first, second = (load_file(each.job(each.cells()[1][0]).run.last) for each in (whole, study))
    assert all((first[key] == value).all() for key, value in second.items())


def test_fractions_train_on_a_part_and_measure_that_part(tmp_path):
    study = open_study(write_small(tmp_path, "{a: , b: {recipe: {loss.box: 0.1}}}", more="fractions: [1, 0.5]\n"))
    outcome = run_study(study, LocalExecutor(), RecordingObserver())
    assert outcome.finished == 4
    assert {
        (record.arm, record.fraction): record.images["train"] for record in read_study(study.folder).cells.values()
    } == {
        ("a", 1.0): 8,
        ("b", 1.0): 8,
        ("a", 0.5): 4,
        ("b", 0.5): 4,
    }


def on(device: str, study: Study, arm: str) -> None:
    """Change the recorded device of a finished run."""
    run = study.job(next(cell for cell in study.cells()[1] if cell.arm == arm)).run
    write_record(run.record, read_run(run).model_copy(update={"computed_on": device}))


@pytest.mark.parametrize(
    ("devices", "reason"),
    [
        (("cuda:99", "cuda:99", "cuda:99"), "CUDA device 99 not found"),
        (("cpu", "cuda:0", "cpu"), "the arms were trained on different devices, cpu and cuda"),
    ],
)
def test_costs_that_cannot_be_measured_are_reported_and_the_study_succeeds(ran, tmp_path, devices, reason):
    study = open_study(copied(ran[0], tmp_path))
    study.folder.costs.unlink()
    for device, arm in zip(devices, ("plain", "gated", "instead"), strict=True):
        on(device, study, arm)
    watcher = RecordingObserver()
    assert run_study(study, FailingExecutor(), watcher).finished == 3
    assert watcher.messages[-1] == f"the costs of the arms were not measured: {reason}"
    assert not study.folder.costs.exists()
    assert publish_report(study.folder).report.measured_on is None


def test_too_little_memory_for_costs_is_reported(ran, tmp_path, monkeypatch):
    def too_little(*_: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("attendet.study.runs.costs.peak_bytes", too_little)
    study, watcher = open_study(copied(ran[0], tmp_path)), RecordingObserver()
    run_study(study, FailingExecutor(), watcher)
    expected = "the costs of the arms were not measured: out of memory with 16 images of 64 pixels per batch"
    assert watcher.messages[-1] == expected


def test_a_long_error_fits_into_an_unread_pipe():
    for error in (RuntimeError("€" * 10**6), WeightsError("€" * 10**6)):
        message = describe_error(error)
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        assert os.write(writer, message.encode()) == len(message.encode()) > 1000
        os.close(reader)
        os.close(writer)
