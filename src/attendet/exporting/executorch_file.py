"""Programs of torch.export as ExecuTorch files, for phones and other small devices."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor
from torch.export import ExportedProgram

from attendet.errors import OptionError
from attendet.runtimes.executorch_program import join_executorch, split_executorch
from attendet.runtimes.exported_file import first_line
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import FileDescription
from attendet.utils.io import write_atomically


def write_executorch(program: ExportedProgram, path: Path, description: FileDescription) -> None:
    """Write a program as a `.pte` file, with the operators of XNNPACK where it has them.

    The description is a line behind the program, which ExecuTorch does not read.

    Args:
        program: The program, of a fixed shape.
        path: The file.
        description: What the file contains.

    Raises:
        OptionError: If ExecuTorch is not installed, the program has no fixed shape or was
            recorded with an example that is not contiguous, or ExecuTorch has no operator for
            it.
        OutputError: If the file cannot be written.
    """
    _require_plain_input(program)
    with _quiet():
        exir = require("executorch.exir", "executorch", f"write {path.name}")
        xnnpack = require(
            "executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch", f"write {path.name}"
        )
        try:
            lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
            content = bytes(lowered.to_executorch().buffer)
        except Exception as error:  # the converter raises errors of many classes
            message = f"ExecuTorch cannot convert the network: {type(error).__name__}: {first_line(error)}"
            raise OptionError(message, remedy="export it as onnx") from error
    _write(path, content, description)


def describe_executorch(path: Path, description: FileDescription) -> None:
    """Replace the description in a `.pte` file, for example after the parity was measured.

    Raises:
        WeightsError: If the file cannot be read.
        OutputError: If the file cannot be written.
    """
    _write(path, split_executorch(path)[0], description)


def _write(path: Path, program: bytes, description: FileDescription) -> None:
    with write_atomically(path) as temporary:
        temporary.write_bytes(join_executorch(program, description.to_json()))


def _require_plain_input(program: ExportedProgram) -> None:
    """Raise an error if the input has no fixed shape, or another memory format than images have in the runtime."""
    names = set(program.graph_signature.user_inputs)
    for value in (node.meta.get("val") for node in program.graph.nodes if node.name in names):
        if not isinstance(value, Tensor):
            continue
        if any(isinstance(side, torch.SymInt) for side in value.shape):
            message = "the program must have a fixed shape for ExecuTorch, which plans all memory in advance"
            raise OptionError(message, remedy="export it with `static`")
        if not value.is_contiguous():
            # ExecuTorch writes such a program without an error, and then fails to run it.
            message = f"the example must be contiguous for ExecuTorch, got strides {tuple(value.stride())}"
            raise OptionError(message, remedy="call `contiguous` on the example")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the log, the progress lines, and the warnings of ExecuTorch about itself."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
