"""Invalid options are errors that name a value that works."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from timm.layers.eca import EcaModule

from attendet.attention import create, names
from attendet.attention.catalog import attentions, options_of
from attendet.attention.eca import adaptive_kernel
from attendet.errors import AttendetError, AttendetWarning, OptionError


@pytest.mark.parametrize(
    ("name", "channels", "options", "message"),
    [
        ("se", 8, {}, "`reduction` must leave at least 1 of 8 channels, got 16; use a reduction of 2 or less"),
        ("scse", 1, {}, "`reduction` must leave at least 1 of 1 channels, got 2"),
        ("gc", 8, {}, "use a reduction of 2 or less"),
        ("gam", 3, {}, "must leave at least 1 of 3 channels, got 4; use a reduction of 1 or less"),
        ("eca", 64, {"kernel_size": 4}, "`kernel_size` must be odd and positive, got 4; use 3, 5, or 7"),
        ("eca", 64, {"gamma": 0}, "`gamma` must be a positive number, got 0; the published value is 2"),
        ("eca", 0, {}, "`channels` must be a positive integer, got 0"),
        ("coordinate", 64, {"reduction": 0}, "`reduction` must be a positive number, got 0"),
        ("coordinate", 64, {"min_width": 0}, "`min_width` must be a positive integer, got 0"),
        ("simam", 64, {"regularizer": 0}, "`regularizer` must be a positive number, got 0; the default is 1e-4"),
        ("simam", 64, {"regularizer": float("nan")}, "`regularizer` must be a positive number, got nan"),
        ("simam", 64, {"variant": "author"}, "did you mean 'authors'"),
        ("scse", 64, {"combine": "sum"}, "known are add, max"),
        ("sk", 64, {"branches": 1}, "`branches` must be an integer of at least 2, got 1"),
        ("sk", 64, {"groups": 24}, "`groups` must divide 64 channels evenly, got 24; use 16 or 32 groups"),
        ("sk", 64, {"variant": "copy"}, "known are biased, paper"),
        ("sk", 64, {"kernel_sizes": [3]}, r"`kernel_sizes` must be a list of at least 2 kernel sizes, got \[3\]"),
        ("sk", 64, {"kernel_sizes": "35"}, "must be a list of at least 2 kernel sizes, got '35'; use for example"),
        ("sk", 64, {"kernel_sizes": [3, 4]}, "`kernel_size` must be odd and positive, got 4"),
        ("gam", 64, {"groups": 3}, "`groups` must divide 16 channels evenly, got 3; use 2 or 4 groups"),
        ("ultralytics-cbam", 64, {"kernel_size": 2}, "`kernel_size` must be odd and positive, got 2"),
        ("ultralytics-cbam", -2, {}, "`channels` must be a positive integer, got -2"),
        ("triplet", 64, {"kernel_size": 6}, "`kernel_size` must be odd and positive, got 6"),
        ("shuffle", 64, {"groups": 64}, "into groups of a multiple of 2, got 64; use 32 groups"),
        ("shuffle", 63, {}, "`channels` must be a multiple of 2, got 63"),
        ("ema", 64, {"groups": 0}, "must divide 64 channels evenly, got 0; use 1 groups"),
        ("ema", 64, {"groups": 128}, "use 64 groups"),
        ("ema", 64, {"groups": "8"}, "`groups` must divide 64 channels evenly, got '8'"),
        ("nam", 64, {"variant": "code"}, "known are absolute, paper"),
        ("nam", -1, {}, "`channels` must be a positive integer, got -1"),
        ("lsk", 63, {}, "`channels` must be even, got 63"),
    ],
)
def test_invalid_options(name: str, channels: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AttendetError, match=message):
        create(name, channels, **options)


@pytest.mark.parametrize("name", [name for name in names() if "start" in options_of(attentions.get(name))])
def test_an_invalid_start(name: str) -> None:
    with pytest.raises(OptionError, match="`start` must be 'paper' or 'identity', got 'zero'"):
        create(name, 64, start="zero")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("channels", [0, -8, 6.5])
def test_invalid_channels(name: str, channels: int) -> None:
    with pytest.raises(OptionError):
        create(name, channels)


@pytest.mark.filterwarnings("ignore:.*in the hidden layer")
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("channels", [16, 24, 40, 48, 80, 96, 160, 320, 1280])
def test_defaults_fit_the_widths_of_detectors(name: str, channels: int) -> None:
    with torch.device("meta"):
        assert create(name, channels)(torch.empty(2, channels, 3, 3)).shape == (2, channels, 3, 3)


def nearest_odd(number: float) -> int:
    """Compare all odd numbers; of two equally near ones, return the greater."""
    return min(range(1, 99, 2), key=lambda odd: (abs(odd - number), -odd))


@pytest.mark.parametrize("log2", range(13))
@pytest.mark.parametrize(("gamma", "beta"), [(2, 1), (1, 1), (3, 2), (2, -1)])
def test_the_kernel_of_eca(log2: int, gamma: int, beta: int) -> None:
    assert adaptive_kernel(2**log2, gamma, beta) == nearest_odd(abs(log2 / gamma + beta / gamma))


def test_the_kernel_of_eca_equals_that_of_timm_from_eight_channels() -> None:
    widths = [*range(1, 300), 512, 768, 1024, 2048]
    differ = [channels for channels in widths if our_kernel(channels) != timm_kernel(channels)]
    assert differ == list(range(1, 8))


def our_kernel(channels: int) -> int:
    return create("eca", channels).state_dict()["gate.conv.weight"].shape[-1]


def timm_kernel(channels: int) -> int:
    return EcaModule(channels).conv.kernel_size[0]


def test_gam_warns_once_about_the_width_of_both_parts() -> None:
    with pytest.warns(AttendetWarning, match="leaves 2 of 8 channels in the hidden layer") as warned:
        create("gam", 8)
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("make", "groups"),
    [
        (lambda: create("sk", 48).get_submodule("branches.0.conv"), 24),
        (lambda: create("sk", 512).get_submodule("branches.0.conv"), 32),
        (lambda: create("shuffle", 96).get_submodule("gate"), 48),
        (lambda: create("shuffle", 512).get_submodule("gate"), 64),
    ],
)
def test_groups_are_the_published_number_or_the_largest_possible(make: Callable[[], Any], groups: int) -> None:
    assert make().groups == groups
