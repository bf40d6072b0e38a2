"""Safetensors files, which hold tensors and text and nothing else."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.text import printable

_LENGTH_BYTES = 8
# A hundred bytes a tensor, and metadata that may hold a model file.
_LONGEST_HEADER = 32 * 1024 * 1024


def is_safetensors(head: bytes) -> bool:
    r"""Return whether a file with these first bytes is a safetensors file.

    Example:
        >>> is_safetensors(b"\x02\0\0\0\0\0\0\0{}"), is_safetensors(b"PK\x03\x04")
        (True, False)
    """
    # Zip archives and torch's pickles have no brace there, whatever length their first bytes would be.
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and length <= _LONGEST_HEADER


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        WeightsError: If it is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            # Copied, because the file's own memory changes or vanishes with the file.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (it is no mapping)
            return tensors, file.metadata() or {}
    except SafetensorError as error:
        raise WeightsError(f"it is a damaged safetensors file: {printable(str(error)[:200])}") from error
