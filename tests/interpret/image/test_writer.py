"""Explanations are written completely or not at all; the page works without network or mouse."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn
from torchvision.models import resnet18

import attendet
from attendet.errors import DataError, OutputError
from attendet.interpret.image.explainer import explanations
from attendet.interpret.image.explanation import Explanation
from attendet.interpret.image.request import ExplanationRequest
from attendet.interpret.image.writer import write_explanations, write_run
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium to open the page")

# Keys that a user presses and the expected state of the page; the script writes the result to the title.
KEYS = """
<script>
addEventListener("load", () => {
  const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const state = () => document.getElementById("position").textContent + " " + (document.activeElement.tagName);
  const states = [state()];
  press("ArrowRight"); states.push(state());
  press("ArrowRight"); states.push(state());
  press("ArrowLeft"); states.push(state());
  document.getElementById("next").click(); states.push(state());
  const section = document.querySelectorAll("main > section")[1];
  const on = () => [...section.querySelectorAll(".stage img + img")].map(each => each.classList.contains("on")).join();
  states.push(on());
  const radios = [...section.querySelectorAll("input[type=radio]")];
  radios[2].focus(); radios[2].click(); states.push(on());
  press("ArrowLeft"); states.push(state());
  radios[0].click(); states.push(on());
  const stops = [...document.querySelectorAll("button, input, [tabindex='0']")];
  states.push(stops.every(each => { each.focus(); return document.activeElement === each; }));
  const images = [...document.images];
  states.push(images.every(image => image.complete && image.naturalWidth > 0));
  document.title = JSON.stringify(states);
});
</script>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, detector: Detector, photographs: list[NDArray[np.uint8]]) -> Path:
    """Write explanations of two photographs; the name of the first is unsafe in HTML and in file systems."""
    folder = tmp_path_factory.mktemp("explained")
    for name, pixels in zip(("a <b>&.png", "b.png"), photographs, strict=True):
        Image.fromarray(pixels).save(folder / name)
    images = [folder / "a <b>&.png", folder / "b.png"]
    attendet.explain(detector, images, out=folder / "out", names=NAMES, imgsz=192, confidence=0.8)
    return folder / "out"


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {key: value or "" for key, value in attrs}))


def chromium(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert CHROMIUM is not None
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)  # noqa: S603 (our own page)


