"""Networks in which a simple hook would run twice, never, or with the weights of another network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from attendet.attention import CBAM
from attendet.errors import OptionError
from attendet.surgery import attach
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.small_networks import (
    Block,
    Children,
    Named,
    OwnSequential,
    Parts,
    PastHooks,
    Plain,
    Sequence,
    Twice,
    Uneven,
    images,
)
from tests.helpers.third_party_networks import equal, randomize, run

OPTIONS = {"start": "paper", "reduction": 2}


def counted(module: nn.Module) -> list[int]:
    calls: list[int] = []
    module.register_forward_hook(lambda *_: calls.append(1))
    return calls


def test_a_sequential_runs_attention_once_as_its_last_child() -> None:
    model = Plain().train(False)
    snapshot, expected = ModuleSnapshot(model), run(model.blocks, run(model.stem, images()))
    attachment = attach(model, "cbam", "blocks", **OPTIONS)
    (cbam,) = attachment.modules().values()
    calls = counted(cbam)
    attentive = run(model.blocks, run(model.stem, images()))
    assert len(calls) == 1
    assert equal(attentive, run(cbam, expected))
    assert list(model.blocks)[-1] is cbam
    attachment.detach()
    assert snapshot.matches(model)
    assert len(model.blocks) == 2


@pytest.mark.parametrize(
    "container", [OwnSequential, Children, lambda *parts: Parts(dict(zip("ab", parts, strict=True)))]
)
def test_containers_that_run_all_their_children(container: type[nn.Module]) -> None:
    """Attention is attached to the last child, which returns the same map."""
    body = container(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 16, 3))
    model = nn.Sequential(nn.Conv2d(3, 8, 3), body, nn.ReLU()).train(False)
    snapshot, stem = ModuleSnapshot(model), model[0]
    expected = run(body, run(stem, images()))
    attachment = attach(model, "cbam", "1", **OPTIONS)
    (cbam,) = attachment.modules().values()
    last = list(body.children())[-1]
    assert attachment.sites[0].path == f"1.{[name for name, _ in body.named_children()][-1]}"
    assert cbam is last.get_submodule("attention")
    calls = counted(cbam)
    assert equal(run(body, run(stem, images())), run(cbam, expected))
    assert len(calls) == 2
    attachment.detach()
    assert snapshot.matches(model)


def test_a_container_that_ends_with_a_function_is_refused() -> None:
    class Ends(Children):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(x).relu()

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Ends(nn.Conv2d(8, 8, 3)))
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match=r"1 runs its children in its own way.*name a module inside it or after it"):
        attach(model, "cbam", "1", **OPTIONS)
    assert snapshot.matches(model)


def test_code_that_calls_forward_directly_is_refused() -> None:
    model = PastHooks()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(
        OptionError,
        match="body did not run on the example; name a module that the network calls; a call of `forward` bypasses",
    ):
        attach(model, "cbam", "body", **OPTIONS)
    with pytest.raises(OptionError, match="matches nothing"):
        attach(model, "cbam", "bod*", **OPTIONS)
    assert snapshot.matches(model)


def test_attention_of_a_module_that_runs_twice_runs_twice() -> None:
    model = Twice().train(False)
    snapshot = ModuleSnapshot(model)
    attachment = attach(model, "cbam", "shared", **OPTIONS)
    (cbam,) = attachment.modules().values()
    assert len(attachment.sites) == 1
    first = run(cbam, nn.functional.conv2d(model.stem(images()), model.shared.weight, model.shared.bias))
    expected = run(cbam, nn.functional.conv2d(torch.relu(first), model.shared.weight, model.shared.bias))
    assert equal(run(model, images()), expected)
    attachment.detach()
    assert snapshot.matches(model)


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("act", r"act runs several times with different numbers of channels, \[8, 16\]"),
        ("idle", r"idle did not run on the example"),
        ("split", r"split must return exactly one feature map, but does not; name modules inside it"),
        ("replace:Split", r"split turns .* and cannot be replaced"),
        ("", r"must return exactly one feature map"),
        (["narrow", "idle"], r"idle did not run"),
    ],
)
def test_modules_without_exactly_one_map_are_refused(at: str, message: str) -> None:
    model = Uneven()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match=message):
        attach(model, "cbam", at, **OPTIONS)
    assert snapshot.matches(model)


def test_a_vector_is_not_a_feature_map() -> None:
    model = Plain()
    with pytest.raises(OptionError, match="fc must return exactly one feature map"):
        attach(model, "cbam", "fc", **OPTIONS)


def test_keyword_arguments() -> None:
    model = Named().train(False)
    snapshot = ModuleSnapshot(model)
    features = run(model.stem, images())
    attachment = attach(model, "cbam", "before:Scaled", **OPTIONS)
    randomize(model)
    (cbam,) = attachment.modules().values()
    assert equal(run(model, images(), 3.0), run(model.scaled.conv, run(cbam, features)) * 3.0)
    attachment.detach()
    assert snapshot.matches(model)


@pytest.mark.parametrize("attention", ["cbam", "se"])
def test_networks_for_sequences(attention: str) -> None:
    model = Sequence().train(False)
    snapshot, x = ModuleSnapshot(model), torch.rand(2, 3, 40)
    expected = run(model, x)
    attachment = attach(model, attention, "residual-branch", reduction=2)
    assert [(site.path, site.channels, site.stride) for site in attachment.sites] == [("norm", 8, 2.0)]
    assert equal(run(model, x), expected)
    randomize(model)
    (module,) = attachment.modules().values()
    stem = run(model.stem, x)
    plain = nn.functional.batch_norm(
        model.conv(stem), model.norm.running_mean, model.norm.running_var, model.norm.weight, model.norm.bias
    )
    assert equal(run(model, x), torch.relu(stem + run(module, plain)))
    attachment.detach()
    assert snapshot.matches(model)


@pytest.mark.parametrize(
    "attention", ["bam", "cbam", "eca", "se", "simam", "control-conv1x1", "control-identity", "control-noise-gate"]
)
def test_networks_for_volumes(attention: str) -> None:
    model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.Conv3d(8, 8, 3)).train(False)
    snapshot, x = ModuleSnapshot(model), torch.rand(2, 3, 9, 8, 7)
    expected = run(model, x)
    options: dict[str, Any] = {} if attention in ("eca", "simam", "control-identity") else {"reduction": 2}
    attachment = attach(model, attention, "0", example=x[:1], **options)
    (module,) = attachment.modules().values()
    assert equal(run(model, x), expected)
    randomize(model)
    features = nn.functional.conv3d(x, *(model.state_dict()[f"0.{kind}"] for kind in ("weight", "bias")))
    assert equal(run(model[0], x), run(module, features))
    attachment.detach()
    assert snapshot.matches(model)


def test_attention_for_images_only_is_refused_in_volumes() -> None:
    model = nn.Sequential(nn.Conv3d(3, 8, 3), nn.Conv3d(8, 8, 3))
    snapshot = ModuleSnapshot(model)
    message = "gam supports only maps with 2 spatial axes, got 3 at 0; use bam, cbam, eca, se, or simam"
    with pytest.raises(OptionError, match=message):
        attach(model, "gam", "0", example=torch.rand(1, 3, 9, 8, 7))
    assert snapshot.matches(model)


def test_attention_has_the_mode_of_its_place() -> None:
    model = Plain()
    model.blocks[1].train(False)
    attachment = attach(model, "cbam", "residual-branch", reduction=2, variant="authors")
    assert [module.training for module in attachment.modules().values()] == [True, False]
    norms = [module.get_submodule("spatial.norm") for module in attachment.modules().values()]
    assert [norm.training for norm in norms] == [True, False]


def test_attention_can_be_attached_to_attention_in_the_network() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), CBAM(8, reduction=2)).train(False)
    snapshot = ModuleSnapshot(model)
    expected = run(model, images())
    attachment = attach(model, "cbam", "1", **OPTIONS)
    (outer,) = attachment.modules().values()
    assert equal(run(model, images()), run(outer, expected))
    attachment.detach()
    assert snapshot.matches(model)
    assert equal(run(model, images()), expected)


def test_a_branch_that_ends_with_a_shared_activation_is_refused() -> None:
    """The activation also runs after the addition, where attention would be wrong."""

    class Shared(Block):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(x + self.act(self.norm(self.conv(x))))

    model = nn.Sequential(nn.Conv2d(3, 8, 3), Shared())
    snapshot = ModuleSnapshot(model)
    with pytest.raises(OptionError, match="the residual branch of 1 does not end with a module; name modules"):
        attach(model, "cbam", "residual-branch", **OPTIONS)
    assert snapshot.matches(model)


def test_attention_has_the_type_of_the_network_under_autocast() -> None:
    model = Plain()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        attachment = attach(model, "cbam", "residual-branch", **OPTIONS)
        model(images()).sum().backward()
    assert {p.dtype for module in attachment.modules().values() for p in module.parameters()} == {torch.float32}


def test_blocks_are_found_by_their_class() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Block(), Block())
    attachment = attach(model, "cbam", Block, reduction=2)
    assert [site.path for site in attachment.sites] == ["1", "2"]
