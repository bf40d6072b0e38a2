"""Read safetensors files, which contain tensors and text metadata only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.limits import MAX_KEY_LENGTH
from attendet.utils.text import printable, shorten
from attendet.weights.unpickle.collection import MAX_ENTRIES
from attendet.weights.unpickle.tensors import check_sides

LENGTH_BYTES = 8
"""Bytes at the start of a file that state the length of its header."""

# A header has about 100 bytes per tensor, and its metadata may contain a model file.
_MAX_HEADER_BYTES = 32 * 1024 * 1024
# Types of less than a byte, which torch cannot compute with.
_PACKED = ("F4", "F6_")


def is_safetensors(head: bytes) -> bool:
    r"""Return whether a file that starts with these bytes is a safetensors file.

    Example:
        >>> is_safetensors(b"\x02\0\0\0\0\0\0\0{}"), is_safetensors(b"PK\x03\x04")
        (True, False)
    """
    # The ninth byte of a zip archive or pickle is never a brace, even if the first eight bytes could be a length.
    length = int.from_bytes(head[:LENGTH_BYTES], "little")
    return head[LENGTH_BYTES : LENGTH_BYTES + 1] == b"{" and length <= _MAX_HEADER_BYTES


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        WeightsError: If the file is damaged, or has tensors that no network has.
    """
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys()
            if len(keys) > MAX_ENTRIES:
                raise WeightsError(f"the file has more than {MAX_ENTRIES:,} tensors")
            for key in keys:
                _check_entry(key, file.get_slice(key))
            # Cloned because the tensors are views of the mapped file, which can change or vanish.
            return {key: file.get_tensor(key).clone() for key in keys}, file.metadata() or {}
    except (SafetensorError, TypeError, ValueError, RuntimeError) as error:
        # A shape of impossible sides fails in torch.
        message = next(iter(str(error).splitlines()), "")
        raise WeightsError(f"the safetensors file is damaged: {printable(shorten(message, 200))}") from error


def _check_entry(key: str, entry: Any) -> None:
    """Raise an error if torch cannot create a tensor that a file describes, before its bytes are read."""
    if len(key) > MAX_KEY_LENGTH:
        raise WeightsError(f"the keys of tensors must have at most {MAX_KEY_LENGTH} characters, got {len(key):,}")
    try:
        check_sides(entry.get_shape())
    except WeightsError as error:
        raise WeightsError(f"{printable(key)}: {error.message}") from error
    dtype = str(entry.get_dtype())
    if dtype.startswith(_PACKED):
        raise WeightsError(
            f"{printable(key)}: tensors of the type {dtype} are not supported", remedy="save it as float16"
        )
