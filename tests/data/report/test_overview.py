"""The figure of a data set: its content, labels, and file."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import QuadMesh
from matplotlib.patches import StepPatch
from PIL import Image

from attendet.data.records import ImageRecords, Split
from attendet.data.report.overview import draw_overview, overview_figure
from attendet.errors import OutputError
from tests.data.report.report_cases import split_with_many_classes


@pytest.mark.parametrize("kind", ["some", "many", "none"])
def test_a_figure_of_any_data_set(splits: list[Split], tmp_path: Path, kind: str) -> None:
    empty = Split("val", ("cat",), ImageRecords())
    data = {"some": splits, "many": [split_with_many_classes()], "none": [empty]}[kind]
    path = tmp_path / "folder" / "check.png"
    draw_overview(data, path, title="a $set_of$ 苹果.yaml", imgsz=320)
    with Image.open(path) as image:
        assert image.info["Software"] == "attendet data check"
        assert image.size == (1430, 1100)
    # An older figure is replaced.
    draw_overview(splits, path, title="again")


def test_the_figure_shows_the_numbers(splits: list[Split]) -> None:
    figure = overview_figure(splits, title="data.yaml", imgsz=640)
    classes, sizes, per_image, centers = figure.axes[:4]
    assert figure.get_suptitle() == "data.yaml: 4 images, 5 boxes"
    assert [label.get_text() for label in classes.get_yticklabels()] == ["dog", "cat", "cow"]
    assert [[bar.get_width() for bar in bars] for bars in classes.containers] == [[3, 2, 0], [0, 0, 0]]
    (mesh,) = (drawing for drawing in sizes.collections if isinstance(drawing, QuadMesh))
    assert np.nansum(np.asarray(mesh.get_array(), np.float64)) == 5
    # One of three images has no box, one has two, and one has three.
    steps = per_image.patches[0]
    assert isinstance(steps, StepPatch)
    heights = steps.get_data()[0]
    np.testing.assert_allclose(heights, [100 / 3, 0, 100 / 3, 100 / 3])
    (image,) = centers.images
    cells = np.argwhere(np.asarray(image.get_array()) > 0)
    # Rows count from the top, as the image is shown: (20, 10) of 1280x960 is in the first one.
    assert image.get_extent() == [0, 1, 1, 0]
    assert [0, 0] in cells.tolist()
    assert cells[:, 0].max() < 6
    assert np.asarray(image.get_array()).sum() == 5


def test_a_class_name_that_the_font_lacks_is_replaced_by_its_index() -> None:
    figure = overview_figure([Split("train", ("梨", "Grüße", "$x$"), ImageRecords())], title="data.yaml")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["class 0", "Grüße", r"\$x\$"]


def test_other_files_are_not_replaced(splits: list[Split], tmp_path: Path) -> None:
    photo = tmp_path / "holiday.png"
    Image.new("RGB", (5, 5)).save(photo)
    text = tmp_path / "notes.txt"
    text.write_text("notes")
    for path in (photo, text):
        before = path.read_bytes()
        with pytest.raises(OutputError, match="not drawn by attendet"):
            draw_overview(splits, path, title="")
        assert path.read_bytes() == before
    with pytest.raises(OutputError, match="the path is a folder"):
        draw_overview(splits, tmp_path, title="")
