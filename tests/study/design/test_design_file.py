"""A study.yaml is read completely or refused with a position; a run is identified by the settings that affect it."""

import json
import pickle
import subprocess
import sys
from hashlib import sha256

import pytest

from attendet.errors import OptionError
from attendet.models.bundled import bundled_text
from attendet.study.design.design_file import parse_design, read_design
from attendet.study.design.grid import run_grid
from attendet.study.design.template import STUDY
from attendet.study.forecast import describe_forecast, forecast_study
from attendet.training.config import build_config
from tests.helpers.typed_access import not_none

HEAD = "name: a\nmodel: yolov5n\ndata: d.yaml\n"
TWO = HEAD + "seeds: 2\n"
ARMS = "arms: {a: , b: se@neck}"
MANY = "arms: {" + ", ".join(f"a{n}: {{recipe: {{loss.box: {n}}}}}" for n in range(11)) + "}"
LOTS = "arms: {" + ", ".join(f"a{n}: {{recipe: {{loss.box: {n}}}}}" for n in range(65)) + "}"


def keys(text, folder, data="f"):
    return {(cell.arm, cell.seed, cell.fraction): cell.key for cell in run_grid(parse_design(text), data, folder)}


def test_what_init_writes_is_a_study(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(STUDY, encoding="utf-8")
    design = read_design(path)
    assert list(design.arms) == ["baseline", "cbam-sppf", "conv-sppf", "cbam-neck", "larger"]
    assert design.seeds == tuple(range(8))
    assert design.arms["cbam-sppf"].control == "conv-sppf"
    assert design.recipe == {"schedule.epochs": 20, "schedule.imgsz": 320}
    # Its numbers for six and eight seeds are right.
    assert forecast_study(design, run_grid(design, "f", tmp_path)).warnings == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nmodle: yolov5n", "study.yaml:2:8: unknown key 'modle'; did you mean 'model'?"),
        ("name: a", "study.yaml:1:1: the key 'model' is missing; add a line model: …"),
        ("[1]", "study.yaml:1:1: a study must be a mapping of keys to values; write a line such as name: first"),
        (TWO + "arms: {a: , b: {atention: se@neck}}", "5:27: unknown key 'atention'; did you mean 'attention'?"),
        (TWO + "arms: {a: , b: sse@neck}", "5:16: unknown attention 'sse'; did you mean"),
        (TWO + "arms: {a: , b: [se@neck, cbam]}", "5:26: `attention` must be NAME@PLACE or"),
        (TWO + "arms: {a: , b: 'cbam:reducton=8@neck'}", "cbam has no option 'reducton'; did you mean 'reduction'?"),
        (TWO + "arms: {a: }", "5:7: `arms`"),
        (TWO + "arms: {a: , b: {model: yolov5q}}", "unknown model 'yolov5q'; name a bundled model"),
        (TWO + "arms: {a: , b: {model: yolov5n}}", "5:16: arms must differ, got b equal to a; remove one of them"),
        (TWO + "arms: {a: , b: {attention: se@neck, control: c}}", "5:46: unknown arm 'c'; known are a, b"),
        (TWO + "arms: {a: , b: {attention: se@neck, control: b}}", "5:46: the control of b must be an arm other than"),
        (TWO + "baseline: bas\narms: {base: , b: se@neck}", "5:11: unknown arm 'bas'; did you mean 'base'?"),
        (HEAD + "seeds: [0, 1, 0]\n" + ARMS, "4:8: seeds must not contain a value twice"),
        (HEAD + "seeds: 99999999999\n" + ARMS, "4:8: `seeds` must be a number of seeds"),
        (HEAD + "seeds: [0.5]\n" + ARMS, "4:9: `seeds.0` must be a valid integer, got 0.5"),
        (HEAD + "seeds: 0\n" + ARMS, "4:8: `seeds` must be a number of seeds, 1 to 1000, or a list such"),
        (HEAD + "seeds: two\n" + ARMS, "4:8: `seeds` must be a number of seeds"),
        (TWO + "last_epochs: 4\nrecipe: {schedule.epochs: 3}\n" + ARMS, "5:14: last_epochs must be at most 3, got 4"),
        (TWO + "last_epochs: 4\nrecipe: {schedule.patience: 2}\n" + ARMS, "5:14: last_epochs must be at most 3, got 4"),
        (TWO + "recipe: {validation.every_epoch: false}\n" + ARMS, "a is certain to validate only 1 epoch"),
        (TWO + "recipe: {augment: {mosaic: 0}}\n" + ARMS, "5:19: unknown setting 'augment'; write augment.mosaic"),
        (TWO + "arms: {a: , b: {recipe: {loss: {box: 1}}}}", "5:32: unknown setting 'loss'; write loss.box: 1"),
        (TWO + LOTS, "5:7: arms must have at most 64 entries, got 65; compare fewer arms"),
        (HEAD + "seeds: 8\nlooks: [6, 7]\n" + ARMS, "5:8: looks must ascend to the number of seeds, 8, got [6, 7]"),
        (HEAD + "seeds: 8\nlooks: [8, 6, 8]\n" + ARMS, "5:8: looks must ascend to the number of seeds, 8"),
        (TWO + "matters: 1.5\n" + ARMS, "5:10: `matters` must be less than 1, got 1.5"),
        (TWO + "fractions: [0.5]\n" + ARMS, "5:12: fractions must contain 1"),
        (TWO + "fractions: [1, 0]\n" + ARMS, "5:16: `fractions.1` must be greater than 0, got 0"),
        (TWO + "metric: mAP\n" + ARMS, "5:9: `metric` must be 'map50_95', 'map50', 'precision' or 'recall', got 'mAP'"),
        (TWO + "recipe: {schedule.epoch: 3}\n" + ARMS, "5:26: unknown setting 'schedule.epoch'; did"),
        (TWO + "recipe: {loss.box: -1}\n" + ARMS, "5:20: `loss.box` must be finite and at least 0, got -1"),
        (TWO + "recipe: {schedule.seed: 1}\n" + ARMS, "5:25: the study itself sets schedule.seed; use seeds"),
        (HEAD + "seeds: 1000\n" + MANY, "1:1: a study must have at most 10,000 runs, got 11,000"),
        ("name: ../a\nmodel: yolov5n\ndata: d\nseeds: 2\n" + ARMS, "1:7: `name` must consist of letters, digits, dots"),
        (TWO + "arms: {a: , b: &x se@neck}", "5:16: the anchor &x is not allowed"),
    ],
)  # fmt: skip
def test_a_wrong_study_is_refused_at_its_place(text, message):
    with pytest.raises(OptionError) as error:
        parse_design(text)
    assert message in str(error.value)


