"""The command as a whole, and the verbs for model files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.models.bundled import bundled_text
from tests.helpers.command import COMMAND, CommandResult


def run_process(*command: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)  # noqa: S603


def test_the_installed_command_runs() -> None:
    done = run_process(COMMAND, "summary", "yolov5s_CBMA")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "attendet: yolov5s_CBMA: no such model file or bundled model; did you mean 'yolov5s_CBAM'?\n"
    done = run_process(COMMAND, "summary", "yolov5n")
    assert done.returncode == 0
    assert "25 rows, 1,872,157 parameters, 4.47 GFLOPs" in done.stdout


def test_help_is_short_and_needs_no_torch() -> None:
    for verb in ([], ["summary"], ["check"], ["attentions"]):
        done = run_process(COMMAND, *verb, "--help")
        assert done.returncode == 0
        assert 5 < len(done.stdout.splitlines()) < 44
    program = "import sys, attendet.cli.main; print('torch' in sys.modules)"
    assert run_process(sys.executable, "-c", program).stdout == "False\n"


def test_version_names_torch_and_the_device(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("attendet 0.")
    assert ", torch 2." in done.stdout
    assert "device" in done.stdout


def test_summary_as_a_table_and_as_json(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("summary", "yolov5s_CBAM", "--num-classes", "3", "--imgsz", "320")
    assert done.returncode == 0
    assert "yolov5s_CBAM, 3 classes, 320 px" in done.stdout
    assert "  9  *  -1 " in done.stdout
    assert "* row 9 CBAM: 512 channels (declared: 512); reduction 16, kernel_size 7, variant plain" in done.stdout
    data = json.loads(attendet("summary", "yolov5s_CBAM", "--num-classes", "3", "--imgsz", "320", "--json").stdout)
    assert data["parameters"] == 7_235_389 + 2 * 512 * 32 + 98 - 3 * 77 * (128 + 256 + 512 + 3)
    assert [row["module"] for row in data["rows"] if row["attention"]] == ["CBAM"]
    assert f"{data['parameters']:,} parameters" in done.stdout


def test_check_reports_faults_and_repairs_shifted_rows(attendet: Callable[..., CommandResult], tmp_path: Path) -> None:
    broken = bundled_text("yolov5s_CBAM").replace("[18, 21, 24]", "[17, 20, 23]")
    (tmp_path / "broken.yaml").write_text(broken)
    done = attendet("check", "broken.yaml")
    assert done.returncode == 1
    assert "fault: broken.yaml:43:5: row 25: Detect still reads 17, 20, 23" in done.stdout
    assert "3 faults in broken.yaml" in done.stdout
    done = attendet("check", "broken.yaml", "--fix", "fixed.yaml")
    assert done.returncode == 0
    assert (tmp_path / "fixed.yaml").read_text() == bundled_text("yolov5s_CBAM")
    done = attendet("check", "fixed.yaml")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "fixed.yaml: no faults")
    done = attendet("check", "broken.yaml", "--fix", "fixed.yaml")
    assert done.returncode == 2
    assert "fixed.yaml: already exists; choose another name" in done.stderr


def test_check_reads_a_pipe() -> None:
    text = bundled_text("yolov5n")
    done = subprocess.run(  # noqa: S603
        [COMMAND, "check", "/dev/stdin"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "/dev/stdin: no faults\n", "")


def test_check_writes_nothing_if_it_cannot_repair_the_file(
    attendet: Callable[..., CommandResult], tmp_path: Path
) -> None:
    (tmp_path / "odd.yaml").write_text(bundled_text("yolov5s").replace("[17, 20, 23], 1", "[17, 20, 20], 1"))
    done = attendet("check", "odd.yaml", "--fix", "fixed.yaml")
    assert done.returncode == 1
    assert "nothing was written" in done.stdout
    assert not (tmp_path / "fixed.yaml").exists()


def test_attentions_lists_papers_and_costs(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("attentions", "--channels", "64", "--size", "20")
    assert done.returncode == 0
    assert "arXiv:1807.06521" in done.stdout
    listed = {entry["name"]: entry for entry in json.loads(attendet("attentions", "--channels", "64", "--json").stdout)}
    assert listed["cbam"]["parameters"] == 610


def test_attentions_lists_modules_that_cannot_be_built(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("attentions", "--channels", "8")
    assert done.returncode == 0
    assert "arXiv:1910.03151" in done.stdout
    assert "`reduction` must leave at least 1 of 8 channels, got 16; use a reduction of 2 or less" in done.stdout
    done = attendet("attentions", "--channels", "8", "--json")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert listed["eca"]["parameters"] == 3
    assert "must leave at least 1 of 8 channels" in listed["cbam"]["error"]
    assert "parameters" not in listed["cbam"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["summary", "yolov5z"], "bundled models are yolov5{n,s,m,l,x}, also with _CBAM"),
        (["summary", "yolov5s", "--imgsz", "650"], "use 640"),
        (["summary", "yolov5s", "--dialect", "unscale"], "did you mean 'unscaled'"),
        (["check", "nowhere.yaml"], "nowhere.yaml: no such model file or bundled model"),
        (["check", "a" * 300], "no such model file or bundled model"),
        (["check", "yolov5n", "--fix", "."], "already exists; choose another name"),
        (["attentions", "--size", "100000000"], "invalid value for '--size'"),
        (["summary", "yolov5s", "--imgz", "640"], "attendet summary has no option --imgz; did you mean --imgsz?"),
        (["summary", "yolov5s", "--num-classes", "3", "4"], "`--num-classes` takes one value, got 3 4"),
        (["summarize", "yolov5s"], "attendet has no command 'summarize'; did you mean attendet summary?"),
        (["detect", "yolov5s"], "attendet has no command 'detect'; did you mean attendet predict?"),
        (["data", "checks"], "attendet data has no command 'checks'; did you mean attendet data check?"),
        (["study", "xyzzy"], "attendet study has no command 'xyzzy'; use one of init, plan, run, report, join, search"),
        (["check"], "missing argument 'MODEL'; see attendet check --help"),
        (["--verbose"], "no such option: --verbose"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_code_2(
    attendet: Callable[..., CommandResult], args: list[str], message: str
) -> None:
    done = attendet(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("attendet: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("group", [[], ["data"], ["study"], ["weights"]])
def test_without_a_verb_the_help_page_is_printed(attendet: Callable[..., CommandResult], group: list[str]) -> None:
    done = attendet(*group)
    assert done.returncode == 2
    assert f"Usage: {' '.join(['attendet', *group])} [OPTIONS] COMMAND" in done.stdout
    assert attendet(*group, "--help") == CommandResult(0, done.stdout, done.stderr)


@pytest.mark.parametrize("width", ["80", "120"])
@pytest.mark.parametrize("verb", ["train", "val", "predict", "explain", "data convert", "study run", "weights convert"])
def test_help_pages_fit_the_terminal(monkeypatch: pytest.MonkeyPatch, verb: str, width: str) -> None:
    monkeypatch.setenv("COLUMNS", width)
    page = run_process(COMMAND, *verb.split(), "--help").stdout
    assert max(map(len, page.splitlines())) <= int(width)
    # A name of an option that does not fit is cut, and cannot be typed.
    assert "…" not in page
    assert "<bool>" not in page
