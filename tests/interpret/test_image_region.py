"""The part of a map that shows the image, and how far objects cover its cells."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from attendet.interpret.image_region import ImageRegion


def test_coverage_is_the_area_of_the_union_of_boxes() -> None:
    frame = ImageRegion.of(
        16, 16, torch.tensor([[0.0, 0.0, 6.0, 4.0], [2.0, 0.0, 8.0, 4.0], [15.4, 15.4, 15.45, 20.0]])
    )
    expected = torch.zeros(4, 4)
    expected[0, :2] = 1
    # Of a box smaller than a pixel one pixel is left.
    expected[3, 3] = 1 / 16
    torch.testing.assert_close(frame.coverage(4, 4), expected)


@given(st.integers(1, 40), st.floats(0, 60), st.floats(1, 60))
def test_a_crop_is_never_empty_and_within_the_map(cells: int, start: float, length: float) -> None:
    stop = min(start + length, 64.0)
    rows, columns = ImageRegion((0, start, 64, stop), torch.zeros(64, 64)).crop(cells, cells)
    assert 0 <= rows.start < rows.stop <= cells
    assert (columns.start, columns.stop) == (0, cells)
    centers = [(cell + 0.5) * 64 / cells for cell in range(cells)]
    inside = [cell for cell, center in enumerate(centers) if start + 1e-3 < center < stop - 1e-3]
    assert set(inside) <= set(range(rows.start, rows.stop))
