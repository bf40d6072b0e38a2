"""`--like`: parameter counts that a fork printed or trained decide how attention rows are read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import attendet as package
from attendet.models.bundled import bundled_text
from attendet.weights.io.saving import save_weights
from tests.helpers.command import CommandResult
from tests.helpers.printed_tables import printed_table
from tests.helpers.small_training import MODEL, write_set

# A CBAM with biases in the MLP and in the spatial convolution, on 512 channels.
BIASED = 33_411
ROW = "[-1, 1, CBAM, [1024, 16, 7]]"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Write a model file and the log of a fork that built it, and return the log."""
    (tmp_path / "mine.yaml").write_text(bundled_text("yolov5s_CBAM").replace(ROW, "[-1, 1, CBAM, [1024]]"))
    log = tmp_path / "train.log"
    log.write_text("train: cfg=mine.yaml\n" + printed_table("yolov5s", {9: ("CBAM", BIASED)}, num_classes=3))
    return log


def test_check_reads_a_log_and_writes_what_it_chose(
    attendet: Callable[..., CommandResult], log: Path, tmp_path: Path
) -> None:
    done = attendet("check", "mine.yaml", "--like", log.name, "--fix", "resolved.yaml")
    assert done.returncode == 0
    assert done.stdout.startswith(
        "row 9: CBAM [1024] is read as CBAM [1024, {variant: biased}]\nrow 9 CBAM: 512 channels"
    )
    assert "33,411 parameters" in done.stdout
    assert "[-1, 1, CBAM, [1024, {variant: biased}]]" in (tmp_path / "resolved.yaml").read_text()
    done = attendet("check", "resolved.yaml", "--like", log.name)
    assert (done.returncode, "is read as" in done.stdout) == (0, False)


def test_summary_shows_the_chosen_parameters(attendet: Callable[..., CommandResult], log: Path) -> None:
    # The published 7,235,389 parameters have 80 classes; the table has 3, with 3 · 899 values fewer for each class.
    total = 7_235_389 - 3 * 899 * 77 + BIASED
    assert f"{total:,} parameters" in attendet("summary", "mine.yaml", "--like", log.name).stdout
    assert f"{total:,} parameters" in attendet("summary", "mine.yaml", "--nc", "3", "--like", f"{total:,}").stdout


def test_rows_without_an_explanation_are_faults(attendet: Callable[..., CommandResult], log: Path) -> None:
    log.write_text(printed_table("yolov5s", {9: ("CBAM", 12_345)}, num_classes=3))
    done = attendet("check", "mine.yaml", "--like", log.name, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert [(finding["kind"], finding["row"]) for finding in report["findings"]] == [("unexplained", 9)]
    assert report["choices"] == []
    assert {"label": "{variant: biased}", "parameters": BIASED} in report["attention"][0]["alternatives"]


def test_a_checkpoint_decides(attendet: Callable[..., CommandResult], log: Path, tmp_path: Path) -> None:  # noqa: ARG001
    (tmp_path / "named.yaml").write_text(
        bundled_text("yolov5s_CBAM").replace(ROW, "[-1, 1, CBAM, [{variant: biased}]]")
    )
    save_weights(package.build(tmp_path / "named.yaml"), tmp_path / "fork.safetensors")
    done = attendet("check", "mine.yaml", "--like", "fork.safetensors")
    assert done.returncode == 0
    assert "{variant: biased}]" in done.stdout


@pytest.mark.parametrize("verb", ["check", "summary"])
def test_a_missing_file_is_an_error(verb: str, attendet: Callable[..., CommandResult]) -> None:
    done = attendet(verb, "yolov5s_CBAM", "--like", "nowhere.txt")
    assert done.returncode == 2
    assert "`--like` must be an existing file or the total number of parameters, got 'nowhere.txt'" in done.stderr


def test_training_stores_the_model_file_with_the_chosen_options(
    attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    write_set(tmp_path / "data", train=2, val=2)
    row = "  - [-1, 1, SE, [4]]\nhead:"
    (tmp_path / "small.yaml").write_text(MODEL.replace("head:", row).replace("[[2, 3, 4]", "[[2, 3, 5]"))
    plain = sum(parameter.numel() for parameter in package.build(tmp_path / "small.yaml").parameters())
    # SE on 16 channels with ratio 4, with biases: 4 in the hidden layer and 16 in the output.
    done = attendet(
        "train", "--cfg", "small.yaml", "--data", "data/data.yaml", "--imgsz", "64", "--epochs", "1", "--out", "run",
        "--like", str(plain + 4 + 16), "--workers", "0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    opened = package.open(tmp_path / "run")
    assert sum(parameter.numel() for parameter in opened.detector.parameters()) == plain + 20
    assert "bias: true" in opened.card.text
