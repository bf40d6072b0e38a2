"""Attention weights that are held constant."""

import pytest
import torch
from torch import Tensor

from attendet.attention import create
from attendet.interpret.ablation import hold_constant
from tests.interpret.gated_modules import seen

NAMES = ["bam", "cbam", "control-noise-gate", "coordinate", "ema", "gc", "lsk", "se", "simam", "sk", "triplet"]


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_takes_the_place_of_every_kind_of_weights(name: str) -> None:
    model = create(name, 64).train(False)
    site = seen(model, [torch.randn(2, 64, 8, 12), torch.randn(1, 64, 8, 12)])
    x = torch.randn(2, 64, 8, 12)
    given: dict[str, Tensor] = {}
    used: dict[str, Tensor] = {}
    for part in site.parts:
        module = model.get_submodule(part.name)
        module.register_forward_hook(lambda *call, name=part.name: given.__setitem__(name, call[-1]))
    with torch.no_grad(), hold_constant(model, {part.name: part.means for part in site.parts}):
        for part in site.parts:
            module = model.get_submodule(part.name)
            module.register_forward_hook(lambda *call, name=part.name: used.__setitem__(name, call[-1]))
        model(x)
    assert site.parts
    for part in site.parts:
        assert used[part.name].shape == given[part.name].shape
        channels = used[part.name].flatten(1, -3) if given[part.name].ndim > 3 else used[part.name][None]
        torch.testing.assert_close(channels, part.means.float()[None, :, None, None].expand_as(channels))


def test_nothing_stays_behind() -> None:
    model = create("cbam", 16, reduction=2)
    with pytest.raises(ZeroDivisionError), hold_constant(model, {"channel": torch.ones(16)}):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())
