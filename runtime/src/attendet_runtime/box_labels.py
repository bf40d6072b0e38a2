"""Labels of boxes: a text on a colored ground, drawn into an image with Pillow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from attendet_runtime.errors import UsageError, first_line
from attendet_runtime.palette import Color

_BRIGHT = 140
_SYSTEM_FONT = "DejaVuSans.ttf"
# Unicode states that this number is never a character, so that every font draws its sign for missing letters.
_NEVER_A_LETTER = "\uffff"


def label_font(font: Path | None, size: int) -> ImageFont.FreeTypeFont:
    """Return a font for labels.

    Args:
        font: A font file; None for DejaVu Sans if the system has it, and otherwise the font in Pillow, which has Latin
            letters only.
        size: Height of the font in pixels.

    Raises:
        UsageError: If the file is not a font that Pillow reads.
    """
    if font is not None:
        try:
            return ImageFont.truetype(str(font), size)
        except OSError as error:
            raise UsageError(f"{font}: the font must be a TrueType or OpenType file: {first_line(error)}") from error
    try:
        return ImageFont.truetype(_SYSTEM_FONT, size)
    except OSError:
        built_in = ImageFont.load_default(size)
    if not isinstance(built_in, ImageFont.FreeTypeFont):
        raise UsageError("this Pillow has no FreeType, which draws labels; install Pillow from its wheels")
    return built_in


def drawable_names(names: Sequence[str], font: ImageFont.FreeTypeFont) -> list[str]:
    """Return class names for pictures: `class 0` for a name with letters that the font does not have.

    Example:
        >>> drawable_names(["cat", "\U000e4e10"], label_font(None, 12))
        ['cat', 'class 1']
    """
    missing = _sign(_NEVER_A_LETTER, font)
    letters = {letter for letter in set("".join(names)) if letter.isprintable()}
    drawable = {letter for letter in letters if letter == " " or _sign(letter, font) != missing}
    return [name if drawable.issuperset(name) else f"class {index}" for index, name in enumerate(names)]


def draw_label(
    image: Image.Image, corner: tuple[float, float], text: str, color: Color, font: ImageFont.FreeTypeFont
) -> None:
    """Draw a label above the upper left corner of a box, moved to where it fits into the image.

    Args:
        image: The RGB image that is drawn into.
        corner: x and y of the corner in pixels.
        text: The label.
        color: Red, green, blue of the ground in 0-255; the text is black or white, whichever is readable on it.
        font: The font with its size.
    """
    padding = max(2, int(font.size) // 4)
    ascent, descent = font.getmetrics()
    width, height = font.getlength(text) + 2 * padding, ascent + descent + padding
    left = max(0.0, min(corner[0], image.width - width))
    bottom = max(height, min(corner[1], image.height))
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((left, bottom - height, left + width, bottom), fill=color)
    red, green, blue = color
    ink = (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT else (255, 255, 255)
    canvas.text((left + padding, bottom - padding / 2 - descent), text, fill=ink, font=font, anchor="ls")


def _sign(letter: str, font: ImageFont.FreeTypeFont) -> bytes:
    """Return the pixels that a font draws for a letter."""
    side = 2 * int(font.size)
    image = Image.new("L", (side, side))
    ImageDraw.Draw(image).text((side // 4, side // 4), letter, fill=255, font=font)
    return image.tobytes()
