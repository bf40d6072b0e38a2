"""Names of devices as users write them, and errors about a lack of memory."""

from __future__ import annotations

import errno
import re

import torch

from attendet.errors import OptionError
from attendet.utils.text import short_repr

# [0-9] instead of \d or isdigit: those accept characters such as "²" that int() rejects.
_CUDA_INDICES = re.compile(r"(?:cuda:)?([0-9]{1,6}(?:,[0-9]{1,6})*)")


def parse_device(name: str) -> tuple[str, tuple[int, ...]]:
    """Return the type of a device and the indices of its GPUs.

    Args:
        name: `auto` or an empty string (a GPU if there is one, otherwise the CPU), `cpu`, `cuda`, a GPU (`0` or
            `cuda:0`), or several GPUs (`0,1`). Upper case and spaces are accepted.

    Returns:
        `"cpu"` or `"cuda"`, and the indices that `name` lists; an empty tuple if it lists none.

    Raises:
        OptionError: If the name is invalid, or the device does not exist on this machine.

    Example:
        >>> parse_device("CPU")
        ('cpu', ())
        >>> parse_device("tpu")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: `device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got 'tpu'
    """
    normalized = "".join(name.lower().split())
    if match := _CUDA_INDICES.fullmatch(normalized):
        return "cuda", _existing_gpus([int(index) for index in match[1].split(",")])
    if normalized in ("", "auto"):
        normalized = "cuda" if torch.cuda.is_available() else "cpu"
    if normalized not in ("cpu", "cuda"):
        raise OptionError(f"`device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got {short_repr(name)}")
    if normalized == "cuda" and not torch.cuda.is_available():
        raise OptionError("CUDA is not available on this machine", remedy="choose the device cpu")
    return normalized, ()


def resolve_device(name: str) -> str:
    """Return the name that torch has for a device; if several GPUs are listed, that of the first.

    Args:
        name: A device, as `parse_device` accepts it.

    Raises:
        OptionError: If the name is invalid, or the device does not exist on this machine.

    Example:
        >>> resolve_device("cpu")
        'cpu'
    """
    device_type, indices = parse_device(name)
    return f"{device_type}:{indices[0]}" if indices else device_type


def _existing_gpus(indices: list[int]) -> tuple[int, ...]:
    count = torch.cuda.device_count()
    if max(indices) >= count:
        remedy = f"this machine has the devices 0 to {count - 1}" if count else "choose the device cpu"
        raise OptionError(f"CUDA device {max(indices)} not found", remedy=remedy)
    if len(set(indices)) < len(indices):
        raise OptionError(f"`device` must list each GPU once, got {','.join(map(str, indices))}")
    return tuple(indices)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that the memory of the machine or of a GPU was not enough.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("sizes do not match"))
        (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # torch has no class for a failed allocation on the CPU.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
