"""An ExecuTorch program (`.pte`), for phones and other small devices."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from torch import Tensor

from attendet.errors import Location, WeightsError
from attendet.runtimes.exported_file import ExportedFile, description_of_file
from attendet.runtimes.extras import require
from attendet.runtimes.file_description import METADATA_KEY
from attendet.utils.io import read_bytes

_MAX_BYTES = 2**31
_SEPARATOR = f"\n{METADATA_KEY} ".encode()


class ExecutorchRuntime(ExportedFile):
    """An ExecuTorch program that the runtime of ExecuTorch runs on the CPU.

    Args:
        path: The file.

    Raises:
        OptionError: If ExecuTorch is not installed.
        WeightsError: If the file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with warnings.catch_warnings():
            # It warns that its Python interface may change.
            warnings.simplefilter("ignore")
            runtime = require("executorch.runtime", "executorch", f"read {path.name}").Runtime.get()
        content, description = split_executorch(path)
        super().__init__(path, description_of_file(description, path))
        try:
            # A method does not keep its program alive.
            self._program = runtime.load_program(content)
            self._method = self._program.load_method("forward")
        except RuntimeError as error:
            raise WeightsError(f"ExecuTorch cannot read the file: {error}", where=Location(str(path))) from error

    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …) on the CPU."""
        # The tensors that it returns are memory of the method, and are written again by the next call.
        return tuple(output.clone(memory_format=torch.contiguous_format) for output in self._execute(images))

    def _execute(self, images: Tensor) -> tuple[Tensor, ...]:
        try:
            return tuple(self._method.execute([images.contiguous()]))
        except RuntimeError as error:
            message = f"ExecuTorch cannot run images of shape {tuple(images.shape)}: {error}"
            raise WeightsError(message, where=Location(str(self.path))) from error


def split_executorch(path: Path) -> tuple[bytes, str | None]:
    """Return the program in a `.pte` file and the description behind it, or None if it has no description.

    Raises:
        WeightsError: If the file cannot be read.
    """
    content = read_bytes(path, _MAX_BYTES, WeightsError)
    program, separator, description = content.rpartition(_SEPARATOR)
    return (program, description.decode("utf-8", "replace")) if separator else (content, None)


def join_executorch(program: bytes, description: str) -> bytes:
    r"""Return the content of a `.pte` file with a description as its last line, which ExecuTorch does not read.

    Example:
        >>> join_executorch(b"program", "{}")
        b'program\nattendet {}\n'
    """
    return program + _SEPARATOR + description.encode() + b"\n"
