"""Names of results that are made from odd names of inputs."""

import os
from pathlib import Path

from attendet.utils.file_names import UniqueNames, safe_file_name

ODD = [
    *(
        "..",
        ".",
        "...",
        "",
        " ",
        "a/b",
        "a\\b",
        "a\nb",
        "a\x1b[2Jb",
        "a\0b",
        "\u202egnp",
        "x" * 400,
        "斑马" * 200,
        "🐶",
    ),
    *("-dash", "100%s", "$HOME", "caf\udce9", "CAF\udce9", "a_b", "[red]:skull:", "ليث\u200cب", "\ud800"),
]


def test_every_name_is_unique_and_stays_in_its_folder(tmp_path: Path) -> None:
    names = UniqueNames()
    taken = [names.take(name) for name in ODD * 2]
    assert len({name.lower() for name in taken}) == len(taken)
    for name in taken:
        path = tmp_path / f"{name}.png"
        path.touch()
        assert path.parent.resolve() == tmp_path
        (tmp_path / name).mkdir()
    assert len(os.listdir(tmp_path)) == 2 * len(taken)  # noqa: PTH208 (counts only)


def test_names_are_recognized() -> None:
    names = UniqueNames()
    for name in ("-dash", "100%s", "caf\udce9", "🐶", "斑马", "ليث\u200cب", "a b"):
        assert names.take(name) == name
    assert names.take("x" * 400) == "x" * 230


def test_classes_of_any_script_have_folders_with_their_names() -> None:
    for name in ("बिल्ली", "น้ำ", "می\u200cخواهم", "cafe\u0301", "斑马"):
        assert safe_file_name(name) == name
    assert safe_file_name("\u200d") == "_"


def test_a_class_cannot_choose_the_folder_of_its_crops() -> None:
    assert [safe_file_name(name) for name in ("../..", "/etc", "", "\udce9", "a:b")] == ["_", "_etc", "_", "_", "a_b"]
