"""Attention weights that are held constant."""

import pytest
import torch
from torch import Tensor

from attendet.attention import create
from attendet.interpret.dataset.surveying import hold_constant
from tests.interpret.gated_modules import collect_statistics

NAMES = ["bam", "cbam", "control-noise-gate", "coordinate", "ema", "gc", "lsk", "se", "simam", "sk", "triplet"]


@pytest.mark.parametrize("name", NAMES)
def test_constants_replace_every_kind_of_weights(name: str) -> None:
    model = create(name, 64).train(False)
    site = collect_statistics(model, [torch.randn(2, 64, 8, 12), torch.randn(1, 64, 8, 12)])
    x = torch.randn(2, 64, 8, 12)
    original: dict[str, Tensor] = {}
    replaced: dict[str, Tensor] = {}
    for part in site.parts:
        module = model.get_submodule(part.name)
        module.register_forward_hook(lambda *call, name=part.name: original.__setitem__(name, call[-1]))
    with torch.no_grad(), hold_constant(model, {part.name: part.means for part in site.parts}):
        for part in site.parts:
            module = model.get_submodule(part.name)
            module.register_forward_hook(lambda *call, name=part.name: replaced.__setitem__(name, call[-1]))
        model(x)
    assert site.parts
    for part in site.parts:
        assert replaced[part.name].shape == original[part.name].shape
        channels = replaced[part.name].flatten(1, -3) if original[part.name].ndim > 3 else replaced[part.name][None]
        torch.testing.assert_close(channels, part.means.float()[None, :, None, None].expand_as(channels))


def test_hooks_are_removed_after_an_exception() -> None:
    model = create("cbam", 16, reduction=2)
    with pytest.raises(ZeroDivisionError), hold_constant(model, {"channel": torch.ones(16)}):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())
