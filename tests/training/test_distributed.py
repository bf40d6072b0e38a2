"""Two processes with half a batch each give the same result as one process with the whole batch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attendet.training.preparation import create_data_module, prepare_run
from attendet.training.run_folder import RunFolder
from attendet.training.runner import train
from tests.helpers.small_training import (
    ANCHOR_FREE_MODEL,
    LOSS_PARTS,
    RecordingReporter,
    rows_of,
    small,
    write_set,
)

COMMAND = """
import attendet.training.runner as engine
from attendet.cli.main import run
engine.draw_data = engine.draw_results = lambda *_: None
run()
"""


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize("text", LOSS_PARTS, ids=["anchors", "anchor-free"])
def test_two_processes_equal_one(tmp_path: Path, text: str) -> None:
    # A batch norm sees only the images of its process, so the convolutions are plain, and norms in the head are frozen.
    model = tmp_path / "plain.yaml"
    frozen = (4, 5) if text == ANCHOR_FREE_MODEL else ()
    model.write_text(text.replace(" Conv,", " nn.Conv2d,").replace("3, 2]]", "3, 2, 1]]"))
    # One process validates two of the three images.
    data = write_set(tmp_path / "set", train=12, val=3)
    settings = {
        "optimizer__name": "SGD",
        "optimizer__lr0": 0.01,
        "optimizer__nominal_batch": 4,
        "model__freeze": frozen,
    }
    single_run, _ = train(small(data, model, tmp_path / "alone", **settings), RecordingReporter())

    script = tmp_path / "command.py"
    script.write_text(COMMAND)
    flags = f"""--data {data} --cfg {model} --imgsz 64 --epochs 2 --batch-size 4 --workers 0 --device cpu --devices 2
        --project {tmp_path / "runs"} --optimizer SGD --set optimizer.lr0=0.01 --set optimizer.nominal_batch=4"""
    flags += f" --freeze {','.join(map(str, frozen))}" if frozen else ""
    command = [sys.executable, str(script), "train", *flags.split(), "--json"]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603
    assert process.returncode == 0, process.stderr
    assert "Traceback" not in process.stderr
    assert "Warning" not in process.stderr

    # Only the first process writes files and logs.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["alone", "command.py", "plain.yaml", "runs", "set"]
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["exp"]
    folder = RunFolder(tmp_path / "runs" / "exp")
    assert process.stderr.count("train: 12 images") == 1
    assert process.stderr.count("   1/2") == 1
    record = json.loads(process.stdout)
    assert record == json.loads(folder.record.read_text())
    assert record["metrics"]["images"] == 3

    for one, two in zip(rows_of(single_run), rows_of(folder), strict=True):
        for key in (f"train/{part}_loss" for part in LOSS_PARTS[text]):
            # The results have six digits.
            assert float(two[key]) == pytest.approx(float(one[key]), rel=2e-5), key
        assert float(two["metrics/mAP_0.5"]) == pytest.approx(float(one["metrics/mAP_0.5"]), abs=1e-4)
    single, double = load_file(single_run.last), load_file(folder.last)
    for key, value in single.items():
        torch.testing.assert_close(double[key], value, rtol=1e-5, atol=1e-5)


def test_the_memory_is_shared_by_the_processes_of_a_machine(data: Path, model: Path, tmp_path: Path) -> None:
    settings = {"hardware__devices": 2, "hardware__num_nodes": 3}
    prepared = prepare_run(small(data, model, tmp_path, **settings), RecordingReporter())
    # The first process creates the data module before the trainer, to draw plots.
    assert create_data_module(prepared, RunFolder(tmp_path / "exp"), RecordingReporter()).loading.local_processes == 2
