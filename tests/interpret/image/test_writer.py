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
from attendet.interpret.image.explanation import Explanation, explanations
from attendet.interpret.image.question import Question
from attendet.interpret.image.writer import write_explanations, write_run
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import NAMES

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to open the page in")

# Keys that a user presses and the expected state of the page; the script writes the result to the title.
KEYS = """
<script>
addEventListener("load", () => {
  const press = key => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const where = () => document.getElementById("where").textContent + " " + (document.activeElement.tagName);
  const seen = [where()];
  press("ArrowRight"); seen.push(where());
  press("ArrowRight"); seen.push(where());
  press("ArrowLeft"); seen.push(where());
  document.getElementById("next").click(); seen.push(where());
  const section = document.querySelectorAll("main > section")[1];
  const on = () => [...section.querySelectorAll(".stage img + img")].map(each => each.classList.contains("on")).join();
  seen.push(on());
  const radios = [...section.querySelectorAll("input[type=radio]")];
  radios[2].focus(); radios[2].click(); seen.push(on());
  press("ArrowLeft"); seen.push(where());
  radios[0].click(); seen.push(on());
  const stops = [...document.querySelectorAll("button, input, [tabindex='0']")];
  seen.push(stops.every(each => { each.focus(); return document.activeElement === each; }));
  const images = [...document.images];
  seen.push(images.every(image => image.complete && image.naturalWidth > 0));
  document.title = JSON.stringify(seen);
});
</script>
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, detector: Detector, photographs: list[NDArray[np.uint8]]) -> Path:
    """Write explanations of two photographs; the name of the first is unsafe in HTML and in file systems."""
    made = tmp_path_factory.mktemp("explained")
    for name, pixels in zip(("a <b>&.png", "b.png"), photographs, strict=True):
        Image.fromarray(pixels).save(made / name)
    images = [made / "a <b>&.png", made / "b.png"]
    attendet.explain(detector, images, out=made / "out", names=NAMES, imgsz=192, confidence=0.97)
    return made / "out"


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


def test_numbers_are_those_that_were_explained(
    folder: Path, detector: Detector, photographs: list[NDArray[np.uint8]]
) -> None:
    names = sorted(path.name for path in folder.iterdir())
    kinds = ("npz", "png", "svg")
    expected = [f"001-a_b_.{kind}" for kind in kinds] + [f"002-b.{kind}" for kind in kinds]
    assert names == [*expected, "index.html", "manifest.json"]
    (explanation,) = attendet.explain(detector, photographs[1], names=NAMES, imgsz=192, confidence=0.97)
    assert explanation.answer.detections is not None
    assert explanation.without.detections is not None
    assert explanation.activation is not None
    with np.load(folder / "002-b.npz", allow_pickle=False) as numbers:
        site = explanation.sites[0]
        for name in ("spatial", "channels", "before", "after"):
            np.testing.assert_array_equal(numbers[f"model.9/{name}"], getattr(site, name))
        np.testing.assert_array_equal(numbers["extent"], explanation.picture.extent)
        np.testing.assert_array_equal(numbers["boxes"], explanation.answer.detections.xyxy)
        np.testing.assert_array_equal(numbers["without/confidences"], explanation.without.detections.confidence)
        np.testing.assert_array_equal(numbers["cam/LayerCAM"], explanation.activation.maps["LayerCAM"])
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["versions"]["attendet"] == attendet.__version__
    assert manifest["versions"]["torch"] == torch.__version__
    told = manifest["images"][1]
    assert (told["width"], told["height"]) == (640, 427)
    assert told["files"] == ["002-b.png", "002-b.svg", "002-b.npz"]
    assert len(told["with_attention"]["detections"]) == len(explanation.answer.detections)
    assert told["sites"][0]["saturated"] == site.saturated


def test_figures_show_something_in_both_formats(folder: Path) -> None:
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


def test_the_page_needs_nothing_else_and_tells_every_image_in_words(folder: Path) -> None:
    page = Tags()
    text = (folder / "index.html").read_text(encoding="utf-8")
    page.feed(text)
    images = [attributes for tag, attributes in page.found if tag == "img"]
    # The photograph, one gate, two maps and the figure, of each of two.
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


@needs_chromium
def test_the_page_renders_without_errors(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    done = chromium("--window-size=1280,1600", f"--screenshot={picture}", (folder / "index.html").as_uri())
    assert "CONSOLE" not in done.stderr
    with Image.open(picture) as screenshot:
        pixels = np.asarray(screenshot.convert("RGB"))
    assert pixels.shape[:2] == (1600, 1280)
    # Not blank, and above all a picture: of a page of text few pixels are colorful.
    colorful = np.ptp(pixels.astype(int), axis=2) > 20
    assert 0.1 < colorful.mean() < 0.9
    # On a narrow screen nothing is cut off.
    narrow = tmp_path / "narrow.html"
    measured = "<script>document.title = document.documentElement.scrollWidth - innerWidth</script>"
    narrow.write_text((folder / "index.html").read_text(encoding="utf-8") + measured, encoding="utf-8")
    shown = chromium("--window-size=600,900", "--dump-dom", narrow.as_uri()).stdout
    title = re.search(r"<title>(-?\d+)</title>", shown)
    assert title is not None
    assert int(title[1]) <= 0


@needs_chromium
def test_errors_of_a_page_would_be_seen(tmp_path: Path) -> None:
    (tmp_path / "wrong.html").write_text("<!DOCTYPE html><script>nothing.here()</script>")
    done = chromium(f"--screenshot={tmp_path / 'wrong.png'}", (tmp_path / "wrong.html").as_uri())
    assert "CONSOLE" in done.stderr


@needs_chromium
def test_the_page_is_used_by_keyboard(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "keys.html"
    text = (folder / "index.html").read_text(encoding="utf-8")
    copy.write_text(text.replace("</body>", KEYS + "</body>"), encoding="utf-8")
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
        # In the choice of layers arrows choose layers.
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
    # A very long image of a single color, and maps of few positions.
    images = [np.full((10, 400, 3), 90, np.uint8)]
    (first,) = attendet.explain(model, images, out=tmp_path / "out", imgsz=64, names=["$a", "<b>", "crane", "crane"])
    assert len(first.sites) == 12
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [site["join"] for site in manifest["images"][0]["sites"]].count("addition") == 1
    for how in ("with_attention", "without_attention"):
        classes = manifest["images"][0][how]["classes"]
        # Two classes may have one name, as the bird and the machine of ImageNet.
        assert sorted(each["class"] for each in classes) == ["$a", "<b>", "crane", "crane"]
        assert sum(each["probability"] for each in classes) == pytest.approx(1)


def small() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), attendet.attention.create("se", 16, reduction=2), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )


def failing(each: Iterator[Explanation]) -> Iterator[Explanation]:
    yield next(each)
    raise KeyError


def test_a_folder_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    model, images = small(), torch.rand(2, 3, 8, 8)
    with pytest.raises(KeyError):
        write_explanations(failing(explanations(model, images)), tmp_path / "out", model, Question())
    with pytest.raises(KeyError):
        write_run(failing(explanations(model, images)), tmp_path, "exp", model, Question())
    with pytest.raises(DataError, match="no image"):
        write_explanations(iter(()), tmp_path / "out", model, Question())
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_json_does_not_have_are_null(tmp_path: Path) -> None:
    class Overflowing(nn.Module):
        """Without its gates, which are far below 1, it leaves the range of its numbers."""

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
    (told,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["images"]
    for how, probability in (("with_attention", 0.25), ("without_attention", None)):
        assert told[how]["classes"] == [{"class": f"{number}", "probability": probability} for number in range(4)]


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    model, images = small(), torch.rand(1, 3, 8, 8)
    (tmp_path / "exp").mkdir()
    with pytest.raises(OutputError, match="already exists"):
        attendet.explain(model, images, out=tmp_path / "exp")
    folder, count = write_run(explanations(model, images), tmp_path, "exp", model, Question())
    assert (folder.name, count) == ("exp2", 1)
    assert list((tmp_path / "exp").iterdir()) == []
