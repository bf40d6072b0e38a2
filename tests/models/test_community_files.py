"""Community model files: every form of attention row in use, and its meaning."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import attendet
from attendet.attention import BAM, CBAM
from attendet.errors import AttendetWarning, ModelFileError, UnknownNameError
from attendet.models.bundled import bundled_text
from attendet.models.lint.checker import check_model_file
from attendet.models.planning import plan_model
from attendet.models.readings import attention_readings
from tests.helpers.typed_access import anchors_of


def with_row(tmp_path: Path, row: str, base: str = "yolov5s_CBAM") -> Path:
    """Write a bundled file with its CBAM row replaced."""
    file = tmp_path / "model.yaml"
    file.write_text(bundled_text(base).replace("[-1, 1, CBAM, [1024, 16, 7]]", row))
    return file


def readings(file: Path) -> list[str]:
    return [str(reading) for reading in attention_readings(plan_model(file))]


def shape_of(module: torch.nn.Module) -> tuple[int, float, int]:
    """Return the channels, reduction, and kernel size of a CBAM, from the shapes of its tensors."""
    assert isinstance(module, CBAM)
    hidden, channels = module.channel.fc1.weight.shape
    return channels, channels / hidden, module.spatial.conv.weight.shape[-1]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ("[-1, 1, CBAM, [1024]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [1024, 3]]", (512, 16, 3)),
        ("[-1, 1, CBAM, [1024, 7]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [1024, 8]]", (512, 8, 7)),
        ("[-1, 1, CBAM, [1024, 16, 7]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [1024, 32, 3]]", (512, 32, 3)),
        ("[-1, 1, CBAM, [16]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [4]]", (512, 4, 7)),
        ("[-1, 1, CBAM, [16, 7]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [8, 3]]", (512, 8, 3)),
        ("[-1, 1, CBAM, [7]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [5]]", (512, 16, 5)),
        ("[-1, 1, CBAM, []]", (512, 16, 7)),
        ("[-1, 1, CBAM, [1024, 1024, 3]]", (512, 16, 3)),
        ("[-1, 1, CBAM, [1024, 16, true]]", (512, 16, 7)),
        ("[-1, 1, CBAM, [1024, {}]]", (512, 16, 7)),
        ("[-1, 1, cbam, [1024, {reduction: 8, kernel_size: 3}]]", (512, 8, 3)),
    ],
)
@pytest.mark.filterwarnings("error")
def test_formats_in_use_are_read_without_findings(row: str, expected: tuple[int, float, int], tmp_path: Path) -> None:
    file = with_row(tmp_path, row)
    detector = attendet.build(file)
    assert shape_of(detector.model[9]) == expected
    assert check_model_file(file) == []
    channels, reduction, kernel = expected
    assert readings(file)[0].startswith(f"row 9 {row.split(', ')[2]}: {channels} channels")
    assert f"reduction {int(reduction)}, kernel_size {kernel}" in readings(file)[0]


def test_a_boolean_turns_the_spatial_part_off(tmp_path: Path) -> None:
    attention = attendet.build(with_row(tmp_path, "[-1, 1, CBAM, [1024, 16, False]]")).model[9]
    assert isinstance(attention, CBAM)
    assert attention.order == "channel-only"


@pytest.mark.parametrize(
    ("dialect", "row", "expected"),
    [
        ("width-list", "[-1, 1, CBAM, [1024, 8]]", (512, 8, 7)),
        ("width-list", "[-1, 1, CBAM, [1024, 4, 3]]", (512, 4, 3)),
        ("kernel-second", "[-1, 1, CBAM, [1024, 9]]", (512, 16, 9)),
        ("ratio-only", "[-1, 1, CBAM, [32]]", (512, 32, 7)),
        ("ratio-only", "[-1, 1, CBAM, [3]]", (512, 512 / 170, 7)),
        ("unscaled", "[-1, 1, CBAM, [512, 3]]", (512, 16, 3)),
        ("kernel-first", "[-1, 1, CBAM, [3]]", (512, 16, 3)),
        ("kernel-first", "[-1, 1, CBAM, [16, 3]]", (512, 16, 3)),
    ],
)
def test_named_dialects(dialect: str, row: str, expected: tuple[int, float, int], tmp_path: Path) -> None:
    file = with_row(tmp_path, row)
    assert shape_of(attendet.build(file, dialect=dialect).model[9]) == expected


def test_arguments_that_do_not_fit_the_dialect_are_refused(tmp_path: Path) -> None:
    with pytest.raises(
        ModelFileError, match=r":21:5: row 9: CBAM: the arguments must be .* in this dialect, got \[1024, 16, 7\]"
    ):
        attendet.build(with_row(tmp_path, "[-1, 1, CBAM, [1024, 16, 7]]"), dialect="kernel-second")
    with pytest.raises(UnknownNameError, match="did you mean 'unscaled'"):
        attendet.build("yolov5n", dialect="unscale")


def test_repeated_attention_is_one_module_and_a_remark_unless_the_dialect_repeats_it(tmp_path: Path) -> None:
    file = with_row(tmp_path, "[-1, 9, CBAM, [1024]]")
    with pytest.warns(
        AttendetWarning, match="row 9: forks disagree about 9 repeats of CBAM; attendet builds one module"
    ):
        attention = attendet.build(file).model[9]
    assert isinstance(attention, CBAM)
    assert [finding.kind for finding in check_model_file(file) if finding.is_fault] == []
    with pytest.warns(AttendetWarning, match="3 modules in a row"):
        repeated = attendet.build(file, dialect="width-list").model[9]
    assert isinstance(repeated, torch.nn.Sequential)
    assert [type(module) for module in repeated] == [CBAM] * 3


def test_a_wrong_declared_width_is_a_fault_and_the_input_width_is_used(tmp_path: Path) -> None:
    for row, warning in [
        ("[-1, 1, CBAM, [256]]", "declares 128 channels after scaling, but its input has 512; declare 1024$"),
        ("[-1, 1, CBAM, [512]]", "declares 512 channels, the number of its input .*; name the dialect `unscaled`$"),
    ]:
        with pytest.warns(AttendetWarning, match=warning):
            detector = attendet.build(with_row(tmp_path, row))
        assert shape_of(detector.model[9]) == (512, 16, 7)


@pytest.mark.parametrize("source", [-6, 6])
def test_attention_may_read_any_row(source: int, tmp_path: Path) -> None:
    text = bundled_text("yolov5s")
    for old, new in [
        ("[[-1, 6], 1, Concat, [1]]", f"[{source}, 1, CBAM, []]\n  - [[-1, 11], 1, Concat, [1]]"),
        ("[-1, 14]", "[-1, 15]"),
        ("[17, 20, 23]", "[18, 21, 24]"),
    ]:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "model.yaml"
    file.write_text(text)
    detector = attendet.build(file)
    assert shape_of(detector.model[12])[0] == 256
    assert detector.routes[12].sources == (6,)
    assert check_model_file(file) == []


@pytest.mark.parametrize(
    ("row", "cbams", "widths"),
    [
        ("[-1, 9, C3CBAM, [512]]", 3, {128}),
        ("[-1, 9, C3_CBAM, [512, True]]", 3, {128}),
        ("[-1, 9, CBAMC3, [512]]", 1, {256}),
        ("[-1, 9, C2f_CBAM, [512]]", 3, {128}),
        ("[-1, 1, Conv_CBAM, [512, 3, 1]]", 1, {256}),
        ("[-1, 1, ResBlock_CBAM, [512]]", 1, {256}),
    ],
)
def test_blocks_with_cbam_inside(row: str, cbams: int, widths: set[int], tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text(bundled_text("yolov5s").replace("[-1, 9, C3, [512]]", row))
    detector = attendet.build(file)
    inside = [module for module in detector.model[6].modules() if isinstance(module, CBAM)]
    assert len(inside) == cbams
    assert {module.channel.fc1.in_features for module in inside} == widths
    assert "CBAM" in readings(file)[0]
    assert check_model_file(file) == []
    identity = attendet.build(file, start="identity")
    started = [module.channel.range.tolist() for module in identity.modules() if isinstance(module, CBAM)]
    assert started == [[0.0, 2.0]] * cbams
    assert [tuple(raw.shape) for raw in detector(torch.rand(1, 3, 64, 64))] == [
        (1, 3, 8, 8, 85),
        (1, 3, 4, 4, 85),
        (1, 3, 2, 2, 85),
    ]


def test_options_of_cbam_inside_blocks_are_reported_and_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    row = "[-1, 9, C3CBAM, [512, True, {reduction: 8, kernel_size: 3}]]"
    file.write_text(bundled_text("yolov5s").replace("[-1, 9, C3, [512]]", row))
    inside = [module for module in attendet.build(file).model[6].modules() if isinstance(module, CBAM)]
    assert [shape_of(module) for module in inside] == [(128, 8, 3)] * 3
    assert "C3 with cbam in every bottleneck; bottleneck 1.0, place inside" in readings(file)[0]
    assert "reduction 8, kernel_size 3, variant plain" in readings(file)[0]
    file.write_text(bundled_text("yolov5s").replace("[-1, 9, C3, [512]]", "[-1, 9, C3CBAM, [512, 16]]"))
    with pytest.raises(ModelFileError, match="`shortcut` must be a boolean, got 16; write options of cbam by name"):
        attendet.build(file)


def test_bam_has_a_ratio_and_no_kernel_size(tmp_path: Path) -> None:
    attention = attendet.build(with_row(tmp_path, "[-1, 1, BAM, [1024, 8]]")).model[9]
    assert isinstance(attention, BAM)
    assert attention.gate.channel.fc1.out_features == 64
    with pytest.raises(ModelFileError, match="has no option 'kernel_size'"):
        attendet.build(with_row(tmp_path, "[-1, 1, BAM, [1024, 16, 7]]"))


@pytest.mark.parametrize(("reduction", "kernel_size", "variant"), [(4, 3, "plain"), (8, 7, "authors"), (32, 5, "timm")])
def test_the_shapes_of_a_checkpoint_decide(reduction: int, kernel_size: int, variant: str, tmp_path: Path) -> None:
    trained = attendet.build(
        with_row(
            tmp_path,
            f"[-1, 1, CBAM, [1024, {{reduction: {reduction}, kernel_size: {kernel_size}, variant: {variant}}}]]",
        )
    )
    # The same tensors under the names of another fork, with 1x1 convolutions as matrices.
    foreign: dict[str, Tensor] = {}
    for key, value in trained.state_dict().items():
        as_convolution = key.startswith("model.9.") and value.ndim == 2
        foreign[key.replace("channel.fc", "ca.f")] = value[:, :, None, None] if as_convolution else value
    rebuilt = attendet.build(with_row(tmp_path, "[-1, 1, CBAM, [1024]]"), checkpoint=foreign)
    assert shape_of(rebuilt.model[9]) == (512, reduction, kernel_size)
    rebuilt.load_state_dict(trained.state_dict())


@pytest.mark.parametrize(
    "options",
    ["reduction: 512", "reduction: 1", "order: channel-only", "order: spatial-only, kernel_size: 3", "kernel_size: 1"],
)
@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
def test_the_shapes_of_a_checkpoint_decide_for_extreme_options(options: str, tmp_path: Path) -> None:
    trained = attendet.build(with_row(tmp_path, f"[-1, 1, CBAM, [1024, {{{options}}}]]")).state_dict()
    rebuilt = attendet.build(with_row(tmp_path, "[-1, 1, CBAM, [1024]]"), checkpoint=trained)
    rebuilt.load_state_dict(trained)


def test_an_unknown_start_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="known are identity, paper"):
        attendet.build("yolov5n", start="zero")  # pyright: ignore[reportArgumentType] (the error is tested)


def test_an_activation_for_the_whole_file(tmp_path: Path) -> None:
    file = tmp_path / "model.yaml"
    file.write_text("activation: nn.LeakyReLU(0.1)\n" + bundled_text("yolov5n_CBAM"))
    kinds = {type(module) for module in attendet.build(file).modules()}
    assert torch.nn.LeakyReLU in kinds
    assert torch.nn.SiLU not in kinds


def test_four_levels_with_four_rows_of_anchors(tmp_path: Path) -> None:
    text = bundled_text("yolov5n").replace("anchors:\n", "anchors:\n  - [5, 6, 8, 14, 15, 11]\n")
    head = """  - [17, 1, Conv, [128, 1, 1]]
  - [-1, 1, nn.Upsample, [None, 2, nearest]]
  - [[-1, 2], 1, Concat, [1]]
  - [-1, 3, C3, [128, False]] # 27, stride 4
  - [[27, 17, 20, 23], 1, Detect, [nc, anchors]]
