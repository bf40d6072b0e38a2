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


def branches(classes: int, *, widths=(16, 32), class_width=20, first_level=0, counters=True) -> dict[str, Tensor]:
    """Return a head without anchors: a branch for boxes and a branch for classes per level."""
    state = {"model.0.dfl.conv.weight": torch.arange(16.0).view(1, 16, 1, 1)}
    for level, width in enumerate(widths, first_level):
        for branch, hidden, outputs in (("cv2", 12, 64), ("cv3", class_width, classes)):
            prefix = f"model.0.{branch}.{level}"
            state[f"{prefix}.0.conv.weight"] = torch.rand(hidden, width, 3, 3)
            state[f"{prefix}.0.bn.weight"] = torch.rand(hidden)
            if counters:
                state[f"{prefix}.0.bn.num_batches_tracked"] = torch.tensor(level)
            state[f"{prefix}.2.weight"] = torch.rand(outputs, hidden, 1, 1)
            state[f"{prefix}.2.bias"] = torch.rand(outputs)
    return state


def is_output(key: str) -> bool:
    return ".cv3." in key and ".2." in key


def test_without_anchors_classes_of_the_same_name_keep_their_channels():
    model, file = branches(3), branches(2)
    aligned = align_tensors(model, file, model_names=["dog", "cell", "cat"], file_names=["cat", "dog"])
    for key, value in model.items():
        expected = value.clone() if is_output(key) else file[key]
        if is_output(key):
            expected[0], expected[2] = file[key][1], file[key][0]
        assert torch.equal(aligned.values[key], expected), key
    assert aligned.report.merged == aligned.report.reshaped == tuple(filter(is_output, model))
    assert not aligned.report.new + aligned.report.dropped


def test_without_anchors_other_classes_keep_all_layers_before_the_outputs():
    model, file = branches(3), branches(2)
    aligned = align_tensors(model, file, model_names=["a", "b", "c"], file_names=["cat", "dog"])
    assert set(model) - set(aligned.values) == set(filter(is_output, model))
    assert aligned.report.merged == ()


def test_a_branch_of_classes_of_another_width_is_new_and_boxes_are_kept():
    """The width of the branch depends on the number of classes; its first layer may fit nevertheless."""
    model, file = branches(2), branches(2, class_width=24)
    file["model.0.cv3.0.0.conv.weight"] = torch.rand(20, 16, 3, 3)
    aligned = align_tensors(model, file)
    assert aligned.report.kept == tuple(key for key in model if ".cv3." not in key)
    assert aligned.report.reshaped == tuple(key for key in model if ".cv3." in key)


def test_levels_without_anchors_are_matched_by_width():
    model, file = branches(2, widths=(8, 16, 32)), branches(2)
    aligned = align_tensors(model, file)
    for level in range(2):
        for key in ("cv2.{}.0.conv.weight", "cv2.{}.2.bias", "cv3.{}.0.bn.weight", "cv3.{}.2.weight"):
            assert is_loaded(aligned, file, "model.0." + key.format(level + 1), "model.0." + key.format(level))
    assert {key.split(".")[3] for key in aligned.report.new} == {"0"}


@pytest.mark.parametrize("values", [None, torch.arange(16.0), torch.arange(16.0).flip(0), torch.arange(8.0)])
def test_the_constant_of_the_distribution(values):
    """It may be missing in a file. Other values mean another computation, so they are reported."""
    model, file = branches(2), branches(2, counters=False)
    del file["model.0.dfl.conv.weight"]
    if values is not None:
        file["model.0.dfl.conv.weight"] = values.half().view(1, -1, 1, 1)
    aligned = align_tensors(model, file)
    as_published = values is None or values.tolist() == list(range(16))
    assert ("model.0.dfl.conv.weight" in aligned.report.kept) == as_published
    assert ("model.0.dfl.conv.weight" in aligned.report.reshaped) == (not as_published)
    # Old files have no counters of batches.
    assert aligned.report.new == tuple(key for key in model if key.endswith("num_batches_tracked"))


def test_a_head_with_anchors_and_one_without_share_nothing():
    for model, file in ((head(2), branches(2)), (branches(2), head(2))):
        aligned = align_tensors(model, file)
        assert (aligned.values, aligned.report.new, aligned.report.dropped) == ({}, tuple(model), tuple(file))


@pytest.mark.parametrize(
    "odd",
    [
        {"cv2.0.2.bias": torch.ones(63), "cv2.0.2.weight": torch.ones(63, 12, 1, 1)},
        {"cv3.1.2.bias": torch.ones(3), "cv3.1.2.weight": torch.ones(3, 20, 1, 1)},
        {"cv3.1.2.bias": torch.tensor(1.0)},
        {"cv3.0.2.weight": torch.ones(2, 20)},
        {"cv2.1.0.conv.weight": torch.ones(12, 32, 3, 3, dtype=torch.complex64)},
        {"cv2.2.0.conv.weight": torch.ones(12, 32, 3, 3)},
        {"cv3.999.2.bias": torch.ones(2)},
    ],
)
def test_an_invalid_head_without_anchors_is_not_loaded(odd):
    model = branches(2)
    assert align_tensors(model, {**model, **{f"model.0.{key}": value for key, value in odd.items()}}).values == {}
