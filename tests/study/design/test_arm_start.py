"""Arms that differ in their fraction of the images and in their initial weights, and the keys of older studies."""

from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.study.design.design_file import parse_design, read_design
from attendet.study.design.grid import Cell, run_grid
from attendet.study.folder import StudyFolder, read_study
from attendet.study.records import StudyRecord
from attendet.study.runs.execution import Study
from attendet.training.config import build_config
from attendet.utils.records import read_record

HEAD = "name: a\nmodel: yolov5n\ndata: d.yaml\nseeds: 2\n"
FIRST = Path(__file__).parents[3] / "docs" / "studies" / "first"


def grid(text: str, folder: Path, data: str = "f") -> dict[tuple[str, int, float], Cell]:
    return {(cell.arm, cell.seed, cell.fraction): cell for cell in run_grid(parse_design(text), data, folder)}


def test_the_runs_of_the_first_study_keep_their_keys() -> None:
    planned = read_record(FIRST / "study.json", StudyRecord)
    cells = run_grid(read_design(FIRST / "study.yaml"), planned.data, FIRST)
    assert [(each.arm, each.seed, each.fraction, each.key) for each in cells] == [
        (each.arm, each.seed, each.fraction, each.key) for each in planned.cells
    ]
    study = Study(planned.design, FIRST, StudyFolder(FIRST))
    assert len(study.finished(cells)) == len(cells) == 48
    assert read_study(study.folder).problems == ()


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("{fraction: 0}", "5:27: `arms.b.fraction` must be greater than 0, got 0"),
        ("{fraction: 1.5}", "5:27: `arms.b.fraction` must be less than or equal to 1, got 1.5"),
        ("{fraction: half}", "5:27: `arms.b.fraction` must be a valid number, got 'half'"),
        ("{fracton: 0.5}", "5:26: unknown key 'fracton'; did you mean 'fraction'?"),
        ("{fraction: 1}", "5:16: arms must differ, got b equal to a"),
        ("{weights: scratch}", "5:16: arms must differ, got b equal to a"),
        ("{recipe: {data.fraction: 0.5}}", "5:41: the study itself sets data.fraction; use fraction"),
    ],
)
def test_a_wrong_arm_is_refused_at_its_place(arm: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_design(f"{HEAD}arms: {{a: , b: {arm}}}")
    assert message in str(error.value)


def test_arms_set_their_fraction_and_start_and_show_them(tmp_path: Path) -> None:
    text = f"{HEAD}weights: w.pt\narms: {{a: , half: {{fraction: 0.5}}, new: {{weights: scratch}}}}"
    design = parse_design(text)
    shown = {name: arm.describe() for name, arm in design.arms.items()}
    assert shown == {"a": "base model", "half": "50% of the images", "new": "from scratch"}
    configs = {name: build_config(design.settings(name, 0)) for name in design.arms}
    assert {name: config.data.fraction for name, config in configs.items()} == {"a": 1, "half": 0.5, "new": 1}
    assert {name: config.model.weights for name, config in configs.items()} == {
        "a": "w.pt",
        "half": "w.pt",
        "new": None,
    }
    # A file of that name does not change the meaning of the word.
    (tmp_path / "w.pt").write_bytes(b"w")
    (tmp_path / "scratch").write_bytes(b"s")
    new = {cell.key for (name, *_), cell in grid(text, tmp_path).items() if name == "new"}
    plain = {cell.key for cell in grid(f"{HEAD}arms: {{a: , b: se@neck}}", tmp_path).values() if cell.arm == "a"}
    assert new == plain


def test_a_fraction_of_an_arm_multiplies_with_the_fractions_of_the_study(tmp_path: Path) -> None:
    text = f"{HEAD}fractions: [0.5, 1]\narms: {{a: , half: {{fraction: 0.25}}}}"
    study = Study(parse_design(text), tmp_path, StudyFolder(tmp_path / "runs"))
    cells = grid(text, tmp_path)
    shares = {(arm, part): study.job(cell).settings["data.fraction"] for (arm, _, part), cell in cells.items()}
    assert shares == {("a", 1.0): 1.0, ("a", 0.5): 0.5, ("half", 1.0): 0.25, ("half", 0.5): 0.125}
    assert len({cell.key for cell in cells.values()}) == 8


def test_arms_have_different_identities_for_all_data_and_seeds(tmp_path: Path) -> None:
    text = f"{HEAD}fractions: [0.5, 1]\narms: {{a: , half: {{fraction: 0.25}}, c: SE@neck}}"
    other = text.replace("seeds: 2", "seeds: [7]").replace("name: a", "name: b").replace("c: SE", "renamed: se")
    first, second = grid(text, tmp_path), grid(other, tmp_path, data="g")
    by_arm = {arm: {cell.identity for (name, *_), cell in first.items() if name == arm} for arm in ("a", "half", "c")}
    assert all(len(found) == 1 and len(next(iter(found))) == 16 for found in by_arm.values())
    assert len(set.union(*by_arm.values())) == 3
    assert {cell.identity for cell in second.values()} == set.union(*by_arm.values())
    assert {cell.identity for (name, *_), cell in second.items() if name == "renamed"} == by_arm["c"]
