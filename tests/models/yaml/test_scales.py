"""Model files of YOLOv8 and YOLO11: five sizes in one file, no anchors, and the head of the family."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import attendet
from attendet.blocks import AnchorFreeDetect, C3k, Detect, DWConv
from attendet.errors import AttendetWarning, ModelFileError
from attendet.models import Detector
from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file
from attendet.models.planning import plan_model
from attendet.models.yaml.model_file import read_model_file
from tests.models.family_files import PARAMETERS, SCALES, family_text

CASES = [(family, size) for family in SCALES for size in "nsmlx"]


def parameters(text: str, name: str) -> int:
    return sum(planned.parameters for planned in plan_model(read_model_file(text, name)).rows)


@pytest.mark.parametrize(("family", "size"), CASES)
def test_a_file_with_five_sizes_has_the_published_parameters(family: str, size: str) -> None:
    text, published = family_text(family), PARAMETERS[family][size]
    for name in (f"{family}{size}.yaml", f"models/{family.upper()}{size}-mine_640.yaml"):
        assert parameters(text, name) == published
    assert parameters(f"scale: {size} # as in checkpoints\n{text}", f"{family}.yaml") == published
    assert check_model_file(read_model_file(text, f"{family}{size}.yaml")) == []


@pytest.mark.parametrize("family", SCALES)
@pytest.mark.parametrize("name", ["{}.yaml", "{}-cbam.yaml", "{}-p2.yaml", "{}cbam.yaml", "mine.yaml", "best.yaml"])
def test_a_name_without_a_size_selects_the_first_one(family: str, name: str) -> None:
    file = read_model_file(family_text(family), name.format(family))
    assert file.size == "n"
    (finding,) = check_model_file(file)
    assert (finding.kind, finding.is_fault) == ("size", False)
    text = "the name of the file selects none of its sizes; n, the first one, is used; add `scale: n`, or another size"
    assert str(finding) == f"{name.format(family)}: {text}"
    assert check_model_file(read_model_file(f"scale: n\n{family_text(family)}", file.name)) == []
    one_size = "scales: {n: [0.5, 0.25, 1024]}\n"
    assert check_model_file(read_model_file(family_text(family, header=one_size), file.name)) == []


@pytest.mark.parametrize(
    "name",
    [
        *("yolov8s", "yolov8sSE", "yolov8sCBAM", "yolov8s_SE", "yolov8s-cbam", "yolov8s2", "yolov8s-p2"),
        *(
            "yolov8_s",
            "yolov8-s",
            "yolov8_s_CBAM",
            "yolov8-S-cbam",
            "my_yolov8s",
            "my-yolov8_s",
            "YOLOv8S",
            "YOLOV8S_1",
        ),
        *("yolo11s", "yolo11sECA", "runs/best/yolo11-s"),
    ],
)
def test_a_size_in_the_name_is_selected(name: str) -> None:
    file = read_model_file(family_text("yolov8"), f"{name}.yaml")
    assert (file.size, file.is_size_assumed) == ("s", False)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "my_s",
            "s",
            "yolov8",
            "yolov8-CBAM",
            "yolov8_SE",
            "yolov8SE",
            "yolov8-s2attention",
            "yolov8seg",
            "yolov8-seg",
        ),
        *("yolov8_spd", "yolov8sppf", "yolov8q", "yolo-s", "yolov8n/yolov8"),
    ],
)
def test_a_name_that_only_looks_like_a_size_selects_none(name: str) -> None:
    file = read_model_file(family_text("yolov8"), f"{name}.yaml")
    assert (file.size, file.is_size_assumed) == ("n", True)


def test_the_key_of_a_checkpoint_counts_more_than_the_name() -> None:
    file = read_model_file(f"{family_text('yolov8')}scale: m\n", "yolov8x.yaml")
    assert (file.size, file.depth_multiple, file.width_multiple, file.max_width) == ("m", 0.67, 0.75, 768)


@pytest.mark.parametrize(
    ("name", "channels", "repeats"),
    [
        ("yolov8n.yaml", 256, (1, 2)),
        ("yolov8s_CBAM.yaml", 512, (1, 2)),
        # The widths are reduced to the largest one before they are multiplied: 768 * 0.75, 512 * 1, and 512 * 1.25.
        ("yolov8m.yaml", 576, (2, 4)),
        ("yolov8l.yaml", 512, (3, 6)),
        ("yolov8x.yaml", 640, (3, 6)),
    ],
)
def test_the_size_scales_widths_and_repeats(name: str, channels: int, repeats: tuple[int, int]) -> None:
    plan = plan_model(read_model_file(family_text("yolov8"), f"models/{name}"))
    assert plan.rows[9].shapes[0][1] == channels
    assert (plan.file.repeats(plan.file.rows[8]), plan.file.repeats(plan.file.rows[6])) == repeats


@pytest.mark.parametrize("family", SCALES)
@pytest.mark.parametrize("size", ["n", "s"])
def test_older_files_with_two_multiples_give_the_same_network(family: str, size: str) -> None:
    depth, width, largest = SCALES[family][size]
    # Sizes n and s have no width above their largest one.
    assert largest == 1024
    text = family_text(family, header=f"depth_multiple: {depth}\nwidth_multiple: {width}\n")
    file = read_model_file(text, "mine.yaml")
    assert file.size is None
    assert parameters(text, "mine.yaml") == PARAMETERS[family][size]


@pytest.mark.parametrize("size", "nsmlx")
def test_inner_blocks_of_c3k2_depend_on_the_size(size: str) -> None:
    """In sizes n and s, the rows state which C3k2 have blocks C3k; in the others, all have."""
    with torch.device("meta"):
        detector = build_from(family_text("yolo11"), f"yolo11{size}.yaml")
    with_c3k = [row for row, module in enumerate(detector.model) if any(isinstance(m, C3k) for m in module.modules())]
    assert with_c3k == ([6, 8, 22] if size in "ns" else [2, 4, 6, 8, 13, 16, 19, 22])


def build_from(text: str, name: str, num_classes: int | None = None) -> Detector:
    return attendet.build(read_model_file(text, name), num_classes=num_classes)


@pytest.mark.parametrize("family", SCALES)
def test_the_blocks_of_the_file_decide_the_class_branch(family: str) -> None:
    branches = {"yolov8": False, "yolo11": True}
    detector = build_from(family_text(family), f"{family}n.yaml", num_classes=3)
    assert isinstance(detector.head, AnchorFreeDetect)
    assert any(isinstance(module, DWConv) for module in detector.head.cv3.modules()) is branches[family]
    # A single block of YOLO11 is enough, also one with attention; a row may name the other branch.
    text = family_text("yolov8").replace("C2f, [512, True]", "C3k2_CBAM, [512, True, {reduction: 4}]")
    with pytest.warns(AttendetWarning, match="C3k2 among blocks C2f"):
        mixed = build_from(text, "yolov8n.yaml").head
    assert any(isinstance(module, DWConv) for module in mixed.modules())
    named = build_from(text.replace("Detect, [nc]", "Detect, [nc, {classes: dense}]"), "yolov8n.yaml").head
    assert not any(isinstance(module, DWConv) for module in named.modules())


@pytest.mark.parametrize("family", SCALES)
@pytest.mark.parametrize(("levels", "strides"), [((2, 5), (4, 8, 16, 32)), ((3, 6), (8, 16, 32, 64))])
@pytest.mark.parametrize("size", ["n", "m"])
def test_variants_with_four_levels(family: str, levels: tuple[int, int], strides: tuple[int, ...], size: str) -> None:
    text = family_text(family, levels)
    file = read_model_file(text, f"{family}{size}-p{levels[0] if levels[0] == 2 else levels[1]}.yaml")
    assert check_model_file(file) == []
    detector = attendet.build(file, num_classes=2)
    assert detector.strides == strides
    raw = detector.train(False)(torch.rand(1, 3, 128, 64))
    assert [tuple(level.shape) for level in raw] == [(1, 64 + 2, 128 // s, 64 // s) for s in strides]
    assert detector.decode(raw).shape == (1, sum(128 * 64 // s**2 for s in strides), 4 + 2)


@pytest.mark.parametrize("family", SCALES)
def test_an_activation_for_the_whole_file(family: str) -> None:
    detector = build_from(f"activation: nn.ReLU()\n{family_text(family)}", f"{family}n.yaml")
    kinds = {type(module) for module in detector.modules()}
    assert torch.nn.ReLU in kinds
    assert torch.nn.SiLU not in kinds


def test_a_head_with_anchors_may_follow_the_blocks_of_yolov8() -> None:
    anchors = "anchors:\n  - [10, 13]\n  - [30, 61]\n  - [116, 90]\n"
    text = anchors + family_text("yolov8").replace("Detect, [nc]", "Detect, [nc, anchors]")
    detector = build_from(text, "yolov8n.yaml", num_classes=3)
    assert detector(torch.rand(1, 3, 64, 64))[0].shape == (1, 1, 8, 8, 3 + 5)


@pytest.mark.parametrize("anchors", ["anchors: [[10, 13], [30, 61], [116, 90]]\n", "anchors: 1\n"])
@pytest.mark.parametrize("block", ["C2f", "C3k2", "C3"])
def test_anchors_that_the_head_does_not_have_are_a_remark(anchors: str, block: str) -> None:
    sizes = "" if block == "C3" else "depth_multiple: 0.33\nwidth_multiple: 0.25\n"
    text = anchors + family_text("yolov8", header=sizes or None).replace("C2f", block)
    file = read_model_file(text, "yolov8n.yaml")
    (finding,) = check_model_file(file)
    assert (finding.kind, str(finding.where).rpartition(":")[0]) == ("unknown-key", "yolov8n.yaml:1")
    assert "`anchors` has no effect, because the head Detect [nc] reads no anchors; remove it, or write" in str(finding)
    assert finding.is_fault is False
    without = read_model_file(text.replace(anchors, ""), "yolov8n.yaml")
    assert file.anchors == ()
    assert file.has_rows_of(without)
    with torch.device("meta"), pytest.warns(AttendetWarning, match="`anchors` has no effect"):
        assert isinstance(attendet.build(file).head, AnchorFreeDetect)


@pytest.mark.parametrize("block", ["C3k2, [512, True]", "C3k2_CBAM, [512, True, {reduction: 2}]"])
def test_a_mix_of_blocks_that_decides_the_class_branch_is_a_remark(block: str) -> None:
    text = family_text("yolov8").replace("C2f, [512, True]", block)
    (finding,) = check_model_file(read_model_file(text, "yolov8n.yaml"))
    assert (finding.kind, finding.is_fault, finding.row) == ("class-branch", False, 22)
    assert "C3k2 among blocks C2f gives Detect the class branch of YOLO11; write [nc, {classes: dense}]" in str(finding)
    for branch in ("dense", "depthwise"):
        named = text.replace("Detect, [nc]", f"Detect, [nc, {{classes: {branch}}}]")
        assert check_model_file(read_model_file(named, "yolov8n.yaml")) == []
    yolo11 = family_text("yolo11").replace("C3k2, [256, False, 0.25]", "C2f, [256, True]")
    assert check_model_file(read_model_file(yolo11, "yolo11n.yaml")) == []


def test_blocks_of_yolov5_have_its_head_also_without_the_word_anchors() -> None:
    text = bundled_text("yolov5n").replace("Detect, [nc, anchors]", "Detect, [nc]")
    file = read_model_file(text, "yolov5n.yaml")
    assert check_model_file(file) == []
    with torch.device("meta"):
        assert isinstance(attendet.build(file).head, Detect)


def test_sizes_next_to_a_multiple_are_a_remark() -> None:
    text = f"depth_multiple: 0.33\nwidth_multiple: 0.5\n{family_text('yolov8')}"
    file = read_model_file(text, "yolov8n.yaml")
    assert (file.size, file.width_multiple) == (None, 0.5)
    (finding,) = check_model_file(file)
    assert "`scales` has no effect, because the file has `depth_multiple`; remove one of them" in str(finding)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("scales: []", r"yolov8n\.yaml:2:9: `scales` must be a mapping"),
        ("scales: n", "`scales` must be a mapping"),
        ("scales: {}", "`scales` must be a mapping"),
        ("scales: {n: [0.33]}", r"a size must be \[depth multiple, width multiple, largest width\]"),
        ("scales: {n: 3}", r"a size must be \[depth multiple, width multiple, largest width\]"),
        ("scales: {n: [0, 1, 1024]}", "the depth multiple must be a positive number"),
        ("scales: {n: [1, 1e+9, 1024]}", "the width multiple must be a positive number of at most 16"),
        ("scales: {n: [1, 1, 1e9]}", "the largest width must be an integer"),
        ("scales: {n: [1, 1, -5]}", "the largest width must be an integer"),
        ("scale: q\nscales: {n: [1, 1, 512]}", r"yolov8n\.yaml:2:8: `scale` must be one of n, got 'q'"),
        ("scale: [n]\nscales: {n: [1, 1, 512]}", "`scale` must be one of n, got"),
        ("scale: 1\nscales: {n: [1, 1, 512]}", "`scale` must be one of n, got 1"),
        ("", r"yolov8n\.yaml:1:1: `scales`, or `depth_multiple` and `width_multiple`, must be among the keys; add"),
        ("scale: n", "`scales`, or `depth_multiple` and `width_multiple`, must be among the keys; add"),
        ("depth_multiple: 1", "`width_multiple` is missing"),
        ("scals: {n: [1, 1, 512]}", r"yolov8n\.yaml:2:8: `scales` is missing; rename `scals` to `scales`"),
        ("depth_multple: 1", "`depth_multiple` is missing; rename `depth_multple`"),
    ],
)
def test_invalid_sizes_are_refused(header: str, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        read_model_file(family_text("yolov8", header=f"{header}\n"), "yolov8n.yaml")


def test_anchors_may_be_missing_only_if_the_head_does_not_name_them() -> None:
    text = family_text("yolov8").replace("Detect, [nc]", "Detect, [nc, anchors]")
    line = 1 + text[: text.index("Detect")].count("\n")
    remedy = r"add `anchors`, or write \[nc\] for a head without anchors"
    with pytest.raises(ModelFileError, match=rf"yolov8n\.yaml:{line}:5: `anchors` is missing; {remedy}"):
        read_model_file(text, "yolov8n.yaml")
    with pytest.raises(ModelFileError, match="`anchors` is missing; rename `no_anchors` to `anchors`"):
        read_model_file(bundled_text("yolov5n").replace("anchors:\n", "no_anchors:\n"), "yolov5n.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("SPPF, [1024, 5]", "C2f, [1024, 16]"), "`shortcut` must be True or False, got 16"),
        (("SPPF, [1024, 5]", "C2f, [1024, True, 2]"), "`g` must be 1, got 2"),
        (("SPPF, [1024, 5]", "C3k2, [1024, 0.25]"), "`c3k` must be True or False, got 0.25"),
        (("SPPF, [1024, 5]", "C3k2_CBAM, [1024, 16]"), "`c3k` must be a boolean, got 16; write options of cbam"),
        (
            ("SPPF, [1024, 5]", "C3k2_CBAM, [1024, 0.25]"),
            r"`c3k` must be a boolean, got 0\.25; write the fraction after it: \[1024, False, 0\.25\]",
        ),
        (("SPPF, [1024, 5]", "C2PSA, [512]"), "the output width must be that of the input, 256 after scaling, got 128"),
        (("Detect, [nc]", "Detect, [3]"), "`nc` of the row must be that of the file, got 3; write nc"),
        (
            ("Detect, [nc]", "Detect, [nc, 16]"),
            r"Detect must have the argument \[nc\] in a file without anchors, got \[80, 16\]; write \[nc\]$",
        ),
        (("Detect, [nc]", "Detect, [nc, {classes: many}]"), "unknown class branch 'many'; known are dense, depthwise"),
        (("Detect, [nc]", "Segment, [nc, 32, 256]"), "a head for segmentation; attendet trains detectors"),
    ],
)
def test_rows_that_would_be_misread_are_refused(change: tuple[str, str], message: str, tmp_path: Path) -> None:
    assert change[0] in family_text("yolov8")
    file = tmp_path / "yolov8n.yaml"
    file.write_text(family_text("yolov8").replace(*change))
    with pytest.raises(ModelFileError, match=message):
        attendet.build(file)
