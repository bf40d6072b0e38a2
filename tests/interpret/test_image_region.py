"""The cells of a map that show the image, and the coverage of cells by objects."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from attendet.interpret.image_region import ImageRegion


def test_coverage_is_the_area_of_the_union_of_boxes() -> None:
    region = ImageRegion.from_boxes(
        16, 16, torch.tensor([[0.0, 0.0, 6.0, 4.0], [2.0, 0.0, 8.0, 4.0], [15.4, 15.4, 15.45, 20.0]])
    )
    expected = torch.zeros(4, 4)
    expected[0, :2] = 1
    # A box that is smaller than a pixel counts as one pixel.
    expected[3, 3] = 1 / 16
    torch.testing.assert_close(region.coverage(4, 4), expected)


@given(st.integers(1, 40), st.floats(0, 60), st.floats(1, 60))
def test_a_crop_is_inside_the_map_and_not_empty(cells: int, start: float, length: float) -> None:
    stop = min(start + length, 64.0)
    rows, columns = ImageRegion((0, start, 64, stop), torch.zeros(64, 64)).crop(cells, cells)
    assert 0 <= rows.start < rows.stop <= cells
    assert (columns.start, columns.stop) == (0, cells)
    centers = [(cell + 0.5) * 64 / cells for cell in range(cells)]
    inside = [cell for cell, center in enumerate(centers) if start + 1e-3 < center < stop - 1e-3]
    assert set(inside) <= set(range(rows.start, rows.stop))
