"""HTML pages show texts as they are, fetch nothing, and run only their own script."""

import base64
import hashlib
import re

import pytest

from attendet.utils.html import Markup, escape, html_paragraphs, html_table, inline_image, page_end, page_start
from tests.helpers.parsed_html import ParsedHtml


@pytest.mark.parametrize("text", ["<script>x</script>", 'a" onload="x', "a & b", "<!-- -->", "]]>", "'"])
def test_hostile_texts_are_shown_and_not_interpreted(text: str) -> None:
    parsed = ParsedHtml(html_table((text,), [(text,)], label=text))
    assert parsed.rows == [[text], [text]]
    assert [tag for tag, _ in parsed.elements] == ["div", "table", "thead", "tr", "th", "tbody", "tr", "td"]
    assert dict(parsed.elements)["div"]["aria-label"] == text
    ((_, attributes),) = ParsedHtml(inline_image(b"x", text)).elements
    assert attributes == {"src": "data:image/png;base64,eA==", "alt": text}
    assert ParsedHtml(html_paragraphs([text, text])).paragraphs == [text, text]
    assert f"<title>{escape(text)}</title>" in page_start(text)


def test_markup_is_kept_and_control_characters_are_replaced() -> None:
    assert escape(Markup("<b>1</b>")) == "<b>1</b>"
    assert escape("a\x1b[2J\u202eb") == "a?[2J?b"


def test_long_texts_may_wrap_and_numbers_are_aligned_to_the_right() -> None:
    html = html_table(("name", "value"), [("a" * 61, 0.5)], text_columns=1)
    assert f'<td class="text long">{"a" * 61}</td><td>0.5</td>' in html


def test_the_policy_allows_the_script_of_the_page_only() -> None:
    script = "document.title = 'é';"
    start = page_start("a", script=script)
    policy = re.search(r'Content-Security-Policy" content="(.*?)"', start)
    assert policy is not None
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    directives = dict(part.strip().split(" ", 1) for part in policy[1].split(";"))
    assert directives == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": "'unsafe-inline'",
        "script-src": f"'sha256-{digest}'",
    }
    assert f"<script>{script}</script>" in page_end(script)
    assert "script-src" not in page_start("a")
    assert "<script" not in page_end()
