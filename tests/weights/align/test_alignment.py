"""Rows inserted, removed and replaced: weights find their own layers, by structure."""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import attendet
from attendet.attention.cbam.module import CBAM
from attendet.errors import WeightsError
from attendet.models.bundled import bundled_text
from attendet.weights.align.alignment import align
from tests.weights.align.numbered_tensors import blank, own, row_of, tool

YOLOV5S = yaml.safe_load(bundled_text("yolov5s"))


@pytest.fixture(scope="module")
def file() -> dict[str, Tensor]:
    return tool.numbered(tool.shapes(YOLOV5S))


def changed(row: int, new: list) -> dict:
    """Return yolov5s with another row in place of one."""
    rows = [*YOLOV5S["backbone"], *YOLOV5S["head"]]
    rows[row] = new
    return {**YOLOV5S, "backbone": rows[:10], "head": rows[10:]}


@pytest.mark.parametrize("place", range(tool.ROWS + 1))
def test_attention_inserted_anywhere_keeps_everything(file, place):
    line = tool.line(YOLOV5S, file, place)
    assert line.structure == line.total == 349


def test_names_and_shapes_put_seven_tensors_into_wrong_layers(file):
    line = tool.line(YOLOV5S, file, 7)
    assert line.misplaced == 7
    # The bundled one, with CBAM as row 9, has none misplaced, and loses half.
    bundled = tool.line(YOLOV5S, file, 9)
    assert (bundled.named, bundled.misplaced) == (186, 0)


