"""Names in any script are drawn with the fonts of the system."""

import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from numpy.typing import NDArray
from PIL import Image

from attendet.prediction.drawing import draw_detections
from attendet.utils import fonts
from attendet.utils.fonts import DEFAULT_FONT, drawable_names, drawable_text, font_advice, font_runs, is_drawable
from attendet.utils.plotting import class_label, complete_fonts, label_text, new_figure, save_figure
from tests.utils.block_fonts import write_font

ZEBRA, DOG = "斑马", "शेर"


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[str]]]:
    """Let the system have these fonts only, besides the one of matplotlib: texts of letters by family."""

    def let_system_have(**families: str) -> list[str]:
        found = [write_font(tmp_path / f"{family}.ttf", letters, family) for family, letters in families.items()]
        (tmp_path / "broken.ttf").write_bytes(b"no font")
        monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(tmp_path / "broken.ttf"), *found])
        fonts._library.cache_clear()
        return found

    yield let_system_have
    fonts._library.cache_clear()


def test_without_a_font_a_class_has_its_number_and_a_package_is_named(install: Callable[..., list[str]]) -> None:
    install()
    names = ["cat", ZEBRA, "зебра", DOG, "a\x1b[2J", "x\udce9"]
    assert drawable_names(names) == ["cat", "class 1", "зебра", "class 3", "class 4", "class 5"]
    assert class_label(ZEBRA, 1) == "class 1"
    assert label_text(f"photos/{ZEBRA}.jpg") == "photos/??.jpg"
    advice = font_advice(names)
    assert advice is not None
    assert advice.startswith(
        f"pictures show `class 1` for '{ZEBRA}' (and 3 more): no font on this system has its letters"
    )
    assert "fonts-noto-cjk" in advice
    assert "fonts-noto-core" in (font_advice([DOG]) or "")
    assert "fonts-symbola" in (font_advice(["👩\u200d🔬"]) or "")
    assert font_advice(["cat", "зебра", "حصان", "a\u2003b"]) is None
    assert "control characters" in (font_advice(["a\x1b[2J"]) or "")


def test_fonts_of_the_system_are_used_for_the_letters_that_the_default_lacks(install: Callable[..., list[str]]) -> None:
    chinese, indic = install(Chinese=ZEBRA + "0123456789. ", Indic=DOG)
    assert all(map(is_drawable, (ZEBRA, DOG, f"{ZEBRA} {DOG}")))
    assert font_runs("cat 0.5") == [(DEFAULT_FONT, "cat 0.5")]
    # One font for the whole label where one has all letters.
    assert font_runs(f"{ZEBRA} 0.5") == [(chinese, f"{ZEBRA} 0.5")]
    assert font_runs(f"{DOG}7") == [(indic, DOG), (DEFAULT_FONT, "7")]
    assert drawable_text(f"{ZEBRA}\U000e4e10") == f"{ZEBRA}?"
    assert font_advice([ZEBRA, DOG]) is None


def test_fonts_that_draw_a_sign_for_every_letter_are_not_used(
    install: Callable[..., list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install()
    last = write_font(tmp_path / "LastResortHE-Regular.ttf", ZEBRA, "Last")
    bold = write_font(tmp_path / "Some-Bold.ttf", ZEBRA, "SomeBold")
    plain = write_font(tmp_path / "Some-Regular.ttf", ZEBRA, "Some")
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [last, bold, plain])
    assert font_runs(ZEBRA) == [(plain, ZEBRA)]


def test_labels_of_predictions_show_the_letters(install: Callable[..., list[str]]) -> None:
    install(Chinese=ZEBRA)
    squares = pixels_of_label(ZEBRA)
    # Two squares of 0.8 em, which is 9 pixels here, in black or white, and no outline of a missing letter.
    assert (squares == [255, 255, 255]).all(axis=-1).sum() + (squares == 0).all(axis=-1).sum() > 2 * 36
    install()
    assert (pixels_of_label(ZEBRA) == pixels_of_label("class 0")).all()


def test_arabic_is_written_from_right_to_left_and_joined(install: Callable[..., list[str]]) -> None:
    """The first letter of the text is at the right: a text that begins with another letter differs there only."""
    install()
    one, other = (pixels_of_label(text) for text in ("ب دددد", "ا دددد"))
    different = np.argwhere((one != other).any(axis=-1))[:, 1]
    assert different.min() > label_width("ب دددد") / 2
    # A non-joiner between the letters gives each its separate form, which is wider.
    joined, separate = (label_width(text) for text in ("ببب", "ب\u200cب\u200cب"))
    assert joined < separate


def test_plots_show_the_letters_without_warnings(install: Callable[..., list[str]], tmp_path: Path) -> None:
    install(Chinese=ZEBRA)
    for name in ("plot.png", "plot.svg"):
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        bars = axes.barh([0, 1], [1, 2])
        axes.set_yticks([0, 1], [class_label(ZEBRA, 0), class_label("حصان", 1)])
        axes.set_title(label_text(f"{ZEBRA} $1"))
        figure.legend([bars.patches[0]], [class_label(ZEBRA, 0)])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            save_figure(figure, tmp_path / name)
    assert black_pixels(tmp_path / "plot.png") > 0
    complete_fonts(figure)
    label = axes.get_yticklabels()[0]
    assert label.get_fontfamily() == ["DejaVu Sans", "Chinese"]
    assert axes.get_yticklabels()[1].get_fontfamily() != ["DejaVu Sans", "Chinese"]


def pixels_of_label(name: str) -> NDArray[np.uint8]:
    found = sv.Detections(np.array([[10.0, 100, 60, 140]]), confidence=np.array([0.5]), class_id=np.array([0]))
    return draw_detections(np.full((200, 400, 3), 128, np.uint8), found, [name])[70:99]


def label_width(name: str) -> int:
    return int(np.argwhere((pixels_of_label(name) != 128).any(axis=-1))[:, 1].max())


def black_pixels(path: Path) -> int:
    with Image.open(path) as image:
        return int((np.asarray(image.convert("L")) < 60).sum())
