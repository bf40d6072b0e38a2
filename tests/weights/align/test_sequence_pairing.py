"""Pairings of rows, compared with a brute-force search over all pairings."""

from itertools import combinations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from attendet.weights.align.alignment import align_tensors
from tests.weights.align.numbered_tensors import blank, row_of

# Number of layers in each kind of row.
KINDS = {"conv": 1, "linear": 1, "block": 2}


rows_of_widths = st.lists(
    st.sampled_from(sorted(KINDS)).flatmap(
        lambda kind: st.tuples(st.just(kind), st.tuples(*[st.integers(1, 2)] * KINDS[kind]))
    ),
    max_size=5,
)


def synthetic(rows) -> dict[str, Tensor]:
    """Return a state dict in which every value is the number of its row."""
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
    """Return the number of tensors that a pair of rows keeps."""
    return sum(2 for own_width, width in zip(ours[1], theirs[1], strict=True) if own_width == width)


def best_by_brute_force(ours, theirs) -> tuple[int, int]:
    """Return the largest number of ordered pairs of one kind, and the most tensors that such a pairing keeps."""
    best = (0, 0)
    for size in range(min(len(ours), len(theirs)) + 1):
        for mine in combinations(ours, size):
            for yours in combinations(theirs, size):
                pairs = list(zip(mine, yours, strict=True))
                if all(own_row[0] == row[0] for own_row, row in pairs):
                    best = max(best, (size, sum(kept(*pair) for pair in pairs)))
    return best


@given(rows_of_widths, rows_of_widths)
def test_as_many_tensors_are_kept_as_brute_force_finds(ours, theirs):
    model, file = blank(synthetic(ours)), synthetic(theirs)
    aligned = align_tensors(model, file)
    sources = {}
    for key, value in aligned.values.items():
        row, name = row_of(key), key.split(".", 2)[2]
        source = int(value.flatten()[0])
        assert torch.equal(value, file[f"model.{source}.{name}"])
        assert ours[row][0] == theirs[source][0]
        assert sources.setdefault(row, source) == source
    assert list(sources) == sorted(sources)
    assert list(sources.values()) == sorted(set(sources.values()))
    assert len(aligned.values) == best_by_brute_force(ours, theirs)[1]
    report = aligned.report
    assert sorted(report.kept + report.new + report.reshaped) == sorted(model)


@given(rows_of_widths, st.data())
def test_only_insertions_or_only_removals_lose_no_tensor(ours, data):
    chosen = data.draw(st.sets(st.sampled_from(range(len(ours))))) if ours else set()
    fewer = [row for number, row in enumerate(ours) if number not in chosen]
    assert len(align_tensors(synthetic(ours), synthetic(fewer)).report.kept) == len(synthetic(fewer))
    assert len(align_tensors(synthetic(fewer), synthetic(ours)).report.kept) == len(synthetic(fewer))
