"""State dicts with unknown names load if the shapes of the layers leave no doubt."""

from collections.abc import Mapping
from itertools import permutations
from string import ascii_lowercase

import pytest
import torch
from torch import Tensor, nn

from attendet.attention import CBAM, SelectiveKernel, create, names
from attendet.attention.base import published_values
from attendet.attention.foreign_keys import translate
from tests.helpers import fork_modules as fork

AUTHORS = (("ChannelGate.mlp.1", "ChannelGate.mlp.3"), "SpatialGate.spatial.conv")


def trained_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that another implementation has, too: all but our own."""
    return {key: value for key, value in module.state_dict().items() if key not in published_values(module)}


def with_other_names(tensors: Mapping[str, Tensor]) -> dict[str, str]:
    """Return other keys with unknown names of the layers, by key."""
    layers = list(dict.fromkeys(key.rpartition(".")[0] for key in tensors))
    new = {layer: f"layer_{letter}" for layer, letter in zip(layers, ascii_lowercase, strict=False)}
    return {key: f"wrapped.{new[key.rpartition('.')[0]]}.{key.rpartition('.')[2]}" for key in tensors}


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith("control")])
def test_unknown_names_are_translated_rightly_or_not_at_all(name: str) -> None:
    module = create(name, 64)
    tensors = trained_tensors(module)
    renamed = with_other_names(tensors)
    theirs = {renamed[key]: value for key, value in tensors.items()}
    # Layers whose parameters have equal names and shapes.
    layers: dict[str, set[tuple[str, tuple[int, ...]]]] = {}
    for key, value in tensors.items():
        layers.setdefault(key.rpartition(".")[0], set()).add((key.rpartition(".")[2], tuple(value.squeeze().shape)))
    ambiguous = any(first == second for first, second in permutations(layers.values(), 2))
    translation = translate(module, theirs)
    if translation is None:
        assert ambiguous or not tensors
    else:
        assert not ambiguous
        assert translation.whole
        assert dict(translation.keys) == renamed
        assert all(torch.equal(translation.tensors[key], value) for key, value in tensors.items())


def test_layers_that_differ_by_a_number_are_in_the_order_of_the_numbers() -> None:
    stack = nn.ModuleList([nn.Linear(8, 8) for _ in range(12)])
    theirs = {f"fcs.{key}": value for key, value in reversed(stack.state_dict().items())}
    translation = translate(stack, theirs)
    assert translation is not None
    assert all(theirs_key == f"fcs.{key}" for key, theirs_key in translation.keys.items())


def test_layers_of_equal_shapes_with_other_names_are_not_guessed() -> None:
    stack = nn.ModuleDict({"height": nn.Linear(8, 8), "width": nn.Linear(8, 8)})
    assert translate(stack, {f"{name}.{leaf}": torch.zeros(8) for name in "ab" for leaf in ("weight", "bias")}) is None


COMMUNITY = (("channel_attention.f1", "channel_attention.f2"), "spatial_attention.conv")


@torch.no_grad()
@pytest.mark.parametrize("start", ["paper", "identity"])
@pytest.mark.parametrize(
    ("variant", "planes", "module"),
    [
        ("plain", None, fork.cbam(64, *COMMUNITY)),
        ("biased", None, fork.cbam(64, ("ca.fc.0", "ca.fc.2"), "sa.conv1", biases=True, conv_bias=True)),
        ("timm", None, fork.cbam(64, ("channel.fc1", "channel.fc2"), "spatial.conv.conv", bn="spatial.conv.bn")),
        # The names of the authors' code show the order, regardless of the order here.
        ("plain", None, fork.cbam(64, *AUTHORS, maximum_first=True)),
        ("plain", ["avg", "max"], fork.cbam(64, *AUTHORS, maximum_first=True)),
        ("plain", ["max", "avg"], fork.cbam(64, *AUTHORS, maximum_first=True)),
        ("authors", None, fork.cbam(64, *AUTHORS, bn="SpatialGate.spatial.bn", maximum_first=True, biases=True)),
        # Other names do not, and an order that a user gives is that of the weights.
        ("plain", ["max", "avg"], fork.cbam(64, *COMMUNITY, maximum_first=True)),
        ("plain", ["avg", "max"], fork.cbam(64, *COMMUNITY)),
    ],
)
def test_cbam_computes_the_same_for_the_planes_of_the_weights(
    variant: str, planes: list[str] | None, module: nn.Module, start: str
) -> None:
    loaded = create("cbam", 64, variant=variant, planes=planes, start=start).train(False)
    loaded.load_state_dict(module.state_dict())
    x = torch.randn(2, 64, 9, 7)
    torch.testing.assert_close(loaded(x), module(x))


def test_our_own_state_dict_keeps_its_planes() -> None:
    trained = CBAM(64, planes=["max", "avg"])
    loaded = CBAM(64, planes=["max", "avg"])
    loaded.load_state_dict(trained.state_dict())
    assert torch.equal(loaded.spatial.conv.weight, trained.spatial.conv.weight)


def test_our_own_tensors_below_another_path_keep_their_planes() -> None:
    trained = CBAM(64, variant="authors")
    translation = translate(CBAM(64, variant="authors"), {f"a.{key}": v for key, v in trained.state_dict().items()})
    assert translation is not None
    assert torch.equal(translation.tensors["spatial.conv.weight"], trained.spatial.conv.weight)


def test_missing_and_unexpected_tensors_are_still_errors() -> None:
    state = fork.cbam(64, ("ca.fc.0", "ca.fc.2"), "sa.conv").state_dict()
    with pytest.raises(RuntimeError, match=r"Missing key.*channel\.fc2\.weight"):
        CBAM(64).load_state_dict({key: value for key, value in state.items() if key != "ca.fc.2.weight"})
    with pytest.raises(RuntimeError, match=r"Unexpected key.*extra"):
        CBAM(64).load_state_dict({**state, "extra.weight": torch.ones(3)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        CBAM(64, kernel_size=3).load_state_dict(state)


def test_the_branches_of_selective_kernels_keep_their_order() -> None:
    module = SelectiveKernel(64)
    theirs = {f"sk.{key}": value for key, value in trained_tensors(module).items()}
    translation = translate(module, theirs)
    assert translation is not None
    assert translation.whole
    assert all(name == f"sk.{key}" for key, name in translation.keys.items())
