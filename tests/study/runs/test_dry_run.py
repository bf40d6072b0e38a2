"""Mistakes that need a built network are reported at their position in study.yaml, before training."""

from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.study.runs import dry_run
from attendet.study.runs.dry_run import dry_run_arms
from attendet.training.training_model import build_training_model
from tests.helpers.small_studies import open_study, write_small


def write_and_dry_run(folder: Path, arms: str, **given: str) -> None:
    file = write_small(folder, arms)
    text = file.read_text()
    for old, new in given.items():
        text = text.replace(f"{old}: ", f"{old}: {new}")
    file.write_text(text)
    dry_run_arms(open_study(file), file)


def test_arms_that_can_be_built_pass_and_leave_nothing(tmp_path: Path) -> None:
    write_and_dry_run(tmp_path, "{a: , b: se:reduction=2@after:Conv, c: control-identity@after:Conv}")
    assert {path.name for path in tmp_path.iterdir()} == {"set", "small.yaml", "study.yaml"}


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("se@nek", "4:16: the arm b cannot be built: nek matches nothing in Detector; did you mean 'neck'?"),
        ("se@after:Cnv", "4:16: the arm b cannot be built: no module of class 'Cnv' runs; did you mean 'Conv'?"),
        ("[se:reduction=x@after:Conv]", "`reduction` must be a positive number, got 'x'"),
        ("control-conv1x1:like=sse@after:Conv", "4:16: the arm b cannot be built: unknown attention 'sse'; did"),
        ("{model: other.yaml}", "4:16: the arm b cannot be built: other.yaml: no such model file or bundled model"),
        ("{weights: w.pt}", "4:16: the arm b cannot be built: w.pt: weights file not found"),
        ("se@replace:Conv", "4:16: the arm b cannot be built: model.0 turns (1, 3, 64, 64) into (1, 8, 32, 32)"),
    ],
)
def test_an_arm_that_cannot_be_built_is_refused_at_its_place(tmp_path: Path, arm: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        write_and_dry_run(tmp_path, f"{{a: , b: {arm}}}")
    assert str(error.value).startswith(f"{tmp_path / 'study.yaml'}:4:")
    assert message in str(error.value)


def test_missing_data_are_reported_at_their_position(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"study\.yaml:3:7: data: elsewhere/set/data\.yaml: file or folder not found"):
        write_and_dry_run(tmp_path, "{a: , b: se:reduction=2@after:Conv}", data="elsewhere/")


def test_data_are_taken_as_training_takes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_small(tmp_path, "{a: , b: {recipe: {data.single_cls: true}}}")
    data = tmp_path / "set" / "data.yaml"
    data.write_text(data.read_text().replace("[red, blue]", "[red, red]"))
    # By the looks of it this is VOC now, where objects name their class.
    for label in [*(tmp_path / "set").rglob("*.txt")]:
        label.rename(label.with_suffix(".xml"))
    with pytest.raises(OptionError, match="class names must be unique, got 'red' twice"):
        dry_run_arms(open_study(file), file)
    file.write_text(file.read_text().replace("recipe: {schedule", "recipe: {data.format: yolo, schedule"))
    seen: list[tuple[str, ...]] = []
    monkeypatch.setattr(
        dry_run, "build_training_model", lambda config, names: seen.append(names) or build_training_model(config, names)
    )
    dry_run_arms(open_study(file), file)
    assert seen == [("red", "red"), ("object",)]
