"""Results and weights in the folder of a run."""

import math
from pathlib import Path

import pytest

from attendet.errors import DataError
from attendet.training.run_folder import RunFolder, read_results, write_results


def test_results_are_read(tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    file.write_text("epoch,train/box_loss,metrics/mAP_0.5:0.95\n1,0.125,nan\n2,6.1e-05,0.5\n")
    first, second = read_results(file)
    assert math.isnan(first.pop("metrics/mAP_0.5:0.95"))
    assert first == {"epoch": 1, "train/box_loss": 0.125}
    assert second == {"epoch": 2, "train/box_loss": 0.000061, "metrics/mAP_0.5:0.95": 0.5}
    file.write_text("epoch,seconds\n")
    assert read_results(file) == []


def test_written_results_are_read(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "a": 0.123456, "b": math.inf}, {"epoch": 2, "a": 1e-9, "b": -3.0}]
    folder = RunFolder(tmp_path)
    write_results(folder, rows)
    assert read_results(folder.results) == rows


@pytest.mark.parametrize("text", [b"epoch,a\n1,\n", b"epoch,a\n1\n", b"epoch,a\n1,2,3\n"])
def test_invalid_results(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "results.csv").write_bytes(text)
    with pytest.raises(DataError, match=r"results\.csv: every row of the results must have a number in each column"):
        read_results(tmp_path / "results.csv")


def test_missing_results(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"results\.csv: the file cannot be read: No such file"):
        read_results(tmp_path / "results.csv")
    (tmp_path / "results.csv").write_bytes(b"epoch,a\n1,\xff\n")
    with pytest.raises(DataError, match=r"results\.csv: the file is not UTF-8 text"):
        read_results(tmp_path / "results.csv")


def test_the_last_weights_are_used_without_best_weights(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.last.parent.mkdir()
    folder.last.touch()
    assert folder.weights == folder.last
    folder.best.touch()
    assert folder.weights == folder.best
