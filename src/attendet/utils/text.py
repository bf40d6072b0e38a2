"""Text for people: counts, lists, and text from files that is safe to print."""

from __future__ import annotations

from collections.abc import Sequence


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with the noun in its singular or plural form.

    Args:
        count: The number.
        one: The singular.
        many: The plural (default: the singular with an s).

    Example:
        >>> plural(1, "box", "boxes"), plural(1200, "image")
        ('1 box', '1,200 images')
    """
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def shorten(text: str, length: int) -> str:
    """Return a text of at most `length` characters; a longer text is cut and ends with an ellipsis.

    Args:
        text: Any text.
        length: Maximum number of characters, ellipsis included; at least 1.

    Example:
        >>> shorten("backbone", 8), shorten("backbone.stage1", 8)
        ('backbone', 'backbon…')
    """
    return text if len(text) <= length else f"{text[: length - 1]}…"


def list_names(names: Sequence[str], limit: int) -> str:
    """Join the first `limit` names with commas and count the others.

    Example:
        >>> list_names(["cat", "dog", "cow"], 3), list_names(["cat", "dog", "cow"], 1)
        ('cat, dog, cow', 'cat and 2 more')
    """
    others = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + others


def printable(text: str) -> str:
    r"""Replace each character that a terminal cannot show or would interpret by a question mark.

    Line breaks and control sequences are replaced too, so that the result is one line.

    Example:
        >>> printable("a\x1b[2J.png")
        'a?[2J.png'
    """
    return "".join(character if character.isprintable() else "?" for character in text)
