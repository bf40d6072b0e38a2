"""SIGTERM is Ctrl-C for every verb: results so far are complete, nothing unfinished stays, the exit code is 143."""

import importlib
import json
import os
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import attendet as package
from attendet.utils.processes.temporary_files import download_folder, remove_leftovers
from tests.helpers.calibrated_detector import write_weights
from tests.helpers.command import CommandResult, run_and_interrupt
from tests.helpers.small_studies import write_small
from tests.helpers.small_training import MODEL, write_set


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "yolov5n_CBAM.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        write_weights(path, package.build("yolov5n_CBAM", num_classes=2), model="yolov5n_CBAM", names=("red", "blue"))
    return path


@pytest.fixture
def terminate(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that lets SIGTERM arrive during a certain call of a function."""

    def arrange(path: str, *, call: int = 1) -> None:
        module, _, name = path.rpartition(".")
        original, calls = getattr(importlib.import_module(module), name), []

        def terminated(*args: object, **options: object) -> object:
            calls.append(name)
            if len(calls) == call:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(*args, **options)

        monkeypatch.setattr(path, terminated)

    return arrange


@pytest.mark.parametrize(
    ("command", "during"),
    [
        ("summary yolov5n", "attendet.models.summary.summarize"),
        ("weights inspect {weights}", "attendet.weights.read_checkpoint"),
        ("weights convert {weights} --out new.safetensors", "attendet.weights.io.saving.save_file"),
        ("data check set", "attendet.data.report.data_report.make_data_report"),
        ("data convert set --to coco --out new", "yaml.safe_dump"),
        ("val {weights} --data set/data.yaml --imgsz 64 --out new", "attendet.api.validation.validate"),
        ("val {weights} --data set/data.yaml --imgsz 64 --out new", "attendet.evaluation.validation.coco_detections"),
        ("explain {weights} --data set/data.yaml --out new", "attendet.interpret.dataset.surveying.survey_sites"),
        ("explain {weights} set/val/images/0.png --out new", "attendet.interpret.image.writer.save_figure"),
    ],
)
def test_a_verb_without_partial_results_leaves_no_temporary_file(
    attendet: Callable[..., CommandResult],
    terminate: Callable[..., None],
    weights: Path,
    tmp_path: Path,
    command: str,
    during: str,
) -> None:
    write_set(tmp_path / "set", train=2, val=2)
    terminate(during)
    done = attendet(*shlex.split(command.format(weights=weights)))
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (143, ["interrupted"])
    assert remove_leftovers(tmp_path) == []
    new = tmp_path / "new"
    # A validation that is complete, but whose files are not.
    assert not new.exists() or [path.name for path in new.iterdir()] == ["metrics.json"]


def test_explanations_of_the_images_so_far_are_written(
    attendet: Callable[..., CommandResult], terminate: Callable[..., None], weights: Path, tmp_path: Path
) -> None:
    for name in "abc":
        Image.new("RGB", (64, 64)).save(tmp_path / f"{name}.png")
    # The second figure of the second image.
    terminate("attendet.interpret.image.writer.save_figure", call=4)
    done = attendet("explain", weights, "a.png", "b.png", "c.png", "--imgsz", "64", "--out", "made")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (143, "interrupted: explained 1 image: made")
    assert {path.name for path in (tmp_path / "made").iterdir()} == {
        *(f"001-a.{suffix}" for suffix in ("png", "svg", "npz")),
        "index.html",
        "manifest.json",
    }
    manifest = json.loads((tmp_path / "made" / "manifest.json").read_text())
    assert [Path(image["image"]).name for image in manifest["images"]] == ["a.png"]
    page = (tmp_path / "made" / "index.html").read_text()
    assert page.count("<section") == 1
    assert page.rstrip().endswith("</html>")


def test_a_download_can_be_continued(
    attendet: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch(_: str, target: Path, **__: object) -> None:
        target.with_name(f"{target.name}.part").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("attendet.data.download.public_data.fetch", fetch)
    done = attendet("data", "get", "bccd")
    assert (done.returncode, done.stderr.splitlines()[-1:]) == (143, ["interrupted"])
    folder = download_folder(tmp_path / "bccd")
    assert [path.name for path in folder.iterdir()] == ["archive.zip.part"]


def test_an_interrupted_study_records_no_failure(
    attendet: Callable[..., CommandResult], terminate: Callable[..., None], tmp_path: Path
) -> None:
    file = write_small(tmp_path, "{a: , b: se:reduction=2@after:Conv}")
    terminate("attendet.study.runs.job.train")
    done = attendet("study", "run", file, "--out", "made")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (143, "interrupted: the same command continues")
    assert list((tmp_path / "made").rglob("*.json")) == [tmp_path / "made" / "study.json"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_training_process_ends_in_order_and_can_be_resumed(tmp_path: Path, number: signal.Signals) -> None:
    data, model = write_set(tmp_path / "set"), tmp_path / "small.yaml"
    model.write_text(MODEL)
    flags = f"--data {data} --cfg {model} --imgsz 64 --epochs 900 --batch-size 4 --workers 1 --device cpu --noval"
    run = tmp_path / "runs" / "train" / "exp"
    done = run_and_interrupt(
        ["train", *flags.split()], tmp_path, when=(run / "checkpoint" / "last.ckpt").exists, number=number
    )
    assert done.returncode == 128 + number, done.stderr
    assert done.stderr.splitlines()[-1] == "interrupted: continue from the last completed epoch with --resume"
    assert "Traceback" not in done.stderr
    assert json.loads((run / "run.json").read_text())["finished"] is False
    assert not (run / ".lock").exists()
    assert remove_leftovers(tmp_path) == []
