"""Packages that only some file formats need, present, missing, and broken."""

import json
import sys
from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.runtimes.extras import require


def test_an_installed_module_is_returned():
    assert require("json", "export", "read x.onnx") is json


def test_a_missing_module_is_one_line_with_the_command():
    with pytest.raises(OptionError) as caught:
        require("no_such_runtime", "ncnn", "read x.param")
    assert str(caught.value) == "`no_such_runtime` must be installed to read x.param; pip install 'attendet[ncnn]'"


def test_a_module_in_a_missing_package_is_missing():
    with pytest.raises(OptionError, match="must be installed"):
        require("no_such_package.part", "export", "read x.onnx")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("import package_that_is_missing", "must have the package 'package_that_is_missing'"),
        ("raise ImportError('libgomp.so.1: cannot open shared object file')", "libgomp.so.1"),
    ],
)
def test_the_reason_for_a_module_that_cannot_be_loaded_is_in_the_message(
    tmp_path: Path, monkeypatch, content: str, message: str
):
    (tmp_path / "broken_runtime.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "broken_runtime", raising=False)
    with pytest.raises(OptionError, match=message):
        require("broken_runtime", "ncnn", "read x.param")
