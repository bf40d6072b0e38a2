"""Labels of boxes: a name in any script on a colored ground, drawn into an image."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from attendet.utils.fonts import font_runs

_BRIGHT = 140


def draw_label(
    image: Image.Image, corner: tuple[float, float], text: str, color: tuple[int, int, int], *, font_size: int
) -> None:
    """Draw a label above the upper left corner of a box, moved to where it fits into the image.

    Args:
        image: The RGB image that is drawn into.
        corner: x and y of the corner in pixels.
        text: The label. Scripts from right to left are drawn like that.
        color: Red, green, blue of the ground in 0-255; the text is black or white, whichever is readable on it.
        font_size: Height of the font in pixels.
    """
    runs = [(ImageFont.truetype(font, font_size), part) for font, part in font_runs(text)]
    padding = max(2, font_size // 4)
    lengths = [font.getlength(part) for font, part in runs]
    ascent, descent = (max(sizes) for sizes in zip(*(font.getmetrics() for font, _ in runs), strict=True))
    width, height = sum(lengths) + 2 * padding, ascent + descent + padding
    left = max(0.0, min(corner[0], image.width - width))
    bottom = max(height, min(corner[1], image.height))
    canvas = ImageDraw.Draw(image)
    canvas.rectangle((left, bottom - height, left + width, bottom), fill=color)
    ink = _readable_on(color)
    x = left + padding
    for (font, part), length in zip(runs, lengths, strict=True):
        # The parts have one base line.
        canvas.text((x, bottom - padding / 2 - descent), part, fill=ink, font=font, anchor="ls")
        x += length


def _readable_on(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return black or white, whichever is readable on a color."""
    red, green, blue = color
    return (0, 0, 0) if 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT else (255, 255, 255)
