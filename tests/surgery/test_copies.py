"""Copies, averages, wrappers, and exports of a network call their own attention."""

from __future__ import annotations

import copy
import io
import pickle
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
import torch.distributed
from torch import nn
from torch.ao.nn.quantized.dynamic import Linear as QuantizedLinear
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel

from attendet.errors import OptionError
from attendet.surgery import attach, attached
from attendet.weights import read_checkpoint
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.small_networks import Plain, Twice, images
from tests.helpers.third_party_networks import equal, randomize, run
from tests.helpers.typed_access import submodule


def attentive() -> Plain:
    """Return a network with attention before, after, and among its modules, and random weights."""
    model = Plain().train(False)
    attach(model, "cbam", ["residual-branch", "before:Sequential", "blocks"], reduction=2)
    randomize(model)
    return model


def change(model: nn.Module) -> None:
    for attachment in attached(model):
        for module in attachment.modules().values():
            module.get_parameter("channel.fc2.weight").data.add_(1.0)


def pickled(model: nn.Module) -> nn.Module:
    return pickle.loads(pickle.dumps(model))  # noqa: S301 (the pickle was made in the same line)


def saved(model: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize("copied", [copy.deepcopy, pickled, saved])
def test_a_copy_calls_its_own_attention(copied: Callable[[nn.Module], nn.Module]) -> None:
    """With a closure as a hook, the copy would call the attention of the original."""
    model = attentive()
    expected = run(model, images())
    duplicate = copied(model)
    assert equal(run(duplicate, images()), expected)
    change(duplicate)
    assert not equal(run(duplicate, images()), expected)
    assert equal(run(model, images()), expected)
    theirs = {id(module) for attachment in attached(duplicate) for module in attachment.modules().values()}
    ours = {id(module) for attachment in attached(model) for module in attachment.modules().values()}
    assert len(theirs) == len(ours) == 4
    assert not theirs & ours
    for attachment in attached(duplicate):
        attachment.detach()
    assert equal(run(model, images()), expected)
    assert set(duplicate.state_dict()) == set(Plain().state_dict())


def test_a_shared_module_is_shared_in_the_copy() -> None:
    model = Twice().train(False)
    attach(model, "cbam", "shared", reduction=2)
    duplicate = copy.deepcopy(model)
    assert duplicate.alias is duplicate.shared
    assert set(duplicate.state_dict()) == set(model.state_dict())
    attached(duplicate)[0].detach()
    assert set(duplicate.state_dict()) == set(Twice().state_dict())


def test_a_copy_cannot_restore_replaced_modules() -> None:
    model = Plain().train(False)
    attachment = attach(model, "cbam", "replace:Block", reduction=2)
    duplicate = copy.deepcopy(model)
    snapshot = ModuleSnapshot(duplicate)
    with pytest.raises(OptionError, match=r"the module that attention replaced at blocks\.0 is not known to a copy"):
        attached(duplicate)[0].detach()
    assert snapshot.matches(duplicate)
    attachment.detach()
    assert set(model.state_dict()) == set(Plain().state_dict())


def test_averaged_weights() -> None:
    """Training keeps an exponential moving average of the weights."""
    model = attentive()
    average = AveragedModel(model, avg_fn=lambda mean, new, _: 0.5 * mean + 0.5 * new)
    average.update_parameters(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    change(model)
    average.update_parameters(model)
    expected = attentive()
    expected.load_state_dict({key: (before[key] + value) / 2 for key, value in model.state_dict().items()}, strict=True)
    torch.testing.assert_close(run(average.train(False), images()), run(expected, images()))
    assert len(attached(average)) == 1


@pytest.fixture
def process_group() -> Iterator[None]:
    """A process group with a single process."""
    with tempfile.TemporaryDirectory() as folder:
        store = f"file://{Path(folder, 'store')}"
        torch.distributed.init_process_group("gloo", init_method=store, rank=0, world_size=1)
        yield
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures("process_group")
def test_distributed() -> None:
    model = attentive().train()
    duplicate = copy.deepcopy(model)
    parallel = DistributedDataParallel(model)
    parallel(images()).square().sum().backward()
    duplicate(images()).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    assert any(".attention" in name for name in gradients)
    for name, parameter in duplicate.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad)
    assert len(attached(parallel)) == 1
    with pytest.raises(OptionError, match="got DistributedDataParallel"):
        attach(parallel, "cbam", "blocks")


def test_compiled_as_one_graph() -> None:
    model = attentive()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    assert isinstance(compiled, nn.Module)
    torch.testing.assert_close(run(compiled, images()), run(model, images()))
    change(model)
    torch.testing.assert_close(run(compiled, images()), run(model, images()))


def test_exported() -> None:
    model = attentive()
    batch = torch.export.Dim("batch", min=1, max=8)
    program = torch.export.export(model, (images(),), dynamic_shapes=({0: batch},))
    torch.testing.assert_close(run(program.module(), images(5)), run(model, images(5)))
    assert set(program.state_dict) == set(model.state_dict())


# torch warns that its successor is a separate package, which attendet does not use.
@pytest.mark.filterwarnings("ignore:torch.ao.quantization is deprecated")
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_quantized_weights() -> None:
    model = attentive()
    quantized = torch.ao.quantization.quantize_dynamic(copy.deepcopy(model), {nn.Linear}, dtype=torch.qint8)
    (attachment,) = attached(quantized)
    for module in attachment.modules().values():
        linear = submodule(module, "channel.fc1", QuantizedLinear)
        assert linear.weight().dtype is torch.qint8
    expected = run(model, images())
    assert (run(quantized, images()) - expected).abs().max() < 0.05 * expected.abs().max()
    assert not equal(run(quantized, images()), expected)


def test_the_pickle_of_a_whole_network_opens_without_running_it(tmp_path: Path) -> None:
    model = attentive()
    torch.save({"model": model}, tmp_path / "whole.pt")
    tensors = read_checkpoint(tmp_path / "whole.pt").tensors
    assert set(tensors) == set(model.state_dict())
