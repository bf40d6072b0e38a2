"""Networks in wrappers of every kind, and evaluation mode that leaves no trace."""

import pytest
import torch
from torch import nn
from torch.nn.parallel import DataParallel

from attendet.utils.modules import evaluation_mode, is_compiled, strip_wrapper_prefixes, unwrap, unwrapped


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()))


def compiled(model: nn.Module) -> nn.Module:
    """Return a network that torch.compile wraps; no code is generated before it runs."""
    wrapped = torch.compile(model)
    assert isinstance(wrapped, nn.Module)
    return wrapped


def test_any_nesting_of_wrappers_is_removed() -> None:
    inner = network()
    for wrapped in (
        inner,
        DataParallel(inner),
        compiled(inner),
        DataParallel(compiled(inner)),
        compiled(DataParallel(inner)),
    ):
        assert unwrap(wrapped) is inner


def test_a_submodule_named_module_is_not_a_wrapper() -> None:
    model = nn.Module()
    model.module = network()
    assert unwrap(model) is model


def test_compiled_parts_are_plain_inside_the_block_alone() -> None:
    model = network()
    part = model[1]
    model[1] = compiled(part)
    part.compile()
    wrapper, call = model[1], vars(part)["_compiled_call_impl"]
    with unwrapped(DataParallel(model)) as plain:
        assert plain is model
        assert model[1] is part
        assert not is_compiled(model)
    assert model[1] is wrapper
    assert vars(part)["_compiled_call_impl"] is call
    assert is_compiled(model)


def test_prefixes_of_wrappers_are_removed_from_state_dicts() -> None:
    inner = network()
    expected = list(inner.state_dict())
    for wrapped in (DataParallel(inner), compiled(inner), DataParallel(compiled(inner)), compiled(DataParallel(inner))):
        assert list(strip_wrapper_prefixes(wrapped.state_dict())) == expected
    mixed = {"module.a": 1, "b": 2}
    assert strip_wrapper_prefixes(mixed) == mixed


class FreezesInTraining(nn.Module):
    """A network whose `train` method has a side effect, as in networks that freeze their batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.calls = 0

    def train(self, mode: bool = True) -> "FreezesInTraining":
        self.calls += 1
        return super().train(mode)


def test_evaluation_mode_is_undone_after_an_error() -> None:
    frozen = network()
    frozen[1].train(False)
    freezes = FreezesInTraining()
    model = nn.Sequential(frozen, freezes)
    before = [module.training for module in model.modules()]
    with pytest.raises(ZeroDivisionError):
        fail_in_evaluation_mode(model)
    assert [module.training for module in model.modules()] == before
    assert any(before)
    assert freezes.calls == 0


def fail_in_evaluation_mode(model: nn.Module) -> None:
    with evaluation_mode(model):
        assert not any(module.training for module in model.modules())
        raise ZeroDivisionError