def test_numbers_equal_the_explanation(folder: Path, detector: Detector, photographs: list[NDArray[np.uint8]]) -> None:
    names = sorted(path.name for path in folder.iterdir())
    suffixes = ("npz", "png", "svg")
    expected = [f"001-a_b_.{suffix}" for suffix in suffixes] + [f"002-b.{suffix}" for suffix in suffixes]
    assert names == [*expected, "index.html", "manifest.json"]
    (explanation,) = attendet.explain(detector, photographs[1], names=NAMES, imgsz=192, confidence=0.8)
    assert explanation.with_attention.detections is not None
    assert explanation.without_attention.detections is not None
    assert explanation.activation is not None
    with np.load(folder / "002-b.npz", allow_pickle=False) as numbers:
        site = explanation.sites[0]
        for name in ("spatial", "channels", "before", "after"):
            np.testing.assert_array_equal(numbers[f"model.9/{name}"], getattr(site, name))
        np.testing.assert_array_equal(numbers["extent"], explanation.image.extent)
        np.testing.assert_array_equal(numbers["boxes"], explanation.with_attention.detections.xyxy)
        np.testing.assert_array_equal(
            numbers["without/confidences"], explanation.without_attention.detections.confidence
        )
        np.testing.assert_array_equal(numbers["cam/LayerCAM"], explanation.activation.maps["LayerCAM"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["versions"]["attendet"] == attendet.__version__
    assert manifest["versions"]["torch"] == torch.__version__
    entry = manifest["images"][1]
    assert (entry["width"], entry["height"]) == (640, 427)
    assert entry["files"] == ["002-b.png", "002-b.svg", "002-b.npz"]
    assert len(entry["with_attention"]["detections"]) == len(explanation.with_attention.detections)
    assert entry["sites"][0]["saturated"] == site.saturated


def test_figures_are_drawn_in_both_formats(folder: Path) -> None:
    with Image.open(folder / "002-b.png") as figure:
        assert figure.width > 1500
        pixels = np.asarray(figure)
    # A photograph has many colors.
    assert len(set(map(tuple, pixels[::8, ::8].reshape(-1, 3).tolist()))) > 1000
    drawing = ET.parse(folder / "002-b.svg").getroot()  # noqa: S314 (our own file)
    images = drawing.findall(".//{http://www.w3.org/2000/svg}image")
    assert len(images) >= 7
    for image in images:
        assert image.attrib["{http://www.w3.org/1999/xlink}href"].startswith("data:image/png;base64,")


def test_the_page_is_self_contained_and_describes_every_image(folder: Path) -> None:
    page = Tags()
    text = (folder / "index.html").read_text(encoding="utf-8")
    page.feed(text)
    images = [attributes for tag, attributes in page.found if tag == "img"]
    # For each of two images: the photograph, one gate, two class activation maps, and the figure.
    assert len(images) == 10
    assert all(image["src"].startswith("data:image/") and len(image["alt"]) > 5 for image in images)
    addresses = [
        value for _, attributes in page.found for key, value in attributes.items() if key in ("src", "href", "action")
    ]
    assert len(addresses) == len(images)
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(r"data:image/\w+;base64,[\w+/=]+", "", text))
    assert "a &lt;b&gt;&amp;.png" in text
    assert "<b>&.png" not in text
    assert dict(page.found)["html"] == {"lang": "en"}
    labels = [attributes for tag, attributes in page.found if tag in ("label", "legend")]
    assert len(labels) >= 8


def without_policy(page: Path) -> str:
    """Return a page without its content security policy, so that a test can add a script."""
    text, count = re.subn(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page.read_text(encoding="utf-8"))
    assert count == 1
    return text


@needs_chromium
def test_the_browser_runs_no_script_but_that_of_the_page(folder: Path, tmp_path: Path) -> None:
    injected = tmp_path / "injected.html"
    script = "<script>document.title = 'injected'</script>"
    injected.write_text((folder / "index.html").read_text(encoding="utf-8") + script, encoding="utf-8")
    done = chromium("--dump-dom", injected.as_uri())
    assert "<title>injected</title>" not in done.stdout
    assert "Content Security Policy" in done.stderr
    # The script of the page itself has run.
    assert ">image 1 of 2</span>" in done.stdout


@needs_chromium
def test_the_page_renders_without_errors(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    done = chromium("--window-size=1280,1600", f"--screenshot={picture}", (folder / "index.html").as_uri())
    assert "CONSOLE" not in done.stderr
    with Image.open(picture) as screenshot:
        pixels = np.asarray(screenshot.convert("RGB"))
    assert pixels.shape[:2] == (1600, 1280)
    # The page is not blank, and shows a photograph: a page of text has few colorful pixels.
    colorful = np.ptp(pixels.astype(int), axis=2) > 20
    assert 0.1 < colorful.mean() < 0.9
    # A narrow screen does not need to scroll sideways.
    narrow = tmp_path / "narrow.html"
    measured = "<script>document.title = document.documentElement.scrollWidth - innerWidth</script>"
    narrow.write_text(without_policy(folder / "index.html") + measured, encoding="utf-8")
    shown = chromium("--window-size=600,900", "--dump-dom", narrow.as_uri()).stdout
    title = re.search(r"<title>(-?\d+)</title>", shown)
    assert title is not None
    assert int(title[1]) <= 0


@needs_chromium
def test_errors_of_a_page_are_noticed(tmp_path: Path) -> None:
    (tmp_path / "wrong.html").write_text("<!DOCTYPE html><script>nothing.here()</script>")
    done = chromium(f"--screenshot={tmp_path / 'wrong.png'}", (tmp_path / "wrong.html").as_uri())
    assert "CONSOLE" in done.stderr


@needs_chromium
def test_the_page_works_with_the_keyboard(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "keys.html"
    copy.write_text(without_policy(folder / "index.html").replace("</body>", KEYS + "</body>"), encoding="utf-8")
    done = chromium("--dump-dom", copy.as_uri())
    assert "CONSOLE" not in done.stderr
    found = re.search(r"<title>(.*?)</title>", done.stdout)
    assert found is not None
    assert json.loads(found[1]) == [
        "image 1 of 2 BODY",
        "image 2 of 2 SECTION",
        "image 2 of 2 SECTION",
        "image 1 of 2 SECTION",
        "image 2 of 2 SECTION",
        "true,false,false",
        "false,true,false",
        # In the choice of maps, the arrow keys choose a map.
        "image 2 of 2 INPUT",
        "false,false,false",
        True,
        True,
    ]


def test_classifiers_and_all_kinds_of_modules_are_drawn(tmp_path: Path) -> None:
    model = resnet18(num_classes=4).train(False)
    for stage, name in enumerate(("gc", "sk", "simam", "control-identity"), start=1):
        options = {} if name == "control-identity" else {"start": "paper"}
        attendet.attach(model, name, f"stage:{stage}", **options)
    attendet.attach(model, "se", "layer*.*.bn2")
    # A very long image of a single color, and maps with few positions.
    images = [np.full((10, 400, 3), 90, np.uint8)]
    (first,) = attendet.explain(model, images, out=tmp_path / "out", imgsz=64, names=["$a", "<b>", "crane", "crane"])
    assert len(first.sites) == 12
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [site["join"] for site in manifest["images"][0]["sites"]].count("addition") == 1
    for key in ("with_attention", "without_attention"):
        classes = manifest["images"][0][key]["classes"]
        # Two classes may have the same name: ImageNet has a crane that is a bird, and one that is a machine.
        assert sorted(each["class"] for each in classes) == ["$a", "<b>", "crane", "crane"]
        assert sum(each["probability"] for each in classes) == pytest.approx(1)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), attendet.attention.create("se", 16, reduction=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def failing(explained: Iterator[Explanation]) -> Iterator[Explanation]:
    yield next(explained)
    raise KeyError


def test_no_folder_remains_after_an_error(tmp_path: Path) -> None:
    model, images = small(), torch.rand(2, 3, 8, 8)
    with pytest.raises(KeyError):
        write_explanations(failing(explanations(model, images)), tmp_path / "out", model, ExplanationRequest())
    with pytest.raises(KeyError):
        write_run(failing(explanations(model, images)), tmp_path, "exp", model, ExplanationRequest())
    with pytest.raises(DataError, match="no image could be explained; name at least one image that can be read"):
        write_explanations(iter(()), tmp_path / "out", model, ExplanationRequest())
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_are_null_in_json(tmp_path: Path) -> None:
    class Overflowing(nn.Module):
        """A network that overflows without its gates, which are far below 1."""

        def __init__(self) -> None:
            super().__init__()
            self.gates = attendet.attention.create("cbam", 16, reduction=2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            features = self.gates(x.expand(-1, 16, -1, -1)).mean((2, 3))[:, :4]
            return torch.where(features > 0.9, torch.inf, features)

    model = Overflowing().train(False)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    attendet.explain(model, torch.ones(1, 1, 8, 8), out=tmp_path / "out")
    (entry,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["images"]
    for key, probability in (("with_attention", 0.25), ("without_attention", None)):
        assert entry[key]["classes"] == [{"class": f"{number}", "probability": probability} for number in range(4)]


def test_existing_folders_are_not_overwritten(tmp_path: Path) -> None:
    model, images = small(), torch.rand(1, 3, 8, 8)
    (tmp_path / "exp").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        attendet.explain(model, images, out=tmp_path / "exp")
    folder, count = write_run(explanations(model, images), tmp_path, "exp", model, ExplanationRequest())
    assert (folder.name, count) == ("exp2", 1)
    assert list((tmp_path / "exp").iterdir()) == []
