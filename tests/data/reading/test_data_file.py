"""data.yaml files as YOLOv5 and other tools write them, and invalid ones."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from attendet.data.reading import data_source
from attendet.errors import DataError
from tests.helpers.data_sets import write_data_file, write_image


def test_names_as_a_list_a_mapping_a_number_or_words_special_to_yaml(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    for names, expected in {
        "names: [cat, dog]": ("cat", "dog"),
        "names:\n  1: dog\n  0: cat": ("cat", "dog"),
        "nc: 2\nnames: ['cat', \"dog\"]": ("cat", "dog"),
        "nc: 2": ("class0", "class1"),
        "names: [on, 007, 1.50, null, yes sir]": ("on", "007", "1.50", "null", "yes sir"),
        "names: [Äpfel, 梨, don't]": ("Äpfel", "梨", "don't"),
        "names: [می\u200cخواهم, 全\u3000角, 👩\u200d🔬]": ("می\u200cخواهم", "全\u3000角", "👩\u200d🔬"),
        "names:\n" + "\n".join(f"  {number}: name {number}" for number in range(5000)): tuple(
            f"name {number}" for number in range(5000)
        ),
    }.items():
        assert data_source.open(write_data_file(tmp_path, f"train: images\n{names}\n")).names == expected


def test_a_control_character_in_a_list_of_names_shifts_no_class(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    data_file = write_data_file(tmp_path, "train: images\n")
    (tmp_path / "classes.txt").write_text("می\u200cخواهم\ndog\n")
    assert data_source.open(data_file).names == ("می\u200cخواهم", "dog")
    (tmp_path / "classes.txt").write_text("cat\x1b[2J\ndog\n")
    with pytest.raises(DataError, match=r"classes\.txt: a class name must be a line of text .*'cat\\x1b\[2J'"):
        data_source.open(data_file)


def test_other_keys_of_yolov5_are_ignored(tmp_path: Path) -> None:
    write_image(tmp_path / "coco128/images/train2017/a.png")
    text = """# COCO128
path: coco128  # dataset root dir
train: images/train2017  # train images
val: images/train2017
test:  # test images (optional)

names:
  0: person
  1: bicycle

# Download script/URL (optional)
download: |
  import os
\tfrom pathlib import Path

  dir = Path(yaml['path'])  # root
  for x in 'a', 'b': os.system(f"rm {x}")
