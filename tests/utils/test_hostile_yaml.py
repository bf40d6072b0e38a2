"""YAML of strangers is read, or refused with one short error: no other exception, no long message, no long time."""

import random
import time

import pytest

from attendet.errors import AttendetError, DataError, Location, OptionError, unknown_name
from attendet.utils.text import short_repr
from attendet.utils.yaml_nodes import parse

# Pieces of YAML in which numbers, escapes, tags, and structure go wrong.
PIECES = (
    *("a", "1", ": ", "- ", "\n", " ", "[", "]", "{", "}", ",", "'", '"', "|", ">", "&a", "*a", "!", "!!int ", "---"),
    *("%YAML 1.1\n", "...", "#", "?", "~", "1e5", "0x", "1:30", "2001-01-01", "\\U", "\\u", "00110000", "\\x", "<<"),
    *(".inf", "=", "\t", "é", "\u2028", "_", "+", "-", "0b1", "9" * 30, "\r", "\x85", "on", "\ud800", "\0"),
)


def refusal(text: str) -> str:
    with pytest.raises(DataError) as caught:
        parse(text, "data.yaml", DataError)
    assert len(str(caught.value)) < 200
    return str(caught.value)


@pytest.mark.parametrize("escape", ["\\U00110000", "\\UFFFFFFFF", "\\ud800", "\\0", "\\x1b", "\\u202e", "\\x4", "\\q"])
def test_escapes_of_characters_that_do_not_exist_or_are_invisible(escape: str) -> None:
    assert refusal(f'x: "{escape}"\nnc: 1').startswith("data.yaml")


@pytest.mark.parametrize("head", ["%YAML " + "1" * 5000 + ".1", "%YAML 1." + "9" * 5000])
def test_huge_versions(head: str) -> None:
    assert "version that does not exist" in refusal(f"{head}\n--- a")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e999999", "1e999999"),
        ("1.0e+999999", float("inf")),
        ("9" * 60_000, "9" * 60_000),
        ("1" + ":59" * 20_000, "1" + ":59" * 20_000),
        ("190:20:30", 685230),
        ("2001-99-99", "2001-99-99"),
        ("2001-01-01 00:00:00 +99:99", "2001-01-01 00:00:00 +99:99"),
        ("0x_", "0x_"),
        ("=", "="),
    ],
)
def test_numbers_and_dates_that_are_neither_are_text(text: str, value: object) -> None:
    assert parse(f"x: {text}", "data.yaml").plain() == {"x": value}


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\n'a': 2",
        "1: 2\n'1': 3",
        "x: !!binary aGk=",
        "x: !!set {a}",
        "x: !<" + "a" * 30_000 + "> b",
        "x: &" + "a" * 30_000 + " b",
        "x: *" + "a" * 30_000,
        '"' + "k" * 500 + '": 1\n"' + "k" * 500 + '": 2',
        "- " * 9_000,
        "{a: " * 9_000,
        "? " * 9_000,
    ],
)
def test_features_that_are_refused_have_short_messages(text: str) -> None:
    refusal(text)


def test_merge_keys_have_no_meaning() -> None:
    assert parse("<<: {a: 1}\nb: 2", "data.yaml").plain() == {"<<": {"a": 1}, "b": 2}


def test_the_number_of_values_is_limited() -> None:
    start = time.process_time()
    assert "more than 110,000 values" in refusal("[" + "1," * 250_000 + "]")
    assert time.process_time() - start < 60
    names = parse("[" + "1," * 100_000 + "]", "data.yaml").value
    assert isinstance(names, list)
    assert len(names) == 100_000


def test_random_pieces_raise_no_other_exception() -> None:
    generator = random.Random(0)  # noqa: S311
    outcomes = {"read": 0, "refused": 0}
    messages = []
    for _ in range(2_000):
        text = "".join(generator.choice(PIECES) for _ in range(generator.randint(1, 25)))
        try:
            parse(text, "data.yaml")
            outcomes["read"] += 1
        except AttendetError as error:
            messages.append(str(error))
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 100
    assert max(map(len, messages)) < 300


def test_errors_are_shortened() -> None:
    error = OptionError("`names` must be text, got " + "a" * 10_000_000, remedy="b" * 10_000_000)
    assert str(error).startswith("`names` must be text, got aaa")
    assert len(str(error)) <= 4_100
    assert len(str(unknown_name("block", "a" * 10_000_000, ["C3"]))) < 200
    assert short_repr(10**5000) == "a huge int"
    assert len(short_repr(["a" * 10_000_000])) == 60


def test_places_are_shortened() -> None:
    error = DataError("file not found", where=Location("a" * 100_000, 3))
    assert len(str(error)) < 4300
    assert str(error).startswith("aaaa")
    assert str(error).endswith("aaaa:3: file not found")
    path = "/" + "b" * 4095
    assert str(DataError("file not found", where=Location(path))) == f"{path}: file not found"
