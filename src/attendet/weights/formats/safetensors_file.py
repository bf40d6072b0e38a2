"""Read safetensors files, which contain tensors and text metadata only."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open
from torch import Tensor

from attendet.errors import WeightsError
from attendet.utils.text import printable, shorten

_LENGTH_BYTES = 8
# A header has about 100 bytes per tensor, and its metadata may contain a model file.
_MAX_HEADER_BYTES = 32 * 1024 * 1024


def is_safetensors(head: bytes) -> bool:
    r"""Return whether a file that starts with these bytes is a safetensors file.

    Example:
        >>> is_safetensors(b"\x02\0\0\0\0\0\0\0{}"), is_safetensors(b"PK\x03\x04")
        (True, False)
    """
    # The ninth byte of a zip archive or pickle is never a brace, even if the first eight bytes could be a length.
    length = int.from_bytes(head[:_LENGTH_BYTES], "little")
    return head[_LENGTH_BYTES : _LENGTH_BYTES + 1] == b"{" and length <= _MAX_HEADER_BYTES


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors and the metadata of a safetensors file.

    Raises:
        WeightsError: If the file is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            # Cloned because the tensors are views of the mapped file, which can change or vanish.
            tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118 (not a mapping)
            return tensors, file.metadata() or {}
    except (SafetensorError, TypeError, ValueError, RuntimeError) as error:
        # A shape of impossible sides fails in torch.
        message = next(iter(str(error).splitlines()), "")
        raise WeightsError(f"the safetensors file is damaged: {printable(shorten(message, 200))}") from error