def with_row(state: Mapping[str, Tensor], place: int, row: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict with one more row."""
    moved = {tool.own_place(key, place): value for key, value in state.items()}
    return {**moved, **{f"model.{place}.{key}": value for key, value in row.items()}}


def row_tensors(state: Mapping[str, Tensor], row: int) -> dict[str, Tensor]:
    return {key.split(".", 2)[2]: value for key, value in state.items() if row_of(key) == row}


# Convolutions of two kernels and widths, C3 of one and of three bottlenecks, SPPF.
@pytest.mark.parametrize("twin", [3, 5, 6, 10, 17, 20, 9])
def test_a_row_of_the_same_shape_inserted_anywhere_keeps_everything(file, twin):
    for place in range(tool.ROWS + 1):
        model = blank(with_row(file, place, row_tensors(file, twin)))
        aligned = align(model, file)
        later = [row_of(key) for key in file if row_of(key) >= place]
        # Two equal rows side by side: nothing tells which one is new, and the earlier one is taken for the old one.
        ambiguous = min(later) == twin
        for key in file:
            expected = tool.own_place(key, place)
            if ambiguous and row_of(key) == twin:
                expected = f"model.{place}.{key.split('.', 2)[2]}"
            assert own(aligned, file, expected, key), (place, key)
        assert len(aligned.report.kept) == 349
        assert len(aligned.report.new) == len(row_tensors(file, twin))
        assert not aligned.report.dropped + aligned.report.reshaped


@pytest.mark.parametrize(
    "place, row", [(7, [-1, 3, "C3", [512]]), (9, [-1, 1, "Conv", [1024, 3, 1]]), (18, [-1, 1, "Conv", [256, 1, 1]])]
)
def test_a_built_model_with_one_more_block_keeps_everything(file, place, row):
    model = tool.shapes(tool.inserted(YOLOV5S, place, row))
    aligned = align(model, file)
    assert all(own(aligned, file, tool.own_place(key, place), key) for key in file)
    assert {row_of(key) for key in aligned.report.new} == {place}


def test_several_insertions_and_removals_at_once(file):
    document = YOLOV5S
    for place in (24, 17, 9, 4, 2):
        document = tool.inserted(document, place, [-1, 1, "CBAM", []])
    model = tool.shapes(document)
    aligned = align(model, file)
    assert len(aligned.report.kept) == 349
    back = align(blank(file), tool.numbered(model))
    assert len(back.report.kept) == 349
    assert len(back.report.dropped) == len(model) - 349


@pytest.mark.parametrize("row", [2, 4, 6, 8])
def test_c3_replaced_by_attention_keeps_the_rest(file, row):
    aligned = align(tool.shapes(changed(row, [-1, 1, "CBAM", []])), file)
    rest = [key for key in file if row_of(key) != row]
    assert all(own(aligned, file, key) for key in rest)
    assert aligned.report.kept == tuple(rest)
    assert {row_of(key) for key in aligned.report.dropped} == {row}


def test_every_c3_of_the_backbone_replaced_by_attention(file):
    model = tool.shapes(yaml.safe_load(bundled_text("yolov5s_CBAM-C3")))
    aligned = align(model, file)
    rest = [key for key in file if row_of(key) not in (2, 4, 6, 8)]
    assert all(own(aligned, file, key) for key in rest)
    assert len(aligned.report.kept) == len(rest)


@pytest.mark.parametrize("block", ["C3CBAM", "CBAMC3"])
@pytest.mark.parametrize("row", [4, 17])
def test_attention_inside_c3_keeps_its_weights(file, block, row):
    number, args = (6, [256]) if row == 4 else (3, [256, False])
    model = tool.shapes(changed(row, [-1, number, block, args]))
    aligned = align(model, file)
    assert all(own(aligned, file, key) for key in file)
    assert all(".attention." in key for key in aligned.report.new)
    # And back again: what is C3 in a file with attention inside.
    back = align(blank(file), tool.numbered(model))
    assert len(back.report.kept) == 349
    assert all(".attention." in key for key in back.report.dropped)


def test_of_two_rows_that_hold_as_much_the_equal_one_is_the_old_one(file):
    inside = {f"attention.{key}": value for key, value in CBAM(128).state_dict().items()}
    model = blank(with_row(file, 17, {**row_tensors(file, 17), **inside}))
    aligned = align(model, file)
    assert all(own(aligned, file, tool.own_place(key, 17), key) for key in file)
    assert {row_of(key) for key in aligned.report.new} == {17}


def test_attention_inside_conv_keeps_its_weights(file):
    aligned = align(tool.shapes(changed(5, [-1, 1, "Conv_CBAM", [512, 3, 2]])), file)
    assert all(own(aligned, file, key) for key in file)


def test_attached_attention_on_either_side(file):
    gates = {f"model.17.attention.{key}": value for key, value in CBAM(128).state_dict().items()}
    aligned = align(blank({**file, **gates}), file)
    assert aligned.report.kept == tuple(file)
    assert aligned.report.new == tuple(gates)
    back = align(blank(file), {**file, **gates})
    assert back.report.kept == tuple(file)
    assert back.report.dropped == tuple(gates)


def test_a_module_of_others_inside_a_row(file):
    foreign = {
        "model.17.m.0.ca.fc.0.weight": torch.ones(4, 64, 1, 1),
        "model.17.sa.conv.weight": torch.ones(1, 2, 7, 7),
    }
    aligned = align(blank(file), {**file, **foreign})
    assert aligned.report.kept == tuple(file)
    assert set(aligned.report.dropped) == set(foreign)


# What is of another shape or kind


def test_more_and_fewer_bottlenecks_keep_those_of_both(file):
    deeper = tool.shapes({**YOLOV5S, "depth_multiple": 0.67})
    aligned = align(deeper, file)
    assert aligned.report.kept == tuple(key for key in deeper if key in file)
    assert all(own(aligned, file, key) for key in file)
    back = align(blank(file), tool.numbered(deeper))
    assert len(back.report.kept) == 349


def test_a_batch_norm_goes_with_its_convolution(file):
    # C3 number 6 is twice as wide, and the convolution after it reads more; its batch norm would fit.
    aligned = align(tool.shapes(changed(6, [-1, 9, "C3", [1024]])), file)
    assert not [key for key in aligned.values if row_of(key) in (6, 7)]
    assert "model.7.bn.weight" in aligned.report.reshaped
    # The C3 that reads it beside others loses the two convolutions that read it, and no more.
    lost = {".".join(key.split(".")[:3]) for key in aligned.report.reshaped if row_of(key) not in (6, 7)}
    assert lost == {"model.13.cv1", "model.13.cv2"}
    assert not aligned.report.new + aligned.report.dropped


def test_a_model_of_other_widths_takes_nothing(file):
    # Every stage of n has the widths of the stage before it in s; tensors would fit there and mean something else.
    nano = tool.shapes({**YOLOV5S, "width_multiple": 0.25})
    aligned = align(nano, file)
    assert not aligned.values
    assert aligned.report.kept == ()
    assert aligned.report.reshaped == tuple(nano)


def test_rows_of_another_kind_never_match():
    conv = {"conv.weight": torch.ones(8, 8, 1, 1), "bn.weight": torch.ones(8)}
    block = {f"cv{n}.{key}": value for n in (1, 2) for key, value in conv.items()}
    longer = {**block, **{f"cv3.{key}": torch.ones(4, *value.shape[1:]) for key, value in conv.items()}}
    longer["cv2.conv.weight"] = torch.ones(4, 8, 1, 1)
    for ours, theirs in [(block, longer), (longer, block)]:
        aligned = align(
            {f"model.0.{key}": value for key, value in ours.items()},
            {f"model.0.{key}": value for key, value in theirs.items()},
        )
        assert aligned.values == {}
        assert aligned.report.reshaped == ()


def test_fused_convolutions_are_not_taken_by_halves():
    model = {"model.0.conv.weight": torch.ones(8, 3, 3, 3), "model.0.bn.weight": torch.ones(8)}
    fused = {"model.0.conv.weight": torch.ones(8, 3, 3, 3), "model.0.conv.bias": torch.ones(8)}
    assert align(model, fused).values == {}


def test_a_gate_is_taken_as_a_whole():
    # The authors' spatial gate has a batch norm that ours lacks: its convolution alone would be another function.
    ours = {f"model.1.{key}": value for key, value in CBAM(64).state_dict().items()}
    theirs = {f"model.1.{key}": value for key, value in CBAM(64, variant="authors").state_dict().items()}
    aligned = align(ours, theirs)
    assert aligned.values == {}
    # Nor does a spatial gate, which has one shape everywhere, go to attention of another width.
    narrow = {f"model.1.{key}": value for key, value in CBAM(32, 8).state_dict().items()}
    assert align(ours, narrow).values == {}


def test_values_become_the_models_dtype(file):
    half = {key: value.half() if value.is_floating_point() else value for key, value in file.items()}
    aligned = align(blank(file), half)
    assert {key: value.dtype for key, value in aligned.values.items()} == {k: v.dtype for k, v in file.items()}
    assert len(aligned.report.kept) == 349


KINDS = {"conv": 1, "linear": 1, "block": 2}
rows_of_widths = st.lists(
    st.sampled_from(sorted(KINDS)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.tuples(*[st.integers(1, 2)] * KINDS[kind]))
    ),
    max_size=5,
)


def synthetic(rows) -> dict[str, Tensor]:
    """Return a state dict whose values are the numbers of the rows."""
    state = {}
    for number, (kind, widths) in enumerate(rows):
        for unit, width in enumerate(widths):
            shapes = {
                "conv": {"conv.weight": (width, 4, 3, 3), "bn.weight": (4,)},
                "linear": {"weight": (width, 4), "bias": (4,)},
                "block": {f"cv{unit}.conv.weight": (width, 4, 1, 1), f"cv{unit}.bn.weight": (4,)},
            }[kind]
            for key, shape in shapes.items():
                state[f"model.{number}.{key}"] = torch.full(shape, float(number))
    return state


def kept(ours, theirs) -> int:
    return sum(2 for own_width, width in zip(ours[1], theirs[1], strict=True) if own_width == width)


def best_by_brute_force(ours, theirs) -> tuple[int, int]:
    """Return most pairs of one kind in order, and the most tensors kept by that many."""
    best = (0, 0)
    for size in range(min(len(ours), len(theirs)) + 1):
        for mine in combinations(ours, size):
            for yours in combinations(theirs, size):
                pairs = list(zip(mine, yours, strict=True))
                if all(own_row[0] == row[0] for own_row, row in pairs):
                    best = max(best, (size, sum(kept(*pair) for pair in pairs)))
    return best


@given(rows_of_widths, rows_of_widths)
def test_as_much_is_kept_as_brute_force_finds(ours, theirs):
    model, file = blank(synthetic(ours)), synthetic(theirs)
    aligned = align(model, file)
    places = {}
    for key, value in aligned.values.items():
        row, name = row_of(key), key.split(".", 2)[2]
        source = int(value.flatten()[0])
        assert torch.equal(value, file[f"model.{source}.{name}"])
        assert ours[row][0] == theirs[source][0]
        assert places.setdefault(row, source) == source
    assert list(places) == sorted(places)
    assert list(places.values()) == sorted(set(places.values()))
    assert len(aligned.values) == best_by_brute_force(ours, theirs)[1]
    report = aligned.report
    assert sorted(report.kept + report.new + report.reshaped) == sorted(model)


@given(rows_of_widths, st.data())
def test_insertions_alone_and_removals_alone_lose_nothing(ours, data):
    chosen = data.draw(st.sets(st.sampled_from(range(len(ours))))) if ours else set()
    fewer = [row for number, row in enumerate(ours) if number not in chosen]
    assert len(align(synthetic(ours), synthetic(fewer)).report.kept) == len(synthetic(fewer))
    assert len(align(synthetic(fewer), synthetic(ours)).report.kept) == len(synthetic(fewer))


@pytest.mark.parametrize("place", [9, 17])
def test_the_network_computes_what_it_did(tmp_path: Path, place: int):
    document = yaml.safe_load(bundled_text("yolov5n"))
    path = tmp_path / "inserted.yaml"
    path.write_text(yaml.safe_dump(tool.inserted(document, place, [-1, 1, "CBAM", [16]])))
    trained = attendet.build("yolov5n", num_classes=2).train(False)
    model = attendet.build(path, num_classes=2, start="identity").train(False)
    aligned = align(model.state_dict(), trained.state_dict())
    model.load_state_dict(aligned.values, strict=False)
    image = torch.rand(1, 3, 64, 96)
    for first, second in zip(trained(image), model(image), strict=True):
        assert torch.equal(first, second)


def test_a_file_of_very_many_rows_is_refused(file):
    many = {f"model.{row}.conv.weight": torch.ones(1) for row in range(1001)}
    with pytest.raises(WeightsError, match="there are 1,001 rows; no detector has more than 1,000"):
        align(file, many)


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
def test_odd_keys_are_dropped(file, key):
    aligned = align(blank(file), {**file, key: torch.ones(1)})
    assert len(aligned.report.kept) + len(aligned.report.reshaped) == 349
    assert aligned.report.dropped == (key,)
    assert "\x1b" not in str(aligned.report) + aligned.report.details()


def test_nothing_at_all():
    assert align({}, {}).report.complete
    assert align({"weight": torch.ones(1)}, {}).report.new == ("weight",)
    assert align({}, {"weight": torch.ones(1)}).report.dropped == ("weight",)
