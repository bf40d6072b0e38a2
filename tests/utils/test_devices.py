"""Devices as users write them, on machines with and without GPUs, and errors about a lack of memory."""

import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from attendet.errors import OptionError
from attendet.training.config_sections import HardwareConfig
from attendet.training.hardware import resolve_accelerator
from attendet.utils.devices import is_out_of_memory, parse_device, resolve_device


def set_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)


@pytest.mark.parametrize(
    ("name", "without_gpus", "with_two_gpus"),
    [
        ("auto", "cpu", "cuda"),
        ("", "cpu", "cuda"),
        ("CPU", "cpu", "cpu"),
        (" cuda", None, "cuda"),
        ("1", None, "cuda:1"),
        ("cuda:1", None, "cuda:1"),
        ("1, 0", None, "cuda:1"),
        ("0,0", None, None),
        ("2", None, None),
        ("²", None, None),
        ("9" * 5000, None, None),
        ("cuda:", None, None),
        ("-1", None, None),
        ("0,", None, None),
        ("mps", None, None),
        ("meta", None, None),
    ],
)
def test_the_device_for_a_name(
    monkeypatch: pytest.MonkeyPatch, name: str, without_gpus: str | None, with_two_gpus: str | None
) -> None:
    for gpus, expected in ((0, without_gpus), (2, with_two_gpus)):
        set_gpus(monkeypatch, gpus)
        if expected is not None:
            assert resolve_device(name) == expected
            continue
        with pytest.raises(OptionError):
            resolve_device(name)


@pytest.mark.parametrize(
    ("name", "gpus", "message"),
    [
        ("tpu", 0, "`device` must be auto, cpu, cuda, or GPU indices such as 0 or 0,1, got 'tpu'"),
        ("cuda", 0, "CUDA is not available on this machine; choose the device cpu"),
        ("0", 0, "CUDA device 0 not found; choose the device cpu"),
        ("1,4", 2, "CUDA device 4 not found; this machine has the devices 0 to 1"),
        ("1,1", 3, "`device` must list each GPU once, got 1,1"),
    ],
)
def test_a_device_that_does_not_exist_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str, gpus: int, message: str
) -> None:
    set_gpus(monkeypatch, gpus)
    with pytest.raises(OptionError) as caught:
        parse_device(name)
    assert str(caught.value) == message


def test_several_gpus_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 3)
    assert parse_device("2,0") == ("cuda", (2, 0))


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [("auto", None, ("cuda", 1)), ("cuda", 2, ("cuda", 2)), ("0,1", None, ("cuda", [0, 1])), ("cpu", 4, ("cpu", 4))],
)
def test_the_accelerator_of_a_training_run(
    monkeypatch: pytest.MonkeyPatch, device: str, devices: int | None, expected: tuple[str, object]
) -> None:
    set_gpus(monkeypatch, 2)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert resolve_accelerator(HardwareConfig(device=device, devices=devices)) == expected


def test_more_processes_than_gpus_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 1)
    with pytest.raises(OptionError, match="`devices` must be at most the number of GPUs, got 4 for 1 GPU"):
        resolve_accelerator(HardwareConfig(device="cuda", devices=4))
    message = r"`devices` must be the number of GPUs in `device` \(0\), got 4; set only one of them"
    with pytest.raises(OptionError, match=message):
        resolve_accelerator(HardwareConfig(device="0", devices=4))


@pytest.mark.parametrize(
    "allocate",
    [
        lambda: np.empty(2**60, np.uint8),
        lambda: torch.empty(2**60, dtype=torch.uint8),
        lambda: mmap.mmap(-1, 2**60),
        lambda: bytearray(2**60),
    ],
    ids=["numpy", "torch", "system", "python"],
)
def test_more_memory_than_any_machine_has(allocate: Callable[[], object]) -> None:
    with pytest.raises((MemoryError, RuntimeError, OSError)) as caught:
        allocate()
    assert is_out_of_memory(caught.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_more_memory_than_any_gpu_has() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**50, dtype=torch.uint8, device="cuda")
    assert is_out_of_memory(caught.value)


@pytest.mark.parametrize(
    "fail",
    [lambda: torch.zeros(2) + torch.zeros(3), lambda: Path("/nowhere/at/all").read_bytes(), lambda: np.zeros(2)[5]],
    ids=["torch", "system", "numpy"],
)
def test_other_errors_are_not_about_memory(fail: Callable[[], object]) -> None:
    with pytest.raises((RuntimeError, OSError, IndexError)) as caught:
        fail()
    assert not is_out_of_memory(caught.value)
