"""Programs of torch.export as ExecuTorch files, for phones and other small devices."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from attendet.errors import Location, OptionError, WeightsError
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY, FileDescription, read_description
from attendet.utils.io import read_bytes, write_atomically

_MAX_BYTES = 2**31
_SEPARATOR = f"\n{METADATA_KEY} ".encode()


def write_executorch(program: ExportedProgram, path: Path, description: FileDescription) -> None:
    """Write a program as a `.pte` file, with the operators of XNNPACK where it has them.

    The description is a line behind the program, which ExecuTorch does not read.

    Args:
        program: The program, of a fixed shape.
        path: The file.
        description: What the file contains.

    Raises:
        OptionError: If ExecuTorch is not installed, the program has no fixed shape, or ExecuTorch has no operator for
            it.
        OutputError: If the file cannot be written.
    """
    _require_fixed_shape(program)
    with _quiet():
        exir = require("executorch.exir", "executorch", f"write {path.name}")
        xnnpack = require(
            "executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch", f"write {path.name}"
        )
        try:
            lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()])
            content = bytes(lowered.to_executorch().buffer)
        except Exception as error:  # the converter raises errors of many classes
            first_line = (str(error).strip().splitlines() or ["no message"])[0]
            message = f"ExecuTorch cannot convert the network: {type(error).__name__}: {first_line}"
            raise OptionError(message, remedy="export it as onnx") from error
    _write(path, content, description)


def describe_executorch(path: Path, description: FileDescription) -> None:
    """Replace the description in a `.pte` file, for example after the parity was measured.

    Raises:
        WeightsError: If the file cannot be read, or has no description.
        OutputError: If the file cannot be written.
    """
    _write(path, _split(path)[0], description)


def read_executorch_description(path: Path) -> FileDescription:
    """Return the description in a `.pte` file.

    Raises:
        WeightsError: If the file cannot be read, or has no description.
        OptionError: If the description is damaged.
    """
    return read_description(_split(path)[1])


def run_executorch(path: Path, images: Tensor) -> tuple[Tensor, ...]:
    """Return the outputs of a `.pte` file, computed by the runtime of ExecuTorch.

    Args:
        path: The file.
        images: Images of the shape that the file takes.

    Raises:
        OptionError: If ExecuTorch is not installed, or the images have another shape.
        WeightsError: If the file cannot be read.
    """
    with _quiet():
        runtime = require("executorch.runtime", "executorch", f"read {path.name}").Runtime.get()
    try:
        # The method does not keep the program alive by itself.
        program = runtime.load_program(_split(path)[0])
        method = program.load_method("forward")
    except RuntimeError as error:
        raise WeightsError(f"ExecuTorch cannot read the file: {error}", where=Location(str(path))) from error
    expected = tuple(method.metadata.input_tensor_meta(0).sizes())
    if tuple(images.shape) != expected:
        raise OptionError(f"images must have the shape {expected} for this file, got {tuple(images.shape)}")
    # The tensors that it returns are memory of the method.
    return tuple(output.clone() for output in method.execute([images.contiguous()]))


def _write(path: Path, content: bytes, description: FileDescription) -> None:
    with write_atomically(path) as temporary:
        temporary.write_bytes(content + _SEPARATOR + description.to_json().encode() + b"\n")


def _split(path: Path) -> tuple[bytes, str]:
    """Return the program of a file, and the description behind it."""
    program, separator, description = read_bytes(path, _MAX_BYTES, WeightsError).rpartition(_SEPARATOR)
    if not separator:
        message = "the file was not exported by attendet: it does not describe its classes and boxes"
        raise WeightsError(message, where=Location(str(path)), remedy="export the weights with `attendet export`")
    return program, description.decode("utf-8", "replace")


def _require_fixed_shape(program: ExportedProgram) -> None:
    names = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        value: Any = node.meta.get("val")
        if node.name in names and isinstance(value, Tensor) and any(isinstance(s, torch.SymInt) for s in value.shape):
            message = "the program must have a fixed shape for ExecuTorch, which plans all memory in advance"
            raise OptionError(message, remedy="export it with `static`")


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
