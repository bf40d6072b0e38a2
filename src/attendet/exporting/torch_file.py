"""Programs of torch.export as `.pt2` files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch.export import ExportedProgram

from attendet.runtimes.file_description import METADATA_KEY, FileDescription
from attendet.runtimes.torch_program import read_program
from attendet.utils.io import write_atomically


def write_program(program: ExportedProgram, path: Path, description: FileDescription) -> None:
    """Write a program as a `.pt2` file.

    The file has no example inputs and no guards: `ProgramRuntime` checks the shape of images itself, and torch would
    compile guards as Python code.

    Args:
        program: The program.
        path: The file.
        description: What the file contains.

    Raises:
        OutputError: If the file cannot be written.
    """
    example, guards = program._example_inputs, program._guards_code  # noqa: SLF001 - neither has a public setter
    program._example_inputs, program._guards_code = None, []  # noqa: SLF001
    try:
        with write_atomically(path) as temporary:
            torch.export.save(program, temporary, extra_files={METADATA_KEY: description.to_json()})
    finally:
        program._example_inputs, program._guards_code = example, guards  # noqa: SLF001


def describe_program(path: Path, description: FileDescription) -> None:
    """Replace the description in a `.pt2` file, for example after the parity was measured.

    Raises:
        WeightsError: If the file cannot be read.
        OutputError: If the file cannot be written.
    """
    program, _ = read_program(path)
    write_program(program, path, description)