"""
    source = data_source.open(write_data_file(tmp_path, text.replace("\t", "  ")))
    assert (source.names, list(source.splits)) == (("person", "bicycle"), ["train", "val"])
    assert len(source.read("val").records) == 1


def test_keys_of_other_tools_are_ignored(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    others = "author: me\nkpt_shape: [17, 3]\ntrain_label: labels\naugment: 1\nlicense: MIT\n"
    assert list(data_source.open(write_data_file(tmp_path, f"train: images\nnames: [cat]\n{others}")).splits) == [
        "train"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: images\nnames: [a]\nnam: [b]", "data.yaml:3:6: unknown key 'nam'; did you mean 'names'?"),
        ("train: images\nnames: [a]\nvalid: images", "unknown key 'valid'; did you mean 'val'?"),
        ("train: images\nnames: [a, b]\nnc: 3", "data.yaml:3:5: `nc` must be the number of names, 2, got 3"),
        ("train: images\nnc: many\n", "`nc` must be the number of classes, from 1 to 100,000, got 'many'"),
        ("train: images\nnc: [1]\n", "`nc` must be the number of classes, from 1 to 100,000, got [1]"),
        ("train: images\nnc: -1\n", "`nc` must be the number of classes, from 1 to 100,000, got -1"),
        ("train: images\nnames: {0: a, 2: b}", "the numbers of `names` must count from 0 without a gap"),
        ("train: images\nnames: pear", "`names` must be a list or a mapping, got 'pear'"),
        ("train: images\nnames: [[a]]", "a class name must be text, got ['a']"),
        ("train: images\nnames: ['']", "a class name must be text, got ''"),
        ("train: images\nnames: []", "`names` must not be empty"),
        ("train: images", "the data set has no class names; write a data.yaml"),
        ("names: [a]", "data.yaml must have a key `train`, `val`, or `test`"),
        ("train: []\nnames: [a]", "the list must not be empty"),
        ("train: 3\nnames: [a]", "the value must be a path, got 3"),
        ("train: {a: b}\nnames: [a]", "the value must be a path, got {'a': 'b'}"),
        ("train: images\nnames: [a]\nformat: yolov9", "`format` must be one of yolo, coco, voc, cvat, got 'yolov9'"),
        ("path: nowhere\ntrain: images\nnames: [a]", "folder not found: "),
        ("train: *x\nnames: [a]", "the alias *x is not allowed"),
        ("train: !!python/object/apply:os.system [ls]\nnames: [a]", "tag"),
        ("- train", "data.yaml must be a mapping of keys to values"),
        ("", "the file is empty"),
        ("train: images\nnames: [a]\n#" + "x" * 600_000, "the file is larger than 524,288 bytes"),
    ],
)
def test_mistakes_are_errors_with_their_place(text: str, message: str, tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    with pytest.raises(DataError) as caught:
        data_source.open(write_data_file(tmp_path, text))
    assert message in str(caught.value)


def test_a_split_is_a_folder_a_glob_a_list_or_many(tmp_path: Path) -> None:
    root = tmp_path / "[1] set"
    for seed, name in enumerate(["a", "b", "c", "d"]):
        write_image(root / "images" / ("x" if seed < 2 else "y") / f"{name}.png", seed=seed)
    (root / "list.txt").write_text("images/y/d.png\n./images/x/a.png\n")
    for value, expected in {
        "images": "abcd",
        "images/y": "cd",
        "images/*/[ac].png": "ac",
        "list.txt": "da",
        "[list.txt, images/y/c.png]": "dac",
        "\n  - images/y\n  - images/x": "cdab",
        f"'{root}/images/x'": "ab",
    }.items():
        source = data_source.open(write_data_file(root, f"train: {value}\nnames: [cat]\n"))
        assert "".join(record.image.stem for record in source.read("train").records) == expected, value


def test_path_is_relative_to_the_file_or_to_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(tmp_path / "current/sets/one/images/a.png")
    monkeypatch.chdir(tmp_path / "current")
    (tmp_path / "files").mkdir()
    for path in ("../current/sets/one", "sets/one", str(tmp_path / "current/sets/one")):
        source = data_source.open(write_data_file(tmp_path / "files", f"path: {path}\ntrain: images\nnames: [cat]\n"))
        assert source.root == tmp_path / "current/sets/one"
        assert len(source.read("train").records) == 1


def test_exports_of_roboflow_with_paths_in_the_parent_folder(tmp_path: Path) -> None:
    write_image(tmp_path / "export/train/images/a.png")
    text = "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['x']\nroboflow:\n  license: MIT\n"
    source = data_source.open(write_data_file(tmp_path / "export", text))
    assert len(source.read("train").records) == 1
    with pytest.raises(DataError, match=r"data\.yaml:2:6: file or folder not found: .*valid/images"):
        source.read("val")


WORDS = st.sampled_from(["images", "list.txt", ".", "*", "[", "a.json", "data.yaml", "", "cat", "0", "'", "{", "voc"])
LINES = st.tuples(st.sampled_from(["path", "train", "val", "names", "nc", "format", "images", "x"]), st.lists(WORDS))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(st.lists(LINES, max_size=5))
def test_any_data_file_is_read_or_refused(tmp_path: Path, lines: list[tuple[str, list[str]]]) -> None:
    write_image(tmp_path / "images/a.png", (8, 8))
    (tmp_path / "list.txt").write_text("images/a.png\n")
    text = "".join(f"{key}: {words[0] if len(words) == 1 else words}\n" for key, words in lines)
    with contextlib.suppress(DataError):
        source = data_source.open(write_data_file(tmp_path, text))
        for split in source.splits:
            with contextlib.suppress(DataError):
                source.read(split, cache=False)