"""
    file = tmp_path / "p2.yaml"
    file.write_text(text[: text.index("  - [[17, 20, 23]")] + head)
    assert check_model_file(file) == []
    detector = attendet.build(file, num_classes=2)
    assert detector.strides == (4.0, 8.0, 16.0, 32.0)
    assert detector.decode(detector(torch.rand(1, 3, 64, 64))).shape == (1, 3 * (256 + 64 + 16 + 4), 4 + 2)


def test_a_number_of_anchors_creates_squares(tmp_path: Path) -> None:
    text = bundled_text("yolov5n")
    rows = text[text.index("anchors:") : text.index("\n# [from")]
    file = tmp_path / "model.yaml"
    file.write_text(text.replace(rows, "anchors: 4\n"))
    with pytest.warns(
        AttendetWarning,
        match="the 4 anchors per level have no sizes yet and are squares; training fits them to the data",
    ):
        detector = attendet.build(file, num_classes=1)
    assert anchors_of(detector).shape == (3, 4, 2)


def test_old_and_rare_blocks_can_be_built(tmp_path: Path) -> None:
    text = bundled_text("yolov5n")
    for old, new in [
        ("Conv, [64, 6, 2, 2]", "Focus, [64, 3]"),
        ("[-1, 3, C3, [128]]", "[-1, 3, BottleneckCSP, [128]]"),
        ("[-1, 6, C3, [256]]", "[-1, 6, C3Ghost, [256]]"),
        ("[-1, 9, C3, [512]]", "[-1, 3, Bottleneck, [512]]"),
        ("[-1, 1, Conv, [1024, 3, 2]]", "[-1, 1, GhostConv, [1024, 3, 2]]"),
        ("[-1, 3, C3, [1024]]", "[-1, 3, C3TR, [1024]]"),
        ("SPPF, [1024, 5]", "SPP, [1024, [5, 9, 13]]"),
        ("[-1, 3, C3, [512, False]] # 13", "[-1, 1, C3SPP, [512, [3, 5]]]"),
        ("[-1, 1, Conv, [256, 3, 2]]\n  - [[-1, 14]", "[-1, 1, DWConv, [256, 3, 2]]\n  - [[-1, 14]"),
        ("[-1, 1, Conv, [512, 3, 2]]\n  - [[-1, 10]", "[-1, 1, GhostBottleneck, [512, 3, 2]]\n  - [[-1, 10]"),
        (
            "[-1, 1, nn.Upsample, [None, 2, nearest]]\n  - [[-1, 4]",
            "[-1, 1, nn.ConvTranspose2d, [256, 2, 2]]\n  - [[-1, 4]",
        ),
    ]:
        assert old in text, old
        text = text.replace(old, new)
    file = tmp_path / "model.yaml"
    file.write_text(text)
    assert check_model_file(file) == []
    detector = attendet.build(file, num_classes=1)
    torch.stack([level.square().mean() for level in detector(torch.rand(2, 3, 64, 64))]).sum().backward()
    assert all(parameter.grad is not None for parameter in detector.parameters())
