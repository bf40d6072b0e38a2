"""Weights find their layers after rows were inserted, removed, or replaced."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

import attendet
from attendet.attention.cbam.module import CBAM
from attendet.models.bundled import bundled_text
from attendet.weights.align.alignment import align_tensors
from tests.weights.align.numbered_tensors import YOLOV5S, blank, is_loaded, replace_row, row_of, tool


@pytest.mark.parametrize("place", range(tool.ROWS + 1))
def test_attention_inserted_anywhere_keeps_everything(file, place):
    result = tool.insertion_result(YOLOV5S, file, place)
    assert result.kept == result.total == 349


def test_names_and_shapes_put_seven_tensors_into_wrong_layers(file):
    result = tool.insertion_result(YOLOV5S, file, 7)
    assert result.misplaced == 7
    # With CBAM as row 9, as in the bundled file, no tensor is misplaced, but half of them are lost.
    bundled = tool.insertion_result(YOLOV5S, file, 9)
    assert (bundled.loaded_by_name, bundled.misplaced) == (186, 0)


def with_row(state: Mapping[str, Tensor], place: int, row: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with one more row, inserted at a position."""
    moved = {tool.moved_key(key, place): value for key, value in state.items()}
    return {**moved, **{f"model.{place}.{key}": value for key, value in row.items()}}


def row_tensors(state: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    return {key.split(".", 2)[2]: value for key, value in state.items() if row_of(key) == row}


# Convolutions with two kernel sizes and widths, C3 with one and with three bottlenecks, and SPPF.
@pytest.mark.parametrize("source_row", [3, 5, 6, 10, 17, 20, 9])
def test_a_row_of_the_same_shape_inserted_anywhere_keeps_everything(file, source_row):
    for place in range(tool.ROWS + 1):
        model = blank(with_row(file, place, row_tensors(file, source_row)))
        aligned = align_tensors(model, file)
        later = [row_of(key) for key in file if row_of(key) >= place]
        # Two equal neighboring rows cannot be distinguished; the earlier one is treated as the old row.
        ambiguous = min(later) == source_row
        for key in file:
            expected = tool.moved_key(key, place)
            if ambiguous and row_of(key) == source_row:
                expected = f"model.{place}.{key.split('.', 2)[2]}"
            assert is_loaded(aligned, file, expected, key), (place, key)
        assert len(aligned.report.kept) == 349
        assert len(aligned.report.new) == len(row_tensors(file, source_row))
        assert not aligned.report.dropped + aligned.report.reshaped


@pytest.mark.parametrize(
    "place, row", [(7, [-1, 3, "C3", [512]]), (9, [-1, 1, "Conv", [1024, 3, 1]]), (18, [-1, 1, "Conv", [256, 1, 1]])]
)
def test_a_built_model_with_one_more_block_keeps_everything(file, place, row):
    model = tool.blank_state(tool.insert_row(YOLOV5S, place, row))
    aligned = align_tensors(model, file)
    assert all(is_loaded(aligned, file, tool.moved_key(key, place), key) for key in file)
    assert {row_of(key) for key in aligned.report.new} == {place}


def test_several_insertions_and_removals_at_once(file):
    document = YOLOV5S
    for place in (24, 17, 9, 4, 2):
        document = tool.insert_row(document, place, [-1, 1, "CBAM", []])
    model = tool.blank_state(document)
    aligned = align_tensors(model, file)
    assert len(aligned.report.kept) == 349
    back = align_tensors(blank(file), tool.numbered_state(model))
    assert len(back.report.kept) == 349
    assert len(back.report.dropped) == len(model) - 349


@pytest.mark.parametrize("row", [2, 4, 6, 8])
def test_c3_replaced_by_attention_keeps_the_rest(file, row):
    aligned = align_tensors(tool.blank_state(replace_row(row, [-1, 1, "CBAM", []])), file)
    rest = [key for key in file if row_of(key) != row]
    assert all(is_loaded(aligned, file, key) for key in rest)
    assert aligned.report.kept == tuple(rest)
    assert {row_of(key) for key in aligned.report.dropped} == {row}


def test_every_c3_of_the_backbone_replaced_by_attention(file):
    model = tool.blank_state(yaml.safe_load(bundled_text("yolov5s_CBAM-C3")))
    aligned = align_tensors(model, file)
    rest = [key for key in file if row_of(key) not in (2, 4, 6, 8)]
    assert all(is_loaded(aligned, file, key) for key in rest)
    assert len(aligned.report.kept) == len(rest)


@pytest.mark.parametrize("block", ["C3CBAM", "CBAMC3"])
@pytest.mark.parametrize("row", [4, 17])
def test_attention_inside_c3_keeps_its_weights(file, block, row):
    number, args = (6, [256]) if row == 4 else (3, [256, False])
    model = tool.blank_state(replace_row(row, [-1, number, block, args]))
    aligned = align_tensors(model, file)
    assert all(is_loaded(aligned, file, key) for key in file)
    assert all(".attention." in key for key in aligned.report.new)
    # The other direction: a C3 takes its weights from a block with attention inside.
    back = align_tensors(blank(file), tool.numbered_state(model))
    assert len(back.report.kept) == 349
    assert all(".attention." in key for key in back.report.dropped)


def test_a_row_of_equal_shapes_is_preferred(file):
    inside = {f"attention.{key}": value for key, value in CBAM(128).state_dict().items()}
    model = blank(with_row(file, 17, {**row_tensors(file, 17), **inside}))
    aligned = align_tensors(model, file)
    assert all(is_loaded(aligned, file, tool.moved_key(key, 17), key) for key in file)
    assert {row_of(key) for key in aligned.report.new} == {17}


def test_attention_inside_conv_keeps_its_weights(file):
    aligned = align_tensors(tool.blank_state(replace_row(5, [-1, 1, "Conv_CBAM", [512, 3, 2]])), file)
    assert all(is_loaded(aligned, file, key) for key in file)


def test_attached_attention_in_the_model_or_in_the_file(file):
    gates = {f"model.17.attention.{key}": value for key, value in CBAM(128).state_dict().items()}
    aligned = align_tensors(blank({**file, **gates}), file)
    assert aligned.report.kept == tuple(file)
    assert aligned.report.new == tuple(gates)
    back = align_tensors(blank(file), {**file, **gates})
    assert back.report.kept == tuple(file)
    assert back.report.dropped == tuple(gates)


def test_a_foreign_module_inside_a_row(file):
    foreign = {
        "model.17.m.0.ca.fc.0.weight": torch.ones(4, 64, 1, 1),
        "model.17.sa.conv.weight": torch.ones(1, 2, 7, 7),
    }
    aligned = align_tensors(blank(file), {**file, **foreign})
    assert aligned.report.kept == tuple(file)
    assert set(aligned.report.dropped) == set(foreign)


@pytest.mark.parametrize("place", [9, 17])
def test_outputs_stay_the_same(tmp_path: Path, place: int):
    document = yaml.safe_load(bundled_text("yolov5n"))
    path = tmp_path / "inserted.yaml"
    path.write_text(yaml.safe_dump(tool.insert_row(document, place, [-1, 1, "CBAM", [16]])))
    trained = attendet.build("yolov5n", num_classes=2).train(False)
    model = attendet.build(path, num_classes=2, start="identity").train(False)
    aligned = align_tensors(model.state_dict(), trained.state_dict())
    model.load_state_dict(aligned.values, strict=False)
    image = torch.rand(1, 3, 64, 96)
    for first, second in zip(trained(image), model(image), strict=True):
        assert torch.equal(first, second)
