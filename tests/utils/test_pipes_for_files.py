"""A pipe without a writer, in the place of any file that a user names, is an error at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

READERS = """
import sys
from pathlib import Path
from attendet.data.formats.coco import read_coco
from attendet.data.reading import data_source
from attendet.errors import AttendetError
from attendet.models.printed_table import load_printed_table
from attendet.models.yaml.lookup import load_model_file
from attendet.study.design.design_file import read_design
from attendet.study.searching.search_design import read_search
from attendet.training.hyperparameters import read_hyperparameters
from attendet.training.run_folder import RunFolder, read_results, read_run
from attendet.weights import read_checkpoint
from attendet.weights.io.file_digests import compare_digest
folder = Path(sys.argv[1])
for read in (
    lambda: load_model_file(folder / "pipe.yaml"),
    lambda: data_source.open(folder / "pipe.yaml"),
    lambda: data_source.open(folder / "pipe.json"),
    lambda: read_coco(folder / "pipe.json"),
    lambda: read_hyperparameters(folder / "pipe.yaml"),
    lambda: read_design(folder / "pipe.yaml"),
    lambda: read_search(folder / "pipe.yaml"),
    lambda: read_run(RunFolder(folder)),
    lambda: read_results(folder / "results.csv"),
    lambda: read_checkpoint(folder / "pipe.pt"),
    lambda: compare_digest(folder / "pipe.pt"),
    lambda: load_printed_table(folder / "pipe.txt"),
):
    try:
        read()
        print("read")
    except AttendetError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_no_reader_waits(tmp_path: Path) -> None:
    for name in ("pipe.yaml", "pipe.json", "pipe.pt", "pipe.txt", "run.json", "results.csv"):
        os.mkfifo(tmp_path / name)
    command = [sys.executable, "-c", READERS, str(tmp_path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert (process.returncode, process.stderr) == (0, "")
    lines = process.stdout.splitlines()
    assert len(lines) == 12
    assert not [line for line in lines if f"{tmp_path}" not in line or line == "read"]
