"""Devices as people write them, on machines with as many GPUs as a test says."""

import pytest
import torch

from attendet.errors import OptionError
from attendet.training.config import HardwareConfig
from attendet.training.hardware import accelerator_of
from attendet.utils.devices import resolve_device, parse_device


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)


@pytest.mark.parametrize(
    ("name", "without", "with_two"),
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
    monkeypatch: pytest.MonkeyPatch, name: str, without: str | None, with_two: str | None
) -> None:
    for gpus, expected in ((0, without), (2, with_two)):
        with_gpus(monkeypatch, gpus)
        if expected is not None:
            assert resolve_device(name) == expected
            continue
        with pytest.raises(OptionError):
            resolve_device(name)


def test_several_gpus_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 3)
    assert parse_device("2,0") == ("cuda", (2, 0))
    with pytest.raises(OptionError, match="`device` must list each GPU once, got 1,1"):
        parse_device("1,1")


@pytest.mark.parametrize(
    ("device", "devices", "expected"),
    [("auto", None, ("cuda", 1)), ("cuda", 2, ("cuda", 2)), ("0,1", None, ("cuda", [0, 1])), ("cpu", 4, ("cpu", 4))],
)
def test_what_training_computes_on(
    monkeypatch: pytest.MonkeyPatch, device: str, devices: int | None, expected: tuple[str, object]
) -> None:
    with_gpus(monkeypatch, 2)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    assert accelerator_of(HardwareConfig(device=device, devices=devices)) == expected


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    with pytest.raises(OptionError, match="4 processes would share 1 GPU"):
        accelerator_of(HardwareConfig(device="cuda", devices=4))
    with pytest.raises(OptionError, match="--device 0 beside --devices 4"):
        accelerator_of(HardwareConfig(device="0", devices=4))
