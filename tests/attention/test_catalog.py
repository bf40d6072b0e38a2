"""The catalog of attention modules: names, options, documentation, and numbers of parameters."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from attendet.attention import Attention, create
from attendet.attention.catalog import attentions
from attendet.errors import OptionError, UnknownNameError
from tests.attention.contract_cases import CHANNELS


def test_is_documented(name: str) -> None:
    attention = attentions.get(name)
    assert issubclass(attention, Attention)
    # SimAM is not on arXiv, and PMLR papers have no DOI.
    identifiers = ["no paper"] if name.startswith(("control-", "ultralytics-")) else ["arXiv", "doi", "PMLR"]
    assert any(identifier in attention.paper for identifier in identifiers)
    document = inspect.getdoc(attention) or ""
    assert "Parameters" in document or "parameters" in document
    for option in list(inspect.signature(attention).parameters):
        assert f"{option}:" in document, option
    assert repr(create(name, CHANNELS)).startswith(attention.__name__)


def test_names_and_options_that_do_not_exist() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'cbam'"):
        create("cbamm", 64)
    with pytest.raises(OptionError, match="did you mean 'reduction'"):
        create("cbam", 64, reductoin=8)
    assert type(create("CBAM", 64)) is type(create("cbam", 64))


@pytest.mark.parametrize(
    ("name", "options", "formula"),
    [
        ("cbam", {"variant": "plain"}, lambda c: 2 * c * (c // 16) + 2 * 49),
        ("cbam", {"variant": "biased"}, lambda c: 2 * c * (c // 16) + c // 16 + c + 2 * 49 + 1),
        ("cbam", {"variant": "authors"}, lambda c: 2 * c * (c // 16) + c // 16 + c + 2 * 49 + 2),
        ("cbam", {"variant": "timm"}, lambda c: 2 * c * (c // 16) + 2 * 49 + 2),
        ("cbam", {"variant": "plain", "reduction": 8}, lambda c: 2 * c * (c // 8) + 2 * 49),
        ("cbam", {"dims": 1}, lambda c: 2 * c * (c // 16) + 2 * 7),
        ("cbam", {"dims": 3}, lambda c: 2 * c * (c // 16) + 2 * 343),
        ("bam", {}, lambda c: bam_formula(c, c // 16, 9)),
        ("bam", {"reduction": 8}, lambda c: bam_formula(c, c // 8, 9)),
        ("bam", {"dims": 1}, lambda c: bam_formula(c, c // 16, 3)),
        ("se", {}, lambda c: 2 * c * (c // 16)),
        ("se", {"bias": True, "reduction": 8}, lambda c: 2 * c * (c // 8) + c // 8 + c),
        ("eca", {}, lambda c: {64: 3, 96: 3, 256: 5}[c]),
        ("eca", {"kernel_size": 7}, lambda _: 7),
        ("coordinate", {}, lambda c: (8 * c + 8) + 16 + 2 * (8 * c + c)),
        ("coordinate", {"reduction": 4}, lambda c: (c * (c // 4) + c // 4) + c // 2 + 2 * (c * (c // 4) + c)),
        ("simam", {}, lambda _: 0),
        ("simam", {"start": "identity"}, lambda _: 1),
        ("scse", {}, lambda c: c * c + c),
        ("scse", {"reduction": 16, "bias": True}, lambda c: 2 * c * (c // 16) + c + c // 16 + c + 1),
        ("gc", {}, lambda c: (c + 1) + (c * (c // 16) + c // 16) + 2 * (c // 16) + (c * (c // 16) + c)),
        ("sk", {}, lambda c: 2 * (9 * c * c // 32 + 2 * c) + c * 32 + 64 + 2 * c * 32),
        (
            "sk",
            {"branches": 3, "groups": 4, "reduction": 2},
            lambda c: (
                3 * (9 * c * c // 4 + 2 * c) + c * max(c // 2, 32) + 2 * max(c // 2, 32) + 3 * c * max(c // 2, 32)
            ),
        ),
        ("triplet", {}, lambda _: 6 * 49 + 6),
        ("triplet", {"kernel_size": 3}, lambda _: 6 * 9 + 6),
        ("shuffle", {}, lambda c: 3 * c // {64: 32, 96: 48, 256: 64}[c]),
        ("shuffle", {"groups": 8}, lambda c: 3 * c // 8),
        ("gam", {}, lambda c: (2 * c * (c // 4) + c // 4 + c) + (98 * c * (c // 4) + c // 4 + c) + c // 2 + 2 * c),
        ("ema", {}, lambda c: 10 * (c // 32) ** 2 + 4 * (c // 32)),
        ("ema", {"groups": 8}, lambda c: 10 * (c // 8) ** 2 + 4 * (c // 8)),
        ("nam", {}, lambda c: 2 * c),
        ("ultralytics-cbam", {}, lambda c: c * c + c + 2 * 49),
        ("coordinate", {"bias": False}, lambda c: 3 * 8 * c + 16),
        ("gam", {"groups": 4}, lambda c: (2 * c * (c // 4) + c // 4 + c) + 98 * c * (c // 4) // 4 + 3 * c // 4 + 3 * c),
        (
            "sk",
            {"kernel_sizes": (1, 3, 5, 7), "groups": 1, "variant": "biased"},
            lambda c: (84 * c * c + 12 * c) + (32 * c + 32) + 4 * (32 * c + c),
        ),
        ("sk", {"kernel_sizes": [3, 5], "groups": 1}, lambda c: 34 * c * c + 4 * c + c * 32 + 64 + 2 * c * 32),
        ("lsk", {}, lambda c: 3 * c * c // 2 + 78 * c + 198),
        ("control-identity", {}, lambda _: 0),
        ("control-conv1x1", {"parameters": 5000}, lambda c: 2 * c * {64: 39, 96: 26, 256: 10}[c]),
        ("control-conv1x1", {"like": "eca"}, lambda c: 2 * c),
        ("control-noise-gate", {"like": "se"}, lambda c: 2 * c * (c // 16)),
    ],
)
@pytest.mark.parametrize("channels", [64, 96, 256])
def test_parameters_equal_the_documented_formula(
    name: str, options: dict[str, Any], formula: Callable[[int], int], channels: int
) -> None:
    with torch.device("meta"):
        count = sum(parameter.numel() for parameter in create(name, channels, **options).parameters())
    assert count == formula(channels)


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("ultralytics-cbam", {}, 262_754),
        ("cbam", {"variant": "biased"}, 33_411),
        ("sk", {"kernel_sizes": (1, 3, 5, 7), "groups": 1, "variant": "biased"}, 22_110_240),
    ],
)
def test_parameters_of_forks_at_512_channels(name: str, options: dict[str, Any], count: int) -> None:
    with torch.device("meta"):
        assert sum(parameter.numel() for parameter in create(name, 512, **options).parameters()) == count


def bam_formula(c: int, h: int, taps: int) -> int:
    return (2 * c * h + 3 * h + c) + (c * h + 3 * h) + 2 * (taps * h * h + 3 * h) + (h + 1)
