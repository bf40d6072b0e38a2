"""Options that cannot work are refused, and the error names a value that would work."""

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
        ("se", 8, {}, "leaves no hidden channel of 8; use a reduction of 2 or less"),
        ("scse", 1, {}, "leaves no hidden channel of 1"),
        ("gc", 8, {}, "use a reduction of 2 or less"),
        ("gam", 3, {}, "leaves no hidden channel of 3; use a reduction of 1 or less"),
        ("eca", 64, {"kernel_size": 4}, "use an odd one: 3, 5 or 7"),
        ("eca", 64, {"gamma": 0}, "give no kernel; give 2 and 1"),
        ("eca", 0, {}, "0 channels are none; give 1 or more"),
        ("coordinate", 64, {"reduction": 0}, "have to be positive"),
        ("coordinate", 64, {"least": 0}, "a least width of 0 is none; give 1 or more"),
        ("simam", 64, {"regularizer": 0}, "give 1e-4, the default"),
        ("simam", 64, {"regularizer": float("nan")}, "give 1e-4, the default"),
        ("simam", 64, {"variant": "author"}, "did you mean 'authors'"),
        ("scse", 64, {"combine": "sum"}, "known are add, max"),
        ("sk", 64, {"branches": 1}, "there is nothing to select; give 2 or more"),
        ("sk", 64, {"groups": 24}, "64 channels do not fall into 24 groups of equal size; use 16 or 32 groups"),
        ("triplet", 64, {"kernel_size": 6}, "use an odd one"),
        ("shuffle", 64, {"groups": 64}, "do not fall into 64 groups of a multiple of 2; use 32 groups"),
        ("shuffle", 63, {}, "63 channels do not fall into groups of a multiple of 2; use features whose channels are"),
        ("ema", 64, {"groups": 0}, "0 groups of equal size; use 1 groups"),
        ("ema", 64, {"groups": 128}, "use 64 groups"),
        ("ema", 64, {"groups": "8"}, "do not fall into '8' groups"),
        ("nam", 64, {"variant": "code"}, "known are absolute, paper"),
        ("nam", -1, {}, "-1 channels are none"),
        ("lsk", 63, {}, "63 channels have no half; use features of an even number of channels"),
    ],
)
def test_options_that_cannot_be(name: str, channels: int, options: dict[str, Any], message: str) -> None:
    with pytest.raises(AttendetError, match=message):
        create(name, channels, **options)


@pytest.mark.parametrize("name", [name for name in names() if "start" in options_of(attentions.get(name))])
def test_a_start_that_does_not_exist(name: str) -> None:
    with pytest.raises(OptionError, match="give paper or identity"):
        create(name, 64, start="zero")


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("channels", [0, -8, 6.5])
def test_channels_that_do_not_exist(name: str, channels: int) -> None:
    with pytest.raises(OptionError):
        create(name, channels)


@pytest.mark.filterwarnings("ignore:.*hidden of")
@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("channels", [16, 24, 40, 48, 80, 96, 160, 320, 1280])
def test_defaults_fit_the_widths_of_detectors(name: str, channels: int) -> None:
    with torch.device("meta"):
        assert create(name, channels)(torch.empty(2, channels, 3, 3)).shape == (2, channels, 3, 3)


def nearest_odd(number: float) -> int:
    """Look at the odd numbers one by one; of two equally near the greater."""
    return min(range(1, 99, 2), key=lambda odd: (abs(odd - number), -odd))


@pytest.mark.parametrize("log2", range(13))
@pytest.mark.parametrize(("gamma", "beta"), [(2, 1), (1, 1), (3, 2), (2, -1)])
def test_the_kernel_of_eca(log2: int, gamma: int, beta: int) -> None:
    assert adaptive_kernel(2**log2, gamma, beta) == nearest_odd(abs(log2 / gamma + beta / gamma))


def test_the_kernel_of_eca_is_that_of_timm_from_eight_channels_on() -> None:
    widths = [*range(1, 300), 512, 768, 1024, 2048]
    differ = [channels for channels in widths if kernel_of_ours(channels) != kernel_of_timm(channels)]
    assert differ == list(range(1, 8))


def kernel_of_ours(channels: int) -> int:
    return create("eca", channels).state_dict()["gate.conv.weight"].shape[-1]


def kernel_of_timm(channels: int) -> int:
    return EcaModule(channels).conv.kernel_size[0]


def test_gam_warns_once_of_the_width_that_both_its_parts_have() -> None:
    with pytest.warns(AttendetWarning, match="leaves 2 hidden of 8 channels") as warned:
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
def test_groups_are_the_published_ones_or_the_most_there_can_be(make: Callable[[], Any], groups: int) -> None:
    assert make().groups == groups
