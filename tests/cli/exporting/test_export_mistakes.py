"""Mistakes in `attendet export` that are found before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.command import CommandResult
from tests.helpers.small_training import MODEL

Run = Callable[..., CommandResult]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", ","], "--format must name at least one format, got none"),
        (["--format", "onnx,executorch"], "`static` must be given for executorch"),
        (["--format", "onnx,ncnn", "--static", "--batch", 2], "`batch` must be 1 for ncnn, got 2"),
    ],
)
def test_a_format_that_is_impossible_stops_all(
    attendet: Run, tmp_path: Path, arguments: list[object], message: str
) -> None:
    model = tmp_path / "small.yaml"
    model.write_text(MODEL)
    code, out, err = attendet("export", model, "--imgsz", 64, "--out", tmp_path / "o", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert not (tmp_path / "o").exists()


def test_an_exported_file_is_not_exported_again(attendet: Run, tmp_path: Path) -> None:
    file = tmp_path / "best.onnx"
    file.write_bytes(b"onnx")
    code, out, err = attendet("export", file)
    assert (code, out) == (2, "")
    assert f"{file}: an exported file cannot be exported again; name the weights that it was exported from" in err
