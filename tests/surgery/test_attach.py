"""Guarantees of `attach`: all or nothing, only plain networks, and an example run without side effects."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

import attendet
from attendet.errors import AttendetWarning, OptionError, UnknownNameError
from attendet.surgery import Attachment, attach, attached, describe, disabled
from tests.helpers.module_snapshot import ModuleSnapshot, hooks
from tests.helpers.small_networks import Block, Plain, Restless, images
from tests.helpers.third_party_networks import equal, randomize, run, vary_norms


def test_a_site_states_its_position() -> None:
    model = Plain()
    attachment = attach(model, "cbam", "residual-branch", reduction=2)
    first, second = attachment.sites
    assert (first.path, first.channels, first.stride, first.side, first.module) == (
        "blocks.0.norm",
        8,
        2.0,
        "output",
        "blocks.0.norm.attention",
    )
    assert second.path == "blocks.1.norm"
    assert list(attachment.modules()) == ["blocks.0.norm.attention", "blocks.1.norm.attention"]


@pytest.mark.parametrize(
    ("attention", "options", "error"),
    [
        ("cbam", {"reduction": 16}, "at blocks.0.norm: `reduction` must leave at least 1 of 8 channels, got 16"),
        ("cbam", {"redution": 2}, "has no option 'redution'; did you mean 'reduction'"),
        ("cbam", {"variant": "mine"}, "unknown variant of CBAM 'mine'"),
        ("cbam", {"variant": []}, "cannot be created with"),
        ("cbam", {"start": "soft", "reduction": 2}, "`start` must be 'paper' or 'identity', got 'soft'"),
        ("nothing", {}, "unknown attention 'nothing'"),
    ],
)
def test_a_failing_attach_changes_nothing(attention: str, options: dict[str, Any], error: str) -> None:
    model = Plain()
    model.blocks[0].train(False)
    snapshot = ModuleSnapshot(model)
    with pytest.raises((OptionError, UnknownNameError), match=error):
        attach(model, attention, "residual-branch", **options)
    assert snapshot.matches(model)


def test_too_few_channels_at_the_last_site_only() -> None:
    model = nn.Sequential(nn.Conv2d(3, 64, 1), nn.Conv2d(64, 64, 1), nn.Conv2d(64, 4, 1))
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match="at 2: `reduction` must leave at least 1 of 4 channels, got 16"):
        attach(model, "cbam", nn.Conv2d)
    assert snapshot.matches(model)
    with pytest.warns(AttendetWarning, match="leaves 1 of 4 channels in the hidden layer"):
        assert len(attach(model, "cbam", ["0", "1", "2"], reduction=4).sites) == 3


def test_a_network_that_raises_on_the_example() -> None:
    class Angry(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(3, 8, 3), Block())

        def forward(self, x: Tensor) -> Tensor:
            self.block(x)
            raise RuntimeError("not today\nnor tomorrow")

    model = Angry()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(
        OptionError, match=r"Angry cannot be run on an example \(a tensor \(1, 3, 256, 256\): RuntimeError: not today;"
    ):
        attach(model, "cbam", "block")
    assert snapshot.matches(model)
    with pytest.raises(KeyboardInterrupt):
        attach(Interrupted(), "cbam", "0")


class Interrupted(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 8, 3))

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002, ARG002 (torch's name)
        raise KeyboardInterrupt


def test_an_interrupted_second_run_detaches() -> None:
    class Impatient(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.passes = nn.Conv2d(3, 8, 3), [0]

        def forward(self, x: Tensor) -> Tensor:
            self.passes[0] += 1
            if self.passes[0] == 2:
                raise KeyboardInterrupt
            return self.conv(x)

    model = Impatient()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(KeyboardInterrupt):
        attach(model, "cbam", "conv", reduction=2)
    assert snapshot.matches(model)
    assert attached(model) == ()


def test_the_example_run_has_no_side_effects() -> None:
    """Changes of buffers and of the random state are undone."""
    model = Restless()
    buffers = dict(model.named_buffers())
    snapshot, state = ModuleSnapshot(model), torch.get_rng_state()
    with pytest.raises(OptionError, match="matches nothing"):
        attach(model, "cbam", "nowhere")
    assert torch.equal(torch.get_rng_state(), state)
    attach(model, "cbam", "norm", reduction=2).detach()
    assert snapshot.matches(model)
    assert all(now is buffers[name] for name, now in model.named_buffers())
    model(images())
    assert model.calls == 1
    assert model.norm.num_batches_tracked == 1


def with_a_compiled_part() -> nn.Module:
    model = Plain()
    model.blocks = torch.compile(model.blocks, backend="eager")  # pyright: ignore[reportAttributeAccessIssue]
    return model


def compiled_in_place() -> nn.Module:
    model = Plain()
    model.compile(backend="eager")
    return model


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("DataParallel", lambda: nn.DataParallel(Plain())),
        ("OptimizedModule", lambda: torch.compile(Plain(), backend="eager")),
        ("Plain", lambda: torch.fx.symbolic_trace(Plain())),
        ("Plain", with_a_compiled_part),
        ("Plain", compiled_in_place),
    ],
    ids=["parallel", "compiled", "fx", "part", "in-place"],
)
def test_wrapped_networks_are_refused(name: str, make: Callable[[], nn.Module]) -> None:
    model = make()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match=f"wrapped, compiled, or traced network, got {name}; attach first"):
        attach(model, "cbam", "residual-branch")
    assert snapshot.matches(model)


@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated")  # some networks are scripted nevertheless
def test_scripted_networks_are_refused() -> None:
    with pytest.raises(OptionError, match="traced network, got RecursiveScriptModule"):
        attach(torch.jit.script(Plain()), "cbam", "blocks")


def test_detaching_twice() -> None:
    model = Plain()
    attachment = attach(model, "cbam", "residual-branch", reduction=2)
    attachment.detach()
    with pytest.raises(OptionError, match="the attention is already detached"):
        attachment.detach()
    with pytest.raises(OptionError, match="was removed, but not by `detach`"):
        attachment.modules()


def test_attention_removed_by_other_code_is_reported() -> None:
    """A fusion that ignores attachments would drop a norm together with its attention."""
    model = torchvision.models.ResNet(torchvision.models.resnet.BasicBlock, [1, 1, 1, 1])
    attachment = attach(model, "cbam", "residual-branch")
    model.layer1[0].bn2 = nn.Identity()
    with pytest.raises(
        OptionError,
        match=r"at layer1\.0\.bn2 \(now Identity\) was removed, but not by `detach`; .*attendet\.fuse",
    ):
        attached(model)
    with pytest.raises(OptionError, match="was removed"):
        attachment.detach()
    model.layer1[0].bn2 = nn.Sequential(nn.Identity())
    with pytest.raises(OptionError, match="was removed"):
        describe(model)


def test_disabled_attention_returns_its_input() -> None:
    model = Plain().train(False)
    plain = run(model, images())
    attach(model, "cbam", "residual-branch", start="paper", reduction=2, variant="authors")
    randomize(model)
    attentive, snapshot = run(model, images()), ModuleSnapshot(model)
    with disabled(model):
        assert equal(run(model, images()), plain)
        with disabled(model):
            assert equal(run(model, images()), plain)
        assert equal(run(model, images()), plain)
    assert snapshot.matches(model)
    assert equal(run(model, images()), attentive)
    with pytest.raises(ZeroDivisionError), disabled(model):
        raise ZeroDivisionError
    assert snapshot.matches(model)
    assert equal(run(model, images()), attentive)


def test_disabled_attention_does_not_learn() -> None:
    """The statistics of its norms stay the same in training, too."""
    model = Plain()
    attachment = attach(model, "cbam", "residual-branch", reduction=2, variant="authors")
    state = {name: module.state_dict() for name, module in attachment.modules().items()}
    before = {name: {key: value.clone() for key, value in values.items()} for name, values in state.items()}
    with disabled(model):
        model(images()).sum().backward()
    for name, values in state.items():
        assert all(torch.equal(value, before[name][key]) for key, value in values.items())
    assert all(p.grad is None for module in attachment.modules().values() for p in module.parameters())
    assert model.stem.weight.grad is not None


def test_disabled_rows_of_a_model_file() -> None:
    by_row = attendet.build("yolov5n_CBAM", num_classes=3).train(False)
    vary_norms(by_row)
    images_ = torch.rand(1, 3, 64, 64)
    attentive = run(by_row, images_)
    seen: list[Tensor] = []
    handles = [by_row.model[row].register_forward_hook(lambda *args: seen.append(args[2])) for row in (8, 9)]
    with disabled(by_row):
        without = run(by_row, images_)
    for handle in handles:
        handle.remove()
    assert torch.equal(seen[0], seen[1])
    assert not equal(without, attentive)


def test_compiled_networks_cannot_be_disabled() -> None:
    model = Plain()
    model.compile(backend="eager")
    with pytest.raises(OptionError, match="attention in a compiled network cannot be disabled"), disabled(model):
        pass


def test_describe() -> None:
    model = Plain()
    attach(model, "cbam", "blocks", reduction=2, kernel_size=3)
    attach(model, "se", "before:Block", reduction=2)
    table = describe(model)
    lines = str(table).splitlines()
    assert [line.split() for line in lines[1:-1]] == [
        # 2 * 8 * 4 + 2 * 9
        ["cbam", "blocks", "output", "8", "2", "82"],
        ["se", "blocks.0", "input", "8", "2", lines[2].split()[-1]],
        ["se", "blocks.1", "input", "8", "2", lines[2].split()[-1]],
    ]
    assert lines[-1].startswith("3 modules, ")
    assert lines[-1].endswith(f" of {sum(p.numel() for p in model.parameters()):,} parameters")
    assert repr(table) == str(table)
    assert table._repr_html_().count("<tr>") == 4
    values = json.loads(json.dumps(table.to_dict()))
    assert [module["path"] for module in values["modules"]] == ["blocks", "blocks.0", "blocks.1"]
    assert values["modules"][0]["parameters"] == 82
    assert values["model_parameters"] == sum(p.numel() for p in model.parameters())


def test_an_attachment_shows_itself() -> None:
    model = Plain()
    attachment = attach(model, "se", "before:Block", reduction=2)
    assert repr(attachment) == "Attachment('se' at blocks.0, blocks.1 of Plain)"
    assert attachment._repr_html_().count("<tr>") == 3
    assert json.loads(json.dumps(attachment.to_dict()))["sites"][1]["path"] == "blocks.1"


def test_a_network_without_attention_has_an_empty_table() -> None:
    assert str(describe(Plain())).splitlines()[1].startswith("0 modules, 0 of ")


def test_a_part_of_a_network_and_a_wrapped_one() -> None:
    """Attachments are found on every module of a network."""
    model = nn.Sequential(Plain(), nn.Identity())
    attachment = attach(model[0], "cbam", "blocks", reduction=2)
    (found,) = attached(nn.DataParallel(model))
    assert isinstance(found, Attachment)
    assert found.sites == attachment.sites
    found.detach()
    assert not hooks(model)
    assert attached(model) == ()
