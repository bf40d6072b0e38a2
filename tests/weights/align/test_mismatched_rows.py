"""Rows with other widths, depths, kinds, or dtypes, and implausible keys."""

import pytest
import torch

from attendet.attention.cbam.module import CBAM
from attendet.errors import WeightsError
from attendet.weights.align.alignment import align_tensors
from tests.weights.align.numbered_tensors import YOLOV5S, blank, is_loaded, replace_row, row_of, tool


def test_common_bottlenecks_are_kept(file):
    deeper = tool.blank_state({**YOLOV5S, "depth_multiple": 0.67})
    aligned = align_tensors(deeper, file)
    assert aligned.report.kept == tuple(key for key in deeper if key in file)
    assert all(is_loaded(aligned, file, key) for key in file)
    back = align_tensors(blank(file), tool.numbered_state(deeper))
    assert len(back.report.kept) == 349


def test_a_batch_norm_goes_with_its_convolution(file):
    # C3 in row 6 is twice as wide, so the convolution after it has more inputs, but its batch norm would fit.
    aligned = align_tensors(tool.blank_state(replace_row(6, [-1, 9, "C3", [1024]])), file)
    assert not [key for key in aligned.values if row_of(key) in (6, 7)]
    assert "model.7.bn.weight" in aligned.report.reshaped
    # The C3 in row 13 reads row 6 through a Concat; it loses only the two convolutions that read it.
    lost = {".".join(key.split(".")[:3]) for key in aligned.report.reshaped if row_of(key) not in (6, 7)}
    assert lost == {"model.13.cv1", "model.13.cv2"}
    assert not aligned.report.new + aligned.report.dropped


def test_a_model_of_other_widths_takes_nothing(file):
    # Every stage of n has the widths of the previous stage of s, so the tensors would fit into a wrong layer.
    nano = tool.blank_state({**YOLOV5S, "width_multiple": 0.25})
    aligned = align_tensors(nano, file)
    assert not aligned.values
    assert aligned.report.kept == ()
    assert aligned.report.reshaped == tuple(nano)


def test_rows_of_another_kind_never_match():
    conv = {"conv.weight": torch.ones(8, 8, 1, 1), "bn.weight": torch.ones(8)}
    block = {f"cv{n}.{key}": value for n in (1, 2) for key, value in conv.items()}
    longer = {**block, **{f"cv3.{key}": torch.ones(4, *value.shape[1:]) for key, value in conv.items()}}
    longer["cv2.conv.weight"] = torch.ones(4, 8, 1, 1)
    for model, file in [(block, longer), (longer, block)]:
        aligned = align_tensors(
            {f"model.0.{key}": value for key, value in model.items()},
            {f"model.0.{key}": value for key, value in file.items()},
        )
        assert aligned.values == {}
        assert aligned.report.reshaped == ()


def test_fused_convolutions_are_not_loaded_in_part():
    model = {"model.0.conv.weight": torch.ones(8, 3, 3, 3), "model.0.bn.weight": torch.ones(8)}
    fused = {"model.0.conv.weight": torch.ones(8, 3, 3, 3), "model.0.conv.bias": torch.ones(8)}
    assert align_tensors(model, fused).values == {}


def test_a_gate_is_loaded_as_a_whole():
    # The authors' spatial gate has a batch norm that this one lacks; its convolution alone computes something else.
    model = {f"model.1.{key}": value for key, value in CBAM(64).state_dict().items()}
    authors = {f"model.1.{key}": value for key, value in CBAM(64, variant="authors").state_dict().items()}
    aligned = align_tensors(model, authors)
    assert aligned.values == {}
    # A spatial gate has the same shape for all widths, but is not loaded into attention of another width.
    narrow = {f"model.1.{key}": value for key, value in CBAM(32, 8).state_dict().items()}
    assert align_tensors(model, narrow).values == {}


def test_values_become_the_models_dtype(file):
    half = {key: value.half() if value.is_floating_point() else value for key, value in file.items()}
    aligned = align_tensors(blank(file), half)
    assert {key: value.dtype for key, value in aligned.values.items()} == {k: v.dtype for k, v in file.items()}
    assert len(aligned.report.kept) == 349


def test_a_file_of_very_many_rows_is_refused(file):
    many = {f"model.{row}.conv.weight": torch.ones(1) for row in range(1001)}
    with pytest.raises(WeightsError, match="a model must have at most 1,000 rows, got 1,001"):
        align_tensors(file, many)


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "model.",
        "model.0",
        "model.0.",
        "model.00.conv.weight",
        "model.²." + "weight",
        f"model.{'9' * 5000}.conv.weight",
        ".".join("a" * 3000),
        "m." * 10000 + "range",
        "model.0.\x1b[2J",
    ],
)
def test_implausible_keys_are_dropped(file, key):
    aligned = align_tensors(blank(file), {**file, key: torch.ones(1)})
    assert len(aligned.report.kept) + len(aligned.report.reshaped) == 349
    assert aligned.report.dropped == (key,)
    assert "\x1b" not in str(aligned.report) + aligned.report.details()


def test_empty_state_dicts():
    assert align_tensors({}, {}).report.complete
    assert align_tensors({"weight": torch.ones(1)}, {}).report.new == ("weight",)
    assert align_tensors({}, {"weight": torch.ones(1)}).report.dropped == ("weight",)
