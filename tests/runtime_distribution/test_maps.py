"""Maps of attention modules, from files with gates."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from attendet.interpret.image import input_image
from attendet.runtimes.file_description import GateSite
from attendet_runtime.description import parse_description
from attendet_runtime.detector import Detector
from attendet_runtime.errors import RuntimeFileError, UsageError
from attendet_runtime.letterbox import place_image
from attendet_runtime.maps import SiteMaps, map_on_image, overlay_picture
from tests.helpers.calibrated_detector import photographs
from tests.runtime_distribution.exported_files import small_description, write_constant_graph

RNG = np.random.default_rng(0)
MAP: NDArray[np.float32] = RNG.random((6, 8)).astype(np.float32)
STRIP: NDArray[np.float32] = RNG.random(5).astype(np.float32)


def site_of(**maps: str) -> GateSite:
    return GateSite(
        path="model.9.gate",
        module="CBAM",
        channels=5,
        join="product",
        maps=maps,
        spatial_kind="weight",
        channel_kind="weight",
        parts=(),
    )


def file_with_maps(path: Path) -> Path:
    description = small_description(
        imgsz=224,
        outputs=("predictions", "spatial", "strip"),
        gates=(site_of(spatial="spatial", channels="strip"), site_of(channels="strip")),
    )
    outputs = {"predictions": np.zeros((3, 6), np.float32), "spatial": MAP, "strip": STRIP}
    return write_constant_graph(path, outputs, description)


def test_maps_are_outputs_of_the_file(tmp_path: Path) -> None:
    detector = Detector(file_with_maps(tmp_path / "a.onnx"))
    detections, (first, second) = detector.explain(photographs()[0])
    assert len(detections) == 0
    assert (first.path, first.module, first.kind) == ("model.9.gate", "CBAM", "weight")
    assert first.spatial is not None
    assert first.channels is not None
    np.testing.assert_array_equal(first.spatial, MAP)
    np.testing.assert_array_equal(first.channels, STRIP)
    assert (first.before, first.after, second.spatial) == (None, None, None)
    assert overlay_picture(photographs()[0], second) is None


def test_a_file_without_maps_is_an_error(tmp_path: Path) -> None:
    outputs = {"predictions": np.zeros((3, 6), np.float32)}
    detector = Detector(write_constant_graph(tmp_path / "a.onnx", outputs, small_description()))
    with pytest.raises(UsageError, match="has no attention maps; write them with `attendet export --gates`"):
        detector.explain(photographs()[0])


def test_maps_with_other_axes_are_an_error(tmp_path: Path) -> None:
    description = small_description(outputs=("predictions", "spatial"), gates=(site_of(spatial="spatial"),))
    outputs = {"predictions": np.zeros((3, 6), np.float32), "spatial": STRIP}
    detector = Detector(write_constant_graph(tmp_path / "a.onnx", outputs, description))
    with pytest.raises(RuntimeFileError, match=r"the map `spatial` of 'model.9.gate' must have 2 axes, got \(5,\)"):
        detector.explain(photographs()[0])


def placed_map(image: NDArray[np.uint8], imgsz: int) -> SiteMaps:
    canvas, placement = place_image(image, parse_description(small_description(imgsz=imgsz).to_json()))
    return SiteMaps("a", "CBAM", "weight", MAP, None, None, None, placement, (canvas.shape[0], canvas.shape[1]))


@pytest.mark.parametrize("imgsz", [64, 224, 1000])
def test_maps_are_placed_on_the_image_as_by_attendet(imgsz: int) -> None:
    photograph = photographs()[0]
    expected = input_image.map_on_image(MAP, input_image.letterboxed_image("a", photograph, imgsz, 32))
    found = map_on_image(MAP, placed_map(photograph, imgsz))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_picture_is_brightest_where_the_map_is_highest() -> None:
    photograph = np.full((60, 80, 3), 128, np.uint8)
    site = placed_map(photograph, 80)
    picture = overlay_picture(photograph, site)
    assert picture is not None
    brightness = picture.astype(float) @ [0.299, 0.587, 0.114]
    values = map_on_image(MAP, site)
    order = np.argsort(values.ravel())
    assert (np.diff(brightness.ravel()[order]) > -2).all()
    assert brightness.max() - brightness.min() > 50


def test_a_constant_map_has_one_color() -> None:
    photograph = photographs()[0]
    site = placed_map(photograph, 80)
    constant = np.full((6, 8), 0.5, np.float32) + np.float32(1e-8)
    picture = overlay_picture(photograph * 0, dataclasses.replace(site, spatial=constant))
    assert picture is not None
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) == 1
