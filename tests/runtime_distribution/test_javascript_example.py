"""The example in JavaScript shows the detections of attendet-runtime, in a real browser."""

import functools
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from attendet_runtime.detector import Detector, Options
from tests.helpers.calibrated_detector import photographs
from tests.helpers.command import TIMEOUT_S
from tests.runtime_distribution.exported_files import (
    baked_description,
    fixed_description,
    with_description,
    write_constant_graph,
)
from tests.runtime_distribution.same_detections import assert_same_objects
from tests.runtime_distribution.test_detecting import BAKED

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "javascript"
PACKAGES = [EXAMPLE / "node_modules", ROOT / ".venv" / "node_modules"]
"""Folders that may have onnxruntime-web: that of the example, or one next to the packages for Python."""

Page = Any
"""A page of playwright, which the environment may not have."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a copy of the example, with the package onnxruntime-web, and return its address."""
    packages = next((folder for folder in PACKAGES if (folder / "onnxruntime-web").is_dir()), None)
    if packages is None:
        pytest.skip("needs onnxruntime-web: npm ci --prefix examples/javascript")
    folder = tmp_path_factory.mktemp("javascript") / "served"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(packages)
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    """A handler that logs nothing, and knows the type of modules, which systems may not."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript", ".js": "text/javascript"}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (the names in the base class)
        return


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("needs Chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Page]:
    """Return the opened page; errors in its console fail the test."""
    opened = browser.new_page(viewport={"width": 900, "height": 1000})
    opened.set_default_timeout(1000 * TIMEOUT_S)
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    opened.goto(address)
    yield opened
    opened.close()
    assert errors == []


@pytest.fixture
def detect(page: Page) -> Callable[..., list[dict[str, Any]]]:
    """Return a function that chooses a file and an image on the page, and returns the detections that it shows."""

    def run(file: Path, image: Path, confidence: float = 0.25) -> list[dict[str, Any]]:
        page.fill("#confidence", str(confidence))
        page.set_input_files("#file", file)
        page.wait_for_function("document.getElementById('status').textContent === 'choose an image'")
        page.set_input_files("#image", image)
        page.wait_for_function("/detection|must/.test(document.getElementById('status').textContent)")
        found = json.loads(page.text_content("#json"))
        count = f"{len(found)} detection{'' if len(found) == 1 else 's'}, "
        assert page.text_content("#status").startswith(count)
        return found

    return run


def write_png(image: np.ndarray, path: Path) -> Path:
    Image.fromarray(image).save(path)
    return path


@pytest.mark.parametrize(("photograph", "scale"), [(0, 1), (1, 0.15)], ids=["shrinks", "grows"])
def test_photographs_have_the_detections_of_the_runtime(
    detect: Callable[..., list[dict[str, Any]]], onnx_file: Path, tmp_path: Path, photograph: int, scale: float
) -> None:
    image = Image.fromarray(photographs()[photograph])
    image = image.resize((round(image.width * scale), round(image.height * scale)))
    path = write_png(np.array(image), tmp_path / "a.png")
    expected = Detector(onnx_file, Options(confidence=0.6))(path).to_list()
    found = detect(onnx_file, path, 0.6)
    assert len(expected) > 10
    counterparts = [
        any(
            np.allclose(mine["box"], other["box"], atol=0.5) and abs(mine["confidence"] - other["confidence"]) < 1e-3
            for other in expected
            if other["name"] == mine["name"]
        )
        for mine in found
    ]
    # The runtime for browsers rounds differently, and the network has random weights: see test_detecting.
    assert abs(len(found) - len(expected)) <= 0.01 * len(expected)
    assert np.mean(counterparts) >= 0.99


@pytest.mark.parametrize(
    ("height", "width", "imgsz"), [(107, 160, 72), (60, 90, 192), (96, 96, 48), (96, 200, 64), (90, 60, 150)]
)
def test_canvases_are_equal_bit_for_bit(page: Page, height: int, width: int, imgsz: int) -> None:
    from attendet_runtime.description import parse_description  # noqa: PLC0415 (for this test only)
    from attendet_runtime.letterbox import place_image  # noqa: PLC0415
    from tests.runtime_distribution.exported_files import small_description  # noqa: PLC0415

    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for description in (small_description(imgsz=imgsz), fixed_description(64, 96)):
        pixels = np.dstack([image, np.full((height, width), 255, np.uint8)])
        shape, values = page.evaluate(
            """async ([description, width, height, pixels]) => {
                const { place } = await import("./letterbox.js");
                const data = new Uint8ClampedArray(pixels);
                const { canvas } = place({ width, height, data }, JSON.parse(description));
                return [[canvas.height, canvas.width, 4], Array.from(canvas.data)];
            }""",
            [description.to_json(), width, height, pixels.ravel().tolist()],
        )
        expected, _ = place_image(image, parse_description(description.to_json()))
        np.testing.assert_array_equal(np.array(values).reshape(shape)[..., :3], expected)


def test_a_file_for_one_shape_works(
    detect: Callable[..., list[dict[str, Any]]], onnx_file: Path, tmp_path: Path
) -> None:
    description = fixed_description(224, 160, imgsz=224, strides=(8.0, 16.0, 32.0))
    file = with_description(onnx_file, tmp_path / "fixed.onnx", description)
    path = write_png(photographs()[1], tmp_path / "a.png")
    expected = Detector(file, Options(confidence=0.7))(path)
    assert len(detect(file, path, 0.7)) == pytest.approx(len(expected), rel=0.01)


def test_detections_in_the_file_are_shown_as_they_are(
    page: Page, detect: Callable[..., list[dict[str, Any]]], tmp_path: Path
) -> None:
    names = ('cat "Δ"', "<b>white</b> dog")
    description = baked_description(names=names, shape={"batch": 2})
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, description)
    path = write_png(np.full((32, 64, 3), 200, np.uint8), tmp_path / "a.png")
    assert_same_objects(detect(file, path), Detector(file)(path).to_list(), pixels=1e-3)
    cells = page.eval_on_selector_all("#detections tbody td", "cells => cells.map(cell => cell.textContent)")
    assert cells[:6] == [names[1], "0.90", "0.0", "0.0", "14.0", "14.0"]
    assert page.get_attribute("#confidence", "min") == "0.25"


def test_images_are_rotated_and_mistakes_are_shown(page: Page, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photographs()[0]).save(tmp_path / "a.jpg", exif=exif)
    file = write_constant_graph(tmp_path / "a.onnx", {"detections": BAKED}, baked_description())
    (tmp_path / "text.onnx").write_text("this is not a network")
    page.set_input_files("#file", tmp_path / "text.onnx")
    page.wait_for_selector("#status.failed")
    assert page.text_content("#status") == "the file is not an ONNX file"
    page.set_input_files("#file", file)
    page.set_input_files("#image", tmp_path / "a.jpg")
    page.wait_for_function("/detection/.test(document.getElementById('status').textContent)")
    assert page.evaluate("[canvas.width, canvas.height]") == [427, 640]
    page.screenshot(path=tmp_path / "page.png")
    with Image.open(tmp_path / "page.png") as picture:
        colors = np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)
    assert len(colors) > 1000
