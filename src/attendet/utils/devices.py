"""What users write for a device → what computes."""

from __future__ import annotations

import errno
import re

import torch

from attendet.errors import OptionError

# Decimal digits alone: `isdigit` takes "²" too, of which `int` knows nothing.
_NUMBERED = re.compile(r"(?:cuda:)?([0-9]{1,6}(?:,[0-9]{1,6})*)")


def read_device(name: str) -> tuple[str, tuple[int, ...]]:
    """Return the kind of device, `cpu` or `cuda`, and the numbers of the GPUs where they are named.

    Args:
        name: `auto` (a GPU where there is one), `cpu`, `cuda`, a GPU's number (`0`, `cuda:0`), or several (`0,1`). An
            empty name is `auto`; capitals and spaces do not matter.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> read_device("CPU")
        ('cpu', ())
        >>> read_device("tpu")
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: there is no device 'tpu'; write auto, cpu, cuda, 0 or 0,1
    """
    written = "".join(name.lower().split())
    if match := _NUMBERED.fullmatch(written):
        return "cuda", _existing([int(number) for number in match[1].split(",")])
    if written in ("", "auto"):
        written = "cuda" if torch.cuda.is_available() else "cpu"
    if written not in ("cpu", "cuda"):
        raise OptionError(f"there is no device {name!r}", remedy="write auto, cpu, cuda, 0 or 0,1")
    if written == "cuda" and not torch.cuda.is_available():
        raise OptionError("cuda is not available here", remedy="--device cpu computes without")
    return written, ()


def device_of(name: str) -> str:
    """Return torch's name for a device as users write it; of several, the first.

    Raises:
        OptionError: If there is no such device.

    Example:
        >>> device_of("cpu")
        'cpu'
    """
    kind, numbers = read_device(name)
    return f"{kind}:{numbers[0]}" if numbers else kind


def _existing(numbers: list[int]) -> tuple[int, ...]:
    count = torch.cuda.device_count()
    if max(numbers) >= count:
        remedy = f"there are {count}; --device cpu computes without"
        raise OptionError(f"there is no CUDA device {max(numbers)}", remedy=remedy)
    if len(set(numbers)) < len(numbers):
        raise OptionError(f"a CUDA device is named twice: {','.join(map(str, numbers))}", remedy="name each once")
    return tuple(numbers)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory did not suffice, a processor's or a GPU's.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("sizes do not match"))
        (True, False)
    """
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # Torch's error for a processor's memory has no class of its own.
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
