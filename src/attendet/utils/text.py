"""Words for people."""

from __future__ import annotations


def plural(count: int, one: str, many: str = "") -> str:
    """Return a number and what is counted.

    Example:
        >>> plural(1, "box", "boxes"), plural(1200, "image")
        ('1 box', '1,200 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def printable(text: str) -> str:
    r"""Return a text on one line, without what a terminal cannot show, or would obey.

    Example:
        >>> printable("a\x1b[2J.png")
        'a?[2J.png'
    """
    return "".join(character if character.isprintable() else "?" for character in text)
