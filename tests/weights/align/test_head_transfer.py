"""A detection head with other classes, levels, or anchors keeps the channels that both heads have."""

import pytest
import torch
from torch import Tensor

from attendet.weights.align.alignment import align_tensors
from tests.weights.align.numbered_tensors import is_loaded


def head(classes: int, *, widths=(16, 32, 64), anchors=3) -> dict[str, Tensor]:
    state = {"model.0.anchors": torch.rand(len(widths), anchors, 2)}
    for level, width in enumerate(widths):
        state[f"model.0.m.{level}.weight"] = torch.rand(anchors * (classes + 5), width, 1, 1)
        state[f"model.0.m.{level}.bias"] = torch.rand(anchors * (classes + 5))
    return state


def channel(value: Tensor, classes: int, anchor: int, output: int) -> Tensor:
    return value[anchor * (classes + 5) + output]


@pytest.mark.parametrize(
    ("model_classes", "file_classes", "sources"),
    [
        (["dog", "cell", "cat"], ["cat", "dog"], [1, None, 0]),
        (["cat", "dog"], ["dog", "cat"], [1, 0]),
        (["cell"], ["cat", "dog", "cow"], [None]),
        (["cat", "dog", "cow"], ["cell"], [None, None, None]),
        (["cat"], ["dog", "cat"], [1]),
        (["cat", "cow"], ["dog", "cat"], [1, None]),
        (["a", "b"], ["c", "d"], [0, 1]),
        (2, 2, [0, 1]),
        (2, 3, [None, None]),
        (["a", "b"], 2, [0, 1]),
        # Names are ignored if their number differs from the number of classes.
        ((["a"], 2), (["x", "a"], 2), [0, 1]),
    ],
)
def test_classes_of_the_same_name_keep_their_channels(model_classes, file_classes, sources):
    def read(given):
        if isinstance(given, tuple):
            return given
        return (None, given) if isinstance(given, int) else (given, len(given))

    (model_names, n), (file_names, m) = read(model_classes), read(file_classes)
    model, file = head(n), head(m)
    aligned = align_tensors(model, file, model_names=model_names, file_names=file_names)
    assert aligned.values.keys() == model.keys()
    for key in model:
        if key.endswith("anchors"):
            assert torch.equal(aligned.values[key], file[key])
            continue
        value = aligned.values[key]
        assert value.shape == model[key].shape
        for anchor in range(3):
            for output in range(5):
                assert torch.equal(channel(value, n, anchor, output), channel(file[key], m, anchor, output))
            for index, source in enumerate(sources):
                expected = (
                    channel(model[key], n, anchor, 5 + index)
                    if source is None
                    else channel(file[key], m, anchor, 5 + source)
                )
                assert torch.equal(channel(value, n, anchor, 5 + index), expected)
    reshaped = () if None not in sources else tuple(key for key in model if ".m." in key)
    assert aligned.report.reshaped == reshaped
    assert not aligned.report.new + aligned.report.dropped


def test_levels_are_matched_by_width():
    model, file = head(2, widths=(8, 16, 32, 64)), head(2)
    aligned = align_tensors(model, file)
    for level in range(3):
        for name in ("weight", "bias"):
            assert is_loaded(aligned, file, f"model.0.m.{level + 1}.{name}", f"model.0.m.{level}.{name}")
    anchors = aligned.values["model.0.anchors"]
    assert torch.equal(anchors[1:], file["model.0.anchors"])
    assert torch.equal(anchors[:1], model["model.0.anchors"][:1])
    assert aligned.report.new == ("model.0.m.0.weight", "model.0.m.0.bias")
    assert aligned.report.reshaped == ("model.0.anchors",)


def test_levels_of_equal_width_are_matched_by_their_anchors():
    model, file = head(2, widths=(16, 16, 16)), head(2, widths=(16, 16))
    model["model.0.anchors"][1:] = file["model.0.anchors"]
    aligned = align_tensors(model, file)
    assert is_loaded(aligned, file, "model.0.m.1.weight", "model.0.m.0.weight")
    assert is_loaded(aligned, file, "model.0.m.2.weight", "model.0.m.1.weight")


def test_a_head_with_another_number_of_anchors_is_not_loaded():
    model = head(1, anchors=3)
    aligned = align_tensors(model, head(1, anchors=2))
    assert aligned.values == {}
    assert aligned.report.reshaped == tuple(model)


@pytest.mark.parametrize(
    "odd",
    [
        {"anchors": torch.ones(3, 0, 2)},
        {"anchors": torch.ones(0, 3, 2)},
        {"anchors": torch.ones(3, 3, 0)},
        {"anchors": torch.ones(3, 3, 2, dtype=torch.complex64)},
        {"anchors": torch.tensor(1.0)},
        {"m.0.bias": torch.tensor(1.0)},
        {"m.0.bias": torch.ones(254)},
        {"m.1.weight": torch.ones(255)},
        {"m.2.weight": torch.ones(255, 64, 1, 1, dtype=torch.complex64)},
    ],
)
def test_an_invalid_head_is_not_loaded(odd):
    model = head(80)
    assert align_tensors(model, {**model, **{f"model.0.{key}": value for key, value in odd.items()}}).values == {}
