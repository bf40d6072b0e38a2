"""Programs of torch.export as ONNX files."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from torch.export import ExportedProgram

from attendet.errors import Location, OptionError, WeightsError
from attendet.exporting.onnx_selection import onnx_translation
from attendet.runtimes.exported_file import first_line
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY, FileDescription
from attendet.utils.io import write_atomically

# Protocol buffers hold at most 2 GiB, and one file holds everything.
_MAX_BYTES = 2**31 - 1
_AXES = ("batch", "channels", "height", "width")


def write_onnx(program: ExportedProgram, path: Path, description: FileDescription, opset: int = 20) -> None:
    """Write a program as one ONNX file.

    Args:
        program: The program; its input is the images.
        path: The file.
        description: What the file contains.
        opset: Version of the ONNX operators.

    Raises:
        OptionError: If onnx or onnxscript is not installed, or the network cannot be expressed in ONNX.
        OutputError: If the file cannot be written.
    """
    onnx = require("onnx", "export", f"write {path.name}")
    require("onnxscript", "export", f"write {path.name}")
    translations = {torch.ops.attendet.select_detections.default: onnx_translation(opset)}
    try:
        with _quiet():
            converted = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=opset,
                input_names=["images"],
                output_names=list(description.outputs),
                custom_translation_table=translations,
                verbose=False,
            )
    except Exception as error:  # the converter raises errors of many classes
        # The converter wraps the reason in instructions for reporting it.
        cause = error.__cause__ or error
        reason = f"{type(cause).__name__}: {first_line(cause)}"
        raise OptionError(f"the network cannot be expressed in ONNX opset {opset}: {reason}") from error
    if converted is None:
        raise OptionError(f"the network cannot be expressed in ONNX opset {opset}")
    model = converted.model_proto
    _remove_notes(model)
    if model.ByteSize() > _MAX_BYTES:
        raise OptionError(f"an ONNX file must have less than 2 GiB, got {model.ByteSize():,} bytes")
    onnx.helper.set_model_props(model, {METADATA_KEY: description.to_json()})
    with write_atomically(path) as temporary:
        onnx.save_model(model, str(temporary))


def describe_onnx(path: Path, description: FileDescription) -> None:
    """Replace the description in an ONNX file, for example after the parity was measured.

    Raises:
        WeightsError: If the file cannot be read.
        OutputError: If the file cannot be written.
    """
    onnx = require("onnx", "export", f"write {path.name}")
    try:
        model = onnx.load_model(str(path), load_external_data=False)
    except (OSError, ValueError) as error:
        raise WeightsError("the file is not an ONNX file", where=Location(str(path))) from error
    onnx.helper.set_model_props(model, {METADATA_KEY: description.to_json()})
    with write_atomically(path) as temporary:
        onnx.save_model(model, str(temporary))


def _remove_notes(model: object) -> None:
    """Remove the notes of the converter about modules and source files, which contain paths of this machine."""
    pending = [model.graph, *model.functions]  # pyright: ignore[reportAttributeAccessIssue]
    for part in pending:
        del part.metadata_props[:]
        for node in part.node:
            del node.metadata_props[:]
            node.ClearField("doc_string")
    graph = pending[0]
    for value in (*graph.input, *graph.output, *graph.value_info):
        del value.metadata_props[:]
    for tensor in graph.initializer:
        del tensor.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the progress lines, the log, and the warnings of the converter about itself."""
    log = logging.getLogger("torch.onnx")
    disabled = log.disabled
    log.disabled = True
    try:
        with redirect_stdout(StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.disabled = disabled
