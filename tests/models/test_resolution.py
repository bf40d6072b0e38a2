"""Readings that printed parameter counts decide, with counts from the formulas of modules in forks."""

import math
from pathlib import Path

import pytest
import torch

import attendet
from attendet.attention import CBAM, names
from attendet.errors import ModelFileError, OptionError
from attendet.models.bundled import bundled_text
from attendet.models.planning import plan_model
from attendet.models.readings import attention_readings
from attendet.models.resolution import resolve_readings
from tests.helpers.printed_tables import printed_table

ROW = "[-1, 1, CBAM, [1024, 16, 7]]"


def cbam(c: int, r: int = 16, k: int = 7) -> int:
    """CBAM without biases and norm."""
    return 2 * c * (c // r) + 2 * k * k


def cbam_biased(c: int, r: int = 16, k: int = 7) -> int:
    return cbam(c, r, k) + c // r + c + 1


def cbam_bottleneck(c: int) -> int:
    """1x1 to half the width and 3x3 back, each with a batch norm, and CBAM."""
    h = c // 2
    return c * h + 2 * h + h * c * 9 + 2 * c + cbam(c)


def conv(c1: int, c2: int, k: int = 1) -> int:
    return c1 * c2 * k * k + 2 * c2


def c3_cbam(c: int, n: int, e: float) -> int:
    """C3 with CBAM in every bottleneck, whose hidden width is e."""
    h = c // 2
    inner = int(h * e)
    return 2 * conv(c, h) + conv(2 * h, c) + n * (conv(h, inner) + conv(inner, h, 3) + cbam(h))


def c3(c: int, n: int) -> int:
    h = c // 2
    return 2 * conv(c, h) + conv(2 * h, c) + n * (conv(h, h) + conv(h, h, 3))


def write(tmp_path: Path, row: str, *, old: str = ROW, base: str = "yolov5s_CBAM") -> Path:
    tmp_path.mkdir(exist_ok=True)
    file = tmp_path / "model.yaml"
    text = bundled_text(base)
    assert old in text
    file.write_text(text.replace(old, row))
    return file


CASES = [
    ("[-1, 1, CBAM, [1024]]", cbam_biased(512), "{variant: biased}"),
    ("[-1, 1, CBAM, [1024]]", cbam(512), ""),
    ("[-1, 1, CBAM, [1024, 7]]", 512 * 512 + 512 + 2 * 49, "UltralyticsCBAM"),
    ("[-1, 1, CBAM, [1024, 3]]", cbam_bottleneck(512), "Bottleneck_CBAM"),
    ("[-1, 1, CBAM, [1024]]", cbam_bottleneck(512), "Bottleneck_CBAM"),
    ("[-1, 1, CBAM, [1024, 8]]", cbam_biased(512, r=8), "reduction: 8"),
    ("[-1, 1, ECA, [1024]]", 3, "{kernel_size: 3}"),
    ("[-1, 1, ShuffleAttention, [1024]]", 192, "{groups: 8}"),
    ("[-1, 1, SKAttention, [1024]]", 22_110_240, "kernel_sizes: [1, 3, 5, 7]"),
    (
        "[-1, 1, GAMAttention, [1024, 1024]]",
        2 * 512 * 128 + 128 + 512 + 2 * 49 * 512 * 128 // 4 + 128 + 512 + 2 * 128 + 2 * 512,
        "{groups: 4}",
    ),
    ("[-1, 1, CoordAtt, [1024, 1024]]", 512 * 16 * 3 + 2 * 16, "{bias: false}"),
    ("[-1, 1, C3CBAM, [1024]]", c3_cbam(512, 1, 0.5), "{bottleneck: 0.5}"),
    ("[-1, 1, C3CBAM, [1024]]", c3(512, 1) + cbam(512), "CBAMC3"),
    ("[-1, 1, C3CBAM, [1024]]", c3(512, 0) + cbam(256), "{place: instead}"),
    ("[-1, 1, C3_CBAM, [1024]]", c3_cbam(512, 1, 1.0), ""),
    ("[-1, 1, C3SE, [1024]]", c3(512, 1) + 2 * 256 * 16, ""),
    ("[-1, 1, C3ECA, [1024]]", c3(512, 1) + 3, "kernel_size: 3"),
]


@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
@pytest.mark.parametrize(("row", "count", "label"), CASES)
def test_the_printed_count_decides(row: str, count: int, label: str, tmp_path: Path) -> None:
    file = write(tmp_path, row)
    table = tmp_path / "log.txt"
    table.write_text(printed_table("yolov5s", insert={9: (row.split(", ")[2], count)}, num_classes=80))
    resolution = resolve_readings(file, table)
    assert resolution.findings == ()
    assert len(resolution.choices) == (label != "")
    assert label.strip("{}") in "".join(resolution.choices)
    assert plan_model(resolution.file).rows[9].parameters == count
    # The file names the chosen options, so it needs no table any more; other rows did not change.
    detector = attendet.build(file, like=table)
    assert sum(parameter.numel() for parameter in detector.model[9].parameters()) == count
    before, after = file.read_text().splitlines(), resolution.file.text.splitlines()
    assert [index for index, lines in enumerate(zip(before, after, strict=True)) if len(set(lines)) > 1] == (
        [before.index(next(line for line in before if row in line))] if label else []
    )


@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
@pytest.mark.parametrize(("row", "count", "label"), [case for case in CASES if case[2]])
def test_a_total_alone_decides(row: str, count: int, label: str, tmp_path: Path) -> None:
    # 7,235,389 is the published number of YOLOv5s, which has no row 9.
    resolution = resolve_readings(write(tmp_path, row), 7_235_389 + count)
    assert resolution.findings == ()
    assert plan_model(resolution.file).rows[9].parameters == count
    assert label.strip("{}") in resolution.choices[0]


def test_all_rows_of_a_module_are_read_in_one_way_by_a_total(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    text = bundled_text("yolov5s")
    file.write_text(text.replace("C3, [128]]", "C3CBAM, [128]]").replace("C3, [256]]", "C3CBAM, [256]]"))
    plain = c3(64, 1) + c3(128, 2)
    total = 7_235_389 - plain + c3_cbam(64, 1, 0.5) + c3_cbam(128, 2, 0.5)
    resolution = resolve_readings(file, total)
    assert [choice.rpartition(" is read as ")[2] for choice in resolution.choices] == [
        "C3CBAM [128, {bottleneck: 0.5}]",
        "C3CBAM [256, {bottleneck: 0.5}]",
    ]


def test_a_total_after_fusion_is_compared_with_the_fused_model(tmp_path: Path) -> None:
    file = write(tmp_path, ROW)
    detector = attendet.build(file)
    merged = sum(module.num_features for module in detector.modules() if isinstance(module, torch.nn.BatchNorm2d))
    log = tmp_path / "log.txt"
    total = 7_235_389 + cbam_biased(512) - merged
    log.write_text(f"Fusing layers...\nModel summary: 160 layers, {total} parameters, 0 gradients\n")
    resolution = resolve_readings(file, log)
    assert resolution.findings == ()
    assert "variant: biased" in resolution.choices[0]


def test_repeats_are_decided(tmp_path: Path) -> None:
    file = write(tmp_path, "[-1, 9, CBAM, [1024]]")
    repeats = math.ceil(9 * 0.33 - 0.5)
    resolution = resolve_readings(file, 7_235_389 + repeats * cbam(512))
    assert resolution.findings == ()
    module = attendet.build(file, like=7_235_389 + repeats * cbam(512)).model[9]
    assert [type(part) for part in module.children()] == [CBAM] * repeats


def test_rows_that_no_reading_explains_are_named(tmp_path: Path) -> None:
    table = tmp_path / "log.txt"
    table.write_text(printed_table("yolov5s", insert={9: ("CBAM", 12_345)}, num_classes=80))
    (finding,) = resolve_readings(write(tmp_path, ROW), table).findings
    assert finding.is_fault
    assert (finding.kind, finding.row) == ("unexplained", 9)
    assert "CBAM has 12,345 parameters in the printed table" in finding.message
    assert "32,866" in finding.message
    (total,) = resolve_readings(write(tmp_path, ROW), 7_000_000).findings
    assert "7,000,000" in total.message
    assert total.row is None


def test_a_table_of_another_file_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "log.txt"
    table.write_text(printed_table("yolov5s", insert={}, num_classes=80))
    with pytest.raises(ModelFileError, match="the printed table has 25 rows, but the file has 26"):
        resolve_readings(write(tmp_path, ROW), table)
    table.write_text(printed_table("yolov5s", insert={9: ("SELayer", 1)}, num_classes=80))
    with pytest.raises(
        ModelFileError, match=r"model\.yaml:21:5: row 9 is SELayer in the printed table, but CBAM in the file"
    ):
        resolve_readings(write(tmp_path, ROW), table)
    with pytest.raises(OptionError, match="cannot be read"):
        resolve_readings(write(tmp_path, ROW), tmp_path / "missing.txt")


def test_a_total_is_compared_for_the_number_of_classes(tmp_path: Path) -> None:
    file = write(tmp_path, ROW)
    # Every class has three outputs on 128, 256, and 512 channels, with biases.
    total = 7_235_389 - 77 * 3 * (128 + 256 + 512 + 3) + cbam_biased(512)
    assert "variant: biased" in resolve_readings(file, total, num_classes=3).choices[0]
    assert sum(p.numel() for p in attendet.build(file, 3, like=total).parameters()) == total
    log = tmp_path / "log.txt"
    log.write_text(f"Overriding model.yaml nc=80 with nc=3\nModel summary: 280 layers, {total} parameters\n")
    assert "variant: biased" in resolve_readings(file, log).choices[0]
    (finding,) = resolve_readings(file, total).findings
    assert "with 80 classes; no known reading explains it" in finding.message


def test_a_fused_total_explains_blocks_with_convolutions(tmp_path: Path) -> None:
    file = write(tmp_path, "[-1, 1, CBAM, [1024]]")
    named = attendet.build(write(tmp_path / "named", "[-1, 1, Bottleneck_CBAM, [1024]]"))
    merged = sum(module.num_features for module in named.modules() if isinstance(module, torch.nn.BatchNorm2d))
    log = tmp_path / "log.txt"
    log.write_text(f"Model summary (fused): 160 layers, {7_235_389 + cbam_bottleneck(512) - merged} parameters\n")
    assert "Bottleneck_CBAM" in resolve_readings(file, log).choices[0]


def test_a_total_decides_nothing_if_a_row_is_unknown_or_several_readings_have_it(tmp_path: Path) -> None:
    file = write(tmp_path, "[-1, 1, Unheard, [1024]]")
    (remark,) = resolve_readings(file, 7_000_000).findings
    assert not remark.is_fault
    assert "the total cannot be compared, because row 9 cannot be built" in remark.message
    two = "[-1, 1, ECA, [1024]]\n  - [-1, 1, ECAAttention, [1024]]"
    file = write(tmp_path / "two", two)
    resolution = resolve_readings(file, sum(planned.parameters for planned in plan_model(file).rows) - 2)
    assert resolution.choices == ()
    assert "2 combinations explain it" in resolution.findings[0].message


def test_rows_after_an_unknown_block_are_compared_if_their_channels_are_known(tmp_path: Path) -> None:
    text = (
        bundled_text("yolov5s_CBAM").replace("[-1, 9, C3, [512]]", "[-1, 9, Unheard, [512]]").replace(ROW, CASES[0][0])
    )
    file = tmp_path / "model.yaml"
    file.write_text(text)
    table = tmp_path / "log.txt"
    printed = printed_table("yolov5s", insert={9: ("CBAM", cbam_biased(512))}, num_classes=80).splitlines()
    printed[7] = printed[7].replace("models.common.C3", "models.common.Unheard")
    table.write_text("\n".join(printed))
    assert "variant: biased" in resolve_readings(file, table).choices[0]


def test_rows_in_block_style_are_rewritten_and_comments_stay(tmp_path: Path) -> None:
    block = "- -1\n    - 1\n    - CBAM\n    - - 1024\n      - 16\n    # a comment\n"
    file = write(tmp_path, block)
    resolution = resolve_readings(file, 7_235_389 + cbam_biased(512))
    assert resolution.file.text == file.read_text().replace(
        "- - 1024\n      - 16\n", "- [1024, {reduction: 16, variant: biased}]\n"
    )


def test_an_unscaled_width_is_written_as_the_width_of_the_input(tmp_path: Path) -> None:
    resolution = resolve_readings(write(tmp_path, "[-1, 1, CBAM, [512]]"), 7_235_389 + cbam_bottleneck(512))
    assert resolution.choices == ("row 9: CBAM [512] is read as Bottleneck_CBAM [1024]",)


@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
@pytest.mark.parametrize("start", ["paper", "identity"])
@pytest.mark.parametrize("name", [name for name in names() if not name.startswith("control")])
def test_our_own_tensors_are_not_counted(name: str, start: str, tmp_path: Path) -> None:
    file = write(tmp_path, f"[-1, 1, {name}, [{{start: {start}}}]]")
    resolution = resolve_readings(file, attendet.build(file, 3).state_dict())
    assert (resolution.choices, resolution.findings, resolution.num_classes) == ((), (), 3)


def test_a_state_dict_of_another_network_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, ROW)
    with pytest.raises(OptionError, match=r"must have tensors with keys model"):
        resolve_readings(file, {"layer1.weight": torch.ones(3)})
    with pytest.raises(ModelFileError, match="the checkpoint has 25 rows, but the file has 26"):
        resolve_readings(file, attendet.build("yolov5n").state_dict())
    wrapped = {f"module.{key}": value for key, value in attendet.build(file).state_dict().items()}
    assert resolve_readings(file, wrapped).findings == ()


def test_the_number_of_classes_of_the_table_counts(tmp_path: Path) -> None:
    file = write(tmp_path, ROW)
    table = tmp_path / "log.txt"
    table.write_text(printed_table("yolov5s", insert={9: ("CBAM", cbam(512))}, num_classes=3))
    resolution = resolve_readings(file, table)
    assert resolution.findings == ()
    assert attendet.build(file, like=table).num_classes == 3


@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
@pytest.mark.parametrize("named", ["{variant: biased}", "{bias: false}"])
def test_a_state_dict_decides_like_a_table(named: str, tmp_path: Path) -> None:
    module = "CBAM" if "variant" in named else "CoordAtt"
    trained = attendet.build(write(tmp_path, f"[-1, 1, {module}, [1024, {named}]]"), 2)
    rebuilt = attendet.build(write(tmp_path, f"[-1, 1, {module}, [1024]]"), 2, checkpoint=trained.state_dict())
    rebuilt.load_state_dict(trained.state_dict())


def test_readings_show_what_forks_disagree_about(tmp_path: Path) -> None:
    (reading,) = attention_readings(plan_model(write(tmp_path, "[-1, 1, CBAM, [1024]]")))
    assert "layers 512→32→512, 2→1 7x7, no biases" in reading.description
    assert reading.parameters == cbam(512)
    alternatives = {other.label: other.parameters for other in reading.alternatives}
    assert alternatives["{variant: biased}"] == 33_411
    assert alternatives["UltralyticsCBAM"] == 262_754
    assert alternatives["Bottleneck_CBAM"] == cbam_bottleneck(512)
    (named,) = attention_readings(plan_model(write(tmp_path, "[-1, 1, CBAM, [1024, {variant: biased}]]")))
    assert "{variant: biased}" not in str(named).partition("forks differ")[2]
    (undisputed,) = attention_readings(plan_model(write(tmp_path, "[-1, 1, SimAM, []]")))
    assert undisputed.alternatives == ()
