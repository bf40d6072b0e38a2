"""Text for people."""

from hypothesis import given
from hypothesis import strategies as st

from attendet.utils.text import list_names, printable, shorten


@given(st.text(), st.integers(1, 30))
def test_short_text_is_unchanged_and_long_text_is_cut(text: str, length: int) -> None:
    short = shorten(text, length)
    if len(text) <= length:
        assert short == text
    else:
        assert len(short) == length
        assert short[-1] == "…"
        assert text.startswith(short[:-1])


@given(st.text())
def test_printable_text_is_one_line_of_equal_length(text: str) -> None:
    assert printable(text).isprintable()
    assert len(printable(text)) == len(text)
    assert len(printable(text).splitlines()) <= 1


def test_names_beyond_the_limit_are_counted() -> None:
    names = [f"layer{number}" for number in range(1500)]
    assert list_names(names, 2) == "layer0, layer1 and 1,498 more"
    assert list_names(names[:2], 2) == "layer0, layer1"
    assert list_names([], 2) == ""
