"""Fonts for names in any script: found on the system, and completed by a number where no font has the letters."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib import ft2font
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font
from PIL import features

from attendet.utils.text import is_legible, printable, short_repr

DEFAULT_FONT = str(Path(mpl.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))
"""The font that comes with matplotlib: Latin, Greek, Cyrillic, Hebrew, Arabic, Armenian, Georgian, and symbols."""

# Fonts that draw the same sign for every character, and fonts of colored pictures.
_NOT_LETTERS = ("lastresort", "adobeblank", "coloremoji")
_PLAIN_STYLES = frozenset({"regular", "book", "roman", "medium", "normal"})
_FIRST_INDIC = 0x900


def drawable_names(names: Sequence[str]) -> list[str]:
    """Return class names for pictures: `class 0` for a name whose letters no font on the system has.

    Args:
        names: Class names, in the order of their indices.

    Example:
        >>> drawable_names(["cat", "зебра", "\U000e4e10"])
        ['cat', 'зебра', 'class 2']
    """
    _library().find("".join(names))
    return [name if is_drawable(name) else f"class {index}" for index, name in enumerate(names)]


def font_advice(names: Sequence[str]) -> str | None:
    """Return a sentence on the names that pictures replace, and on the fonts to install; None without such names.

    Example:
        >>> font_advice(["cat"])
    """
    drawn = drawable_names(names)
    missing = [index for index, name in enumerate(names) if name != drawn[index]]
    if not missing:
        return None
    name = names[missing[0]]
    others = f" (and {len(missing) - 1:,} more)" if len(missing) > 1 else ""
    shown = f"pictures show `{drawn[missing[0]]}` for {short_repr(printable(name), 40)}{others}"
    if not is_legible(name):
        return f"{shown}: it has control characters, or characters that Unicode does not define"
    if _library().has_all(name):
        return f"{shown}: this version of matplotlib or Pillow does not order and join its letters"
    return f"{shown}: no font on this system has its letters; install {_package(name)}, or another font that has them"


def is_drawable(text: str) -> bool:
    """Return whether fonts on the system have all letters of a text, and its script can be drawn in the right order.

    Example:
        >>> is_drawable("cat"), is_drawable("\U000e4e10")
        (True, False)
    """
    return is_legible(text) and _library().has_all(text) and (_can_shape() or not any(map(_needs_shaping, text)))


def drawable_text(text: str) -> str:
    """Return a text for a picture: letters that cannot be drawn are question marks.

    Example:
        >>> drawable_text("cat \U000e4e10")
        'cat ?'
    """
    _library().find(text)
    return "".join(letter if is_drawable(letter) else "?" for letter in text)


def font_runs(text: str) -> list[tuple[str, str]]:
    """Return a text in parts, each with the path of a font that has its letters; usually one part.

    Letters that no font has belong to the part before them.

    Example:
        >>> [(Path(font).stem, part) for font, part in font_runs("a cat")]
        [('DejaVuSans', 'a cat')]
    """
    complete = _library().font_with_all(text)
    if complete is not None:
        return [(complete, text)]
    runs: list[tuple[str, str]] = []
    for letter in text:
        font = _library().font_of(letter) or (runs[-1][0] if runs else DEFAULT_FONT)
        if runs and runs[-1][0] == font:
            runs[-1] = font, runs[-1][1] + letter
        else:
            runs.append((font, letter))
    return runs


class _FontLibrary:
    """The fonts of the system, and the letters that were looked for in them."""

    def __init__(self) -> None:
        self._font_of: dict[str, str | None] = {}

    def find(self, text: str) -> None:
        """Look for the letters of a text, each font being opened at most once."""
        wanted = set(filter(_is_visible, text)) - self._font_of.keys()
        for font in _fonts() if wanted else ():
            face = _open_font(font)
            if face is None:
                continue
            found = {letter for letter in wanted if face.get_char_index(ord(letter))}
            self._font_of |= dict.fromkeys(found, font)
            wanted -= found
            if not wanted:
                return
        self._font_of |= dict.fromkeys(wanted)

    def font_of(self, letter: str) -> str | None:
        """Return the font of a letter; None without such a font, or if the letter is not visible."""
        self.find(letter)
        return self._font_of.get(letter)

    def has_all(self, text: str) -> bool:
        """Return whether there is a font for each letter of a text."""
        self.find(text)
        return all(self._font_of[letter] is not None for letter in filter(_is_visible, text))

    def font_with_all(self, text: str) -> str | None:
        """Return a font that has all letters of a text; of those only that have some letter first."""
        self.find(text)
        letters = set(filter(_is_visible, text))
        fonts = sorted({font for letter in letters if (font := self._font_of[letter])}, key=_preference)
        if not letters or fonts == [DEFAULT_FONT]:
            return DEFAULT_FONT
        return next((font for font in fonts if _covers(font, letters)), None)


@cache
def _library() -> _FontLibrary:
    """Return the library of this process: fonts are searched once."""
    return _FontLibrary()


def _covers(font: str, letters: set[str]) -> bool:
    face = _open_font(font)
    return face is not None and all(face.get_char_index(ord(letter)) for letter in letters)


def _open_font(font: str) -> FT2Font | None:
    """Return an open font; None if it is damaged, or draws no outlines."""
    try:
        face = FT2Font(font)
    except (OSError, RuntimeError, ValueError):
        return None
    return face if face.scalable else None


def _is_visible(letter: str) -> bool:
    """Return whether a character needs a glyph; spaces, joiners, and marks of direction do not."""
    return letter.isprintable() and not letter.isspace()


def _needs_shaping(letter: str) -> bool:
    """Return whether a letter is written from right to left, or changes with its neighbors."""
    is_indic = unicodedata.category(letter) in ("Mc", "Mn") and ord(letter) >= _FIRST_INDIC
    return unicodedata.bidirectional(letter) in ("R", "AL") or is_indic


def _package(name: str) -> str:
    """Return the package of Debian with a font for the first letter of a name that no font of the system has."""
    letter = next(letter for letter in name if not _library().has_all(letter))
    if unicodedata.category(letter).startswith("S"):
        return "fonts-symbola"  # emoji with outlines
    return "fonts-noto-cjk" if unicodedata.east_asian_width(letter) in ("W", "F") else "fonts-noto-core"


@cache
def _can_shape() -> bool:
    """Return whether both drawing libraries order and join letters; matplotlib does from 3.11 on."""
    return bool(features.check("raqm")) and hasattr(ft2font, "__libraqm_version__")


def _fonts() -> Iterator[str]:
    """Yield the default font, then the fonts of the system, those in a plain style and without serifs first."""
    yield DEFAULT_FONT
    found = [font for font in findSystemFonts() if not any(word in _stem(font) for word in _NOT_LETTERS)]
    yield from sorted(found, key=_preference)


def _preference(font: str) -> tuple[bool, bool, str]:
    stem = _stem(font)
    style = stem.rpartition("-")[2]
    return style != stem and style not in _PLAIN_STYLES, "sans" not in stem, font


def _stem(font: str) -> str:
    return Path(font).stem.lower()
