"""Attention requests as text, as on the command line."""

import pytest

from attendet.errors import OptionError, UnknownNameError
from attendet.models.attention_request import AttentionRequest, parse_request


def test_values_are_numbers_booleans_and_words() -> None:
    request = parse_request("cbam:reduction=8,kernel_size=3,variant=authors@after:neck.C3")
    assert request == AttentionRequest(
        "cbam", "after:neck.C3", {"reduction": 8, "kernel_size": 3, "variant": "authors"}
    )
    assert parse_request("bam@stage:1-3") == AttentionRequest("bam", "stage:1-3", {})


@pytest.mark.parametrize(
    "text", ["", "cbam", "cbam@", "@neck", "cbam:reduction@neck", "cbam:=8@neck", "cbam:reduction=@neck"]
)
def test_other_formats_are_refused(text: str) -> None:
    with pytest.raises((OptionError, UnknownNameError)):
        parse_request(text)


# Arguments of `attach` are not options of a module.
@pytest.mark.parametrize("option", ["example", "model", "at", "attention", "reducton"])
def test_an_unknown_option_is_refused(option: str) -> None:
    with pytest.raises(OptionError, match=f"cbam has no option '{option}'"):
        parse_request(f"cbam:{option}=5@neck")
