"""A program of torch.export (`.pt2`) that torch runs."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export.passes import move_to_device_pass
from torch.export.pt2_archive._package import load_pt2

from attendet.detection import selection_operator as _registered  # noqa: F401 - programs may contain its operator
from attendet.errors import AttendetError, Location, WeightsError
from attendet.runtimes.exported_file import ExportedFile, description_of_file, first_line
from attendet.runtimes.file_description import METADATA_KEY
from attendet.runtimes.program_archive import require_harmless_program
from attendet.utils.devices import is_out_of_memory, resolve_device
from attendet.utils.regular_files import open_regular

_MAX_BYTES = 2**32


class ProgramRuntime(ExportedFile):
    """A program of torch.export that torch runs.

    Args:
        path: The file.
        device: `auto`, `cpu`, `cuda`, or the index of a GPU.

    Raises:
        OptionError: If the device does not exist.
        WeightsError: If the file cannot be read, or reading it could run code.
    """

    def __init__(self, path: Path, device: str = "auto") -> None:
        self._device = torch.device(resolve_device(device))
        program, text = read_program(path)
        super().__init__(path, description_of_file(text, path))
        try:
            if self._device.type != "cpu":
                program = move_to_device_pass(program, self._device)
            self._module = program.module(check_guards=False)
        except Exception as error:  # a program that contradicts itself causes errors of many classes
            if is_out_of_memory(error):
                raise
            message = f"torch cannot run the program: {first_line(error)}"
            raise WeightsError(message, where=Location(str(path)), remedy="export the weights again") from error

    @torch.inference_mode()
    def run_batch(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return all outputs for images (N, C, …)."""
        outputs = self._module(images.to(self._device))
        return tuple(outputs) if isinstance(outputs, tuple | list) else (outputs,)


def read_program(path: Path) -> tuple[Any, str | None]:
    """Return the program in a `.pt2` file, and its description.

    Raises:
        WeightsError: If the file cannot be read, or reading it could run code.
    """
    where = Location(str(path))
    with open_regular(path, WeightsError) as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise WeightsError(f"the file must have at most {_MAX_BYTES:,} bytes", where=where)
    try:
        require_harmless_program(io.BytesIO(content))
        # torch.export.load would fall back to an older format, which it unpickles.
        archive = load_pt2(io.BytesIO(content))
        return archive.exported_programs["model"], archive.extra_files.get(METADATA_KEY)
    except WeightsError as error:
        raise WeightsError(error.message, where=where, remedy="export the weights again") from error
    except AttendetError:
        raise
    except Exception as error:  # damaged archives and programs cause errors of many classes in torch's reader
        raise WeightsError("the file is not a program of torch.export, or it is damaged", where=where) from error