def test_a_design_and_its_cells_travel_between_processes(tmp_path):
    design = parse_design(STUDY)
    cells = run_grid(design, "f", tmp_path)
    assert pickle.loads(pickle.dumps((design, cells))) == (design, cells)  # noqa: S301


def test_every_arm_has_every_seed_and_share_and_pairs_come_together(tmp_path):
    design = parse_design(HEAD + "seeds: [3, 1]\nfractions: [0.25, 1]\narms: {a: , b: se@neck}")
    cells = run_grid(design, "f", tmp_path)
    assert [cell.name for cell in cells[:4]] == ["a-seed3", "b-seed3", "a-seed1", "b-seed1"]
    assert [cell.name for cell in cells[4:6]] == ["a-0.25-seed3", "b-0.25-seed3"]
    assert len({cell.key for cell in cells}) == 8


def test_a_key_is_a_hash_of_the_relevant_settings_and_the_same_everywhere(tmp_path):
    """By hand: SHA-256 of canonical JSON; and in another process, where words hash differently."""
    text = HEAD + "seeds: [7]\nrecipe: {schedule.epochs: '5'}\narms: {a: , b: 'CBAM:reduction=8@neck'}"
    identity = {
        "attention": [{"attention": "cbam", "at": "neck", "options": {"reduction": 8}}],
        "data": "f",
        "fraction": 1.0,
        "model": sha256(bundled_text("yolov5n").encode()).hexdigest(),
        "seed": 7,
        "settings": {"schedule.epochs": 5},
        "weights": None,
    }
    expected = sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:16]
    assert keys(text, tmp_path)["b", 7, 1.0] == expected
    program = (
        "from pathlib import Path; from attendet.study.design.grid import run_grid; "
        "from attendet.study.design.design_file import parse_design; "
        f"print(run_grid(parse_design({text!r}), 'f', Path({str(tmp_path)!r}))[1].key)"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert process.stdout.strip() == expected


def test_names_order_and_irrelevant_settings_do_not_change_keys(tmp_path):
    before = keys(HEAD + "seeds: [0, 1]\nrecipe: {loss.box: 0.1}\narms: {a: , b: se@neck}", tmp_path)
    after = keys(
        "name: other\nmodel: yolov5n\ndata: elsewhere.yaml\nseeds: [1, 0]\nmetric: map50\nlast_epochs: 1\n"
        "baseline: plain\n"
        "recipe: {data.workers: 2, schedule.epochs: 300, loss.box: 0.10, data.cache: none}\n"
        "arms: {renamed: SE@neck, plain: , third: cbam@neck}",
        tmp_path,
    )
    assert {key for (arm, *_), key in after.items() if arm != "third"} == set(before.values())


@pytest.mark.parametrize(
    "change",
    [
        ("se@neck", "se@backbone"),
        ("se@neck", "se:reduction=8@neck"),
        ("se@neck", "{attention: se@neck, recipe: {optimizer.lr0: 0.1}}"),
        ("seeds: [0]", "seeds: [1]"),
        ("model: yolov5n\n", "model: yolov5s\n"),
        ("model: yolov5n\n", "model: yolov5n\nweights: w.pt\n"),
        ("loss.box: 0.1", "loss.box: 0.2"),
    ],
)
def test_every_relevant_setting_changes_the_key(tmp_path, change):
    tmp_path.joinpath("w.pt").write_bytes(b"weights")
    text = HEAD + "seeds: [0]\nrecipe: {loss.box: 0.1}\narms: {a: , b: se@neck}"
    before, after = keys(text, tmp_path), keys(text.replace(*change), tmp_path)
    assert [key for (arm, *_), key in before.items() if arm == "b"] != [
        key for (arm, *_), key in after.items() if arm == "b"
    ]


def test_other_data_and_another_content_of_a_model_file_are_other_runs(tmp_path):
    text = "name: a\nmodel: m.yaml\ndata: d\nseeds: 1\narms: {a: , b: se@neck}"
    file = tmp_path / "m.yaml"
    file.write_text(bundled_text("yolov5n"), encoding="utf-8")
    first = keys(text, tmp_path)
    assert set(first.values()).isdisjoint(keys(text, tmp_path, data="g").values())
    file.write_text(bundled_text("yolov5s"), encoding="utf-8")
    assert set(first.values()).isdisjoint(keys(text, tmp_path).values())
    file.unlink()
    with pytest.raises(OptionError, match=r"m\.yaml: the file cannot be read"):
        keys(text, tmp_path)


def test_two_arms_that_are_one_run_are_refused(tmp_path):
    text = HEAD + "seeds: 1\narms: {a: se@neck, b: SE@neck}"
    with pytest.raises(OptionError, match="arms must differ, got b equal to a"):
        keys(text, tmp_path)


def test_settings_of_an_arm_are_settings_of_training():
    design = parse_design(STUDY)
    config = build_config(design.settings("cbam-sppf", seed=4))
    assert (config.model.cfg, config.model.attention) == ("yolov5n", ("cbam@before:SPPF",))
    assert (config.schedule.seed, config.schedule.epochs) == (4, 20)
    assert build_config(design.settings("larger", seed=4)).model.cfg == "yolov5s"


def test_a_forecast_contains_runs_hours_and_the_detectable_difference(tmp_path):
    arms = "{base: , b: se@neck, c: eca@neck, d: cbam@neck, e: bam@neck, f: simam@neck}"
    design = parse_design(HEAD + f"seeds: 5\nfractions: [0.5, 1]\nbudget_hours: 10\nspread: 0.01\narms: {arms}")
    cells = run_grid(design, "f", tmp_path)
    seconds = {(arm, share): 500 * share for arm in design.arms for share in design.fractions}
    done = [cell.key for cell in cells if cell.arm == "base" and cell.fraction == 1]
    plan = forecast_study(design, cells, seconds, done)
    assert (plan.runs, plan.finished) == (60, 5)
    # 30 runs of 250 s and 25 of 500 s.
    assert plan.hours == pytest.approx((30 * 250 + 25 * 500) / 3600)
    assert plan.hours_by_arm["base"] == pytest.approx(5 * 250 / 3600)
    assert plan.detectable is None
    text = "\n".join(describe_forecast(plan, design))
    assert "6 arms × 5 seeds × 2 fractions of the images: 60 runs, 5 of them finished" in text
    assert "5 seeds cannot decide anything: p is at least 0.062" in text
    enough = design.model_copy(update={"seeds": tuple(range(8)), "budget_hours": 1.0})
    plan = forecast_study(enough, cells, seconds)
    assert plan.detectable_in_metric == pytest.approx(0.01 * not_none(plan.detectable))
    assert plan.warnings == ("the study takes 6.2 hours, more than the budget of 1",)


def test_epochs_that_are_sure_to_be_measured_can_be_averaged():
    # The first epoch may stay the best, and two more follow it.
    text = TWO + "last_epochs: 3\nrecipe: {schedule.patience: 2}\n" + ARMS
    assert parse_design(text).last_epochs == 3
    assert parse_design(text.replace("3", "300").replace("patience: 2", "patience: 0")).last_epochs == 300
    once = TWO + "last_epochs: 1\nrecipe: {validation.every_epoch: false}\n" + ARMS
    assert parse_design(once).last_epochs == 1


def test_a_forecast_lists_the_seeds_of_both_answers():
    design = parse_design(HEAD + "seeds: 8\nmatters: 0.01\nspread: 0.01\n" + ARMS)
    plan = forecast_study(design, [], {("a", 1.0): 3600.0, ("b", 1.0): 7200.0})
    # One standard deviation: the exact test of ten has 80 % power, TOST a little more.
    assert plan.seeds_to_find == pytest.approx(10, abs=1)
    assert plan.seeds_to_exclude == pytest.approx(10, abs=1)
    assert [point.hours for point in plan.curve if point.seeds == 8] == [24.0]
    text = "\n".join(describe_forecast(plan, design))
    assert f"80 % of studies find a true difference of 0.01 with {plan.seeds_to_find} seeds" in text
    assert "makes no difference that matters with" in text
