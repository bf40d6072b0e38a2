"""Invalid and hostile model files are refused with their position, in bounded memory and time."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import attendet
from attendet.errors import ModelFileError
from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file, fix_model_file
from attendet.models.yaml.lookup import load_model_file
from attendet.models.yaml.model_file import read_model_file
from attendet.utils.yaml_nodes import MAX_BYTES, parse

GOOD = bundled_text("yolov5n")


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


HOSTILE = {
    "an alias": (changed("[64, 6, 2, 2]", "*a"), 12, 19, "alias"),
    "an anchor": (changed("[64, 6, 2, 2]", "&a [64]"), 12, 19, "anchor"),
    "a billion laughs": ("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", 1, 4, "anchor"),
    "a tag that names code": (changed("[64, 6, 2, 2]", "!!python/object/apply:os.system ['true']"), 12, 19, "tag"),
    "deep nesting": ("a: " + "[" * 5000, 1, 11, "nesting"),
    "code for a module": (changed("Conv, [64", "\"__import__('os').system('true')\", [64"), 12, 5, "unknown block"),
    "code for an argument": (changed("[64, 6, 2, 2]", "[64, \"__import__('os')\", 2]"), 12, 5, "cannot be built"),
    "absurd repeats": (changed("[-1, 3, C3, [128]]", "[-1, 1000000000, C3, [128]]"), 14, 10, "from 1 to 100"),
    "absurd repeats in sum": (
        changed("depth_multiple: 0.33", "depth_multiple: 4.0").replace("-1, 3,", "-1, 99,"),
        14,
        5,
        "repeats",
    ),
    "an absurd width": (changed("[64, 6, 2, 2]", "[1000000000, 6, 2, 2]"), 12, 20, "between -65,536 and 65,536"),
    "an absurd kernel": (changed("[64, 6, 2, 2]", "[64, 60000, 2, 30000]"), 12, 5, "parameters"),
    "absurd padding": (changed("[64, 6, 2, 2]", "[64, 6, 1, 60000]"), 12, 5, "gives a feature map"),
    "absurd depth inside blocks": (
        changed("SPPF, [1024, 5]", "TransformerBlock, [64, 4, 5000]"),
        21,
        5,
        "transformer layers",
    ),
    "a device for an argument": (
        changed("Conv, [64, 6, 2, 2]", "nn.Conv2d, [64, 6, 2, 2, 1, 1, true, zeros, cpu]"),
        12,
        5,
        "cannot be built",
    ),
    "a number of a thousand digits": (changed("nc: 80", "nc: 0x" + "f" * 6000), 2, 5, "from 1 to"),
    "a number in base sixty": (changed("[64, 6, 2, 2]", "[1" + ":59" * 9000 + ", 6]"), 12, 5, "output width"),
    "too many pools": (
        changed("SPPF, [1024, 5]", "SPP, [1024, [" + "5, " * 9000 + "5]]"),
        21,
        25,
        "at most 32 items, got 9,001",
    ),
    "a large number behind a word": (
        changed("nc: 80", "nc: 80\nbig: 4000000000").replace("[64, 6, 2, 2]", "[big, 6, 2, 2]"),
        13,
        20,
        "between -65,536 and 65,536",
    ),
    "escapes for the terminal": (changed("nc: 80", '"a\\e[31m": 1\nnc: 80'), 2, 1, "control characters"),
    "too many sources": (
        changed("[[-1, 6], 1", "[[" + "-1, " * 9000 + "6], 1"),
        26,
        6,
        "row 12 must read 1 to 32 rows, got 9,001",
    ),
    "absurd repeats of a deep block": (
        changed("[-1, 1, SPPF, [1024, 5]]", "[-1, 100, TransformerBlock, [64, 4, 12]]").replace("0.33", "1.0"),
        21,
        5,
        "fewer repeats",
    ),
    "an absurd multiple": (changed("width_multiple: 0.25", "width_multiple: 1.0e+30"), 4, 17, "at most 16"),
    "no number for a multiple": (changed("width_multiple: 0.25", "width_multiple: .nan"), 4, 17, "positive"),
    "a huge number": (changed("nc: 80", "nc: " + "9" * 5000), 2, 5, "from 1 to"),
    "no classes": (changed("nc: 80", "nc: 0"), 2, 5, "from 1 to"),
    "an even kernel of attention": (changed("SPPF, [1024, 5]", "CBAM, [1024, 16, 4]"), 21, 5, "odd"),
    "a row of three": (
        changed("[-1, 3, C3, [128]]", "[-1, 3, C3]"),
        14,
        5,
        r"row 2 must be \[from, number, module, \[arguments\]\]",
    ),
    "a row that reads itself": (
        changed("[-1, 3, C3, [128]]", "[2, 3, C3, [128]]"),
        14,
        6,
        "row 2 must read earlier rows, got 2",
    ),
    "a row before the image": (
        changed("[-1, 3, C3, [128]]", "[-4, 3, C3, [128]]"),
        14,
        6,
        "row 2 must read earlier rows, got -4",
    ),
    "a row that reads nothing": (changed("[[-1, 6], 1", "[[], 1"), 26, 6, "row 12 must read 1 to 32 rows, got 0"),
    "two rows for one": (changed("[-1, 3, C3, [128]]", "[[-1, 0], 3, C3, [128]]"), 14, 5, "must have one input, got 2"),
    "a typo in a block": (changed("SPPF", "SPFF"), 21, 5, "did you mean 'SPPF'"),
    "a typo in a key": (
        changed("depth_multiple", "depth_multple"),
        3,
        16,
        "`depth_multiple` is missing; rename `depth_multple` to `depth_multiple`",
    ),
    "a key given twice": (changed("nc: 80", "nc: 80\nnc: 81"), 3, 1, "twice"),
    "a list for a key": ("[1, 2]: 3", 1, 1, "key"),
    "no rows": (
        GOOD[: GOOD.index("backbone")] + "backbone: []\nhead: []\n",
        11,
        11,
        "must have rows, got two empty lists",
    ),
    "an odd number of sides": (
        changed("[10, 13, 16, 30, 33, 23]", "[10, 13, 16]"),
        6,
        5,
        "must be pairs of width and height, got 3 numbers",
    ),
    "unequal anchors": (
        changed("[10, 13, 16, 30, 33, 23]", "[10, 13]"),
        7,
        5,
        "every level must have 1 anchors like the first, got 3",
    ),
    "a level without anchors": (changed("  - [10, 13, 16, 30, 33, 23] # stride 8\n", ""), 41, 5, "levels"),
    "no Detect": (GOOD[: GOOD.index("  - [[17, 20, 23]")], 40, 5, "the last row must be Detect, got C3"),
    "Detect in the middle": (
        GOOD + "  - [20, 1, Conv, [64]]\n",
        42,
        5,
        "Detect must be the last row, got it as row 24 of 26",
    ),
    "broken YAML": ("nc: [80", 1, 8, "not YAML"),
    "two documents": ("nc: 80\n---\nnc: 80\n", 2, 1, "second document"),
    "an activation that is code": ("activation: __import__('os').system('true')\n" + GOOD, 1, 13, "activation"),
    "an activation that does not exist": ("activation: nn.RelU()\n" + GOOD, 1, 13, "did you mean 'ReLU'"),
    "unequal maps": (
        changed("[-1, 6], 1, Concat", "[-1, 4], 1, Concat"),
        26,
        5,
        "Concat joins feature maps of different sizes",
    ),
    "a list for the multiple": (
        changed("depth_multiple: 0.33", "depth_multiple: [1]"),
        3,
        17,
        "`depth_multiple` must be a positive number",
    ),
    "a scalar for the backbone": (
        "nc: 1\ndepth_multiple: 1\nwidth_multiple: 1\nanchors: 3\nbackbone: 3\nhead: []",
        5,
        11,
        "`backbone` must be a list, got 3",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    text, line, column, message = HOSTILE[case]
    file = tmp_path / "model.yaml"
    file.write_text(text)
    started = time.perf_counter()
    with pytest.raises(ModelFileError, match=message) as caught:
        attendet.build(file)
    assert caught.value.where is not None
    assert (caught.value.where.line, caught.value.where.column) == (line, column)
    assert caught.value.where.file == str(file)
    # Not a measurement: an expanded alias bomb would take hours.
    assert time.perf_counter() - started < 30


def test_files_that_are_not_model_files(tmp_path: Path) -> None:
    for name, content in {
        "large": b"#" * (MAX_BYTES + 1),
        "binary": b"\xff\xfe\x00",
        "empty": b"",
        "word": b"yolo",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelFileError):
            attendet.build(tmp_path / name)
    with pytest.raises(ModelFileError, match="must be a regular file, got a folder"):
        attendet.build(tmp_path)
    with pytest.raises(ModelFileError, match="did you mean 'yolov5s_CBAM'"):
        attendet.build("yolov5s_CBMA")
    for own_spelling in ("YOLOv5s.yaml", "models/yolov5s.yaml", "yolov5 s.yml"):
        with pytest.raises(ModelFileError, match=r"did you mean 'yolov5s'\?"):
            attendet.build(own_spelling)


def test_a_bundled_name_with_a_suffix_means_the_bundled_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for own_spelling in ("yolov5n.yaml", "yolov5n.yml", Path("yolov5n.yaml")):
        file = load_model_file(own_spelling)
        assert (file.name, file.text) == ("yolov5n", GOOD)
    (tmp_path / "yolov5n.yaml").write_text(GOOD.replace("nc: 80", "nc: 7"))
    assert load_model_file("yolov5n.yaml").num_classes == 7
    assert load_model_file("yolov5n").num_classes == 80
    (tmp_path / "yolov5s.yaml").mkdir()
    with pytest.raises(ModelFileError, match="must be a regular file"):
        load_model_file("yolov5s.yaml")


def test_assumed_outputs_of_broken_rows_have_limited_size(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    rows = "  - [[-1, -1], 1, Nope, []]\n" * 150
    file.write_text(GOOD.replace("head:", rows + "head:", 1))
    assert sum(finding.kind == "unbuildable" for finding in check_model_file(file)) >= 150
    assert fix_model_file(file).changes == ()


@pytest.mark.parametrize("neck", ["C3, [256, False]", "Nope, []"])
def test_a_broken_row_behind_the_head_is_refused(tmp_path: Path, neck: str) -> None:
    assert "C3, [256, False]" in GOOD
    text = GOOD.replace("C3, [256, False]", neck)
    (tmp_path / "a.yaml").write_text(text + "\n  - [-1, 1, C3TR, [64, 16]]\n")
    with pytest.raises(ModelFileError, match=r"Detect must be the last row, got it as row 24 of 26"):
        check_model_file(tmp_path / "a.yaml")


def test_a_model_beyond_the_limit_of_parameters_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(GOOD.replace("width_multiple: 0.25", "width_multiple: 16.0"))
    program = (
        "import resource, sys, attendet, attendet.models\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try: attendet.build(sys.argv[1])\n"
        "except attendet.errors.ModelFileError as error: print(error)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(file)], capture_output=True, text=True, check=True)  # noqa: S603
    message, grown_kib = done.stdout.splitlines()
    assert "at most 1,000,000,000 parameters" in message
    assert int(grown_kib) < 600 * 1024


@pytest.mark.parametrize("word", ["全　角", "blood\N{NO-BREAK SPACE}cell", "👩\u200d🔬", "می\u200cخواهم", "two\nlines"])
def test_text_in_all_scripts_is_read(word: str) -> None:
    assert parse(json.dumps({"name": word}, ensure_ascii=False), "a.yaml").plain() == {"name": word}


@pytest.mark.parametrize("character", ["\x1b", "\x9b", "\u202e", "\u2066", "\u2028", "\ud800", "\ufeff"])
def test_control_characters_and_characters_outside_of_utf_8_are_refused(character: str) -> None:
    with pytest.raises(ModelFileError, match=r"a\.yaml:1:10: the text has control characters"):
        parse(json.dumps({"name": f"a{character}b"}), "a.yaml")


def test_a_text_without_a_file_has_the_same_limit_of_length() -> None:
    read_model_file(GOOD + "#" * (MAX_BYTES - len(GOOD)), "a.yaml")
    with pytest.raises(ModelFileError, match=r"a\.yaml: a model file must have at most 65,536 characters, got 65,537"):
        read_model_file(GOOD + "#" * (MAX_BYTES - len(GOOD) + 1), "a.yaml")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        read_model_file(text, "fuzz")
    except ModelFileError as error:
        where = error.where
        refused_with_a_place = where is not None and where.file == "fuzz"
        if not refused_with_a_place:
            raise


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_damage_to_a_good_file_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(start + 20, len(GOOD))))
    damaged = GOOD[:start] + data.draw(st.text(alphabet="[]{},:-0123456789.nc\n #&*!abc", max_size=20)) + GOOD[end:]
    try:
        read_model_file(damaged, "fuzz")
    except ModelFileError as error:
        where = error.where
        refused_with_a_place = where is not None and where.file == "fuzz"
        if not refused_with_a_place:
            raise
