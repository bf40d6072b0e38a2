"""CBAM options inferred from the tensors of a checkpoint, and no inference from other tensors."""

import pytest
from timm.layers.cbam import CbamModule
from torch import nn

import attendet
from attendet.attention import CBAM, create
from attendet.blocks import C3, SPPF, Bottleneck, Conv, GhostConv
from attendet.models.yaml.checkpoint_evidence import infer_cbam_options


def options_of(module: nn.Module, channels: int = 64) -> dict[str, object]:
    return infer_cbam_options({f"model.9.{key}": value for key, value in module.state_dict().items()}, 9, channels)


@pytest.mark.parametrize(
    "module",
    [
        SPPF(64, 64),
        C3(64, 64),
        Bottleneck(64, 64),
        GhostConv(64, 64),
        Conv(64, 64, 1),
        nn.Sequential(Conv(64, 64, 1), Conv(64, 64, 1)),
        nn.Conv2d(64, 64, 1),
        nn.Conv2d(64, 1, 1),
        nn.BatchNorm2d(64),
        nn.Upsample(scale_factor=2),
    ],
    ids=lambda module: type(module).__name__,
)
def test_tensors_of_other_blocks_give_no_options(module: nn.Module) -> None:
    assert options_of(module) == {}


@pytest.mark.filterwarnings("ignore::attendet.errors.AttendetWarning")
@pytest.mark.parametrize("name", ["bam", "coordinate", "eca", "ema", "gam", "gc", "lsk", "scse", "se", "sk", "triplet"])
def test_tensors_of_other_attention_give_no_options(name: str) -> None:
    assert options_of(create(name, 64)) == {}


def test_a_repeated_row_has_the_options_of_one_module() -> None:
    row = nn.Sequential(CBAM(64, 8, 3), CBAM(64, 8, 3))
    assert options_of(row) == {"reduction": 8, "kernel_size": 3, "variant": "plain"}


def test_the_module_of_timm_is_recognized() -> None:
    assert options_of(CbamModule(64)) == {"reduction": 16, "kernel_size": 7, "variant": "timm"}


def test_more_hidden_channels_than_channels_give_a_ratio_below_1() -> None:
    assert options_of(CBAM(64, 0.5))["reduction"] == 0.5


def test_weights_of_plain_yolov5_do_not_change_a_cbam_row() -> None:
    # At the row of CBAM, the weights have SPPF, whose first convolution halves the channels.
    weights = attendet.build("yolov5n").state_dict()
    assert weights["model.9.cv1.conv.weight"].shape == (128, 256, 1, 1)
    built = attendet.build("yolov5n_CBAM", checkpoint=weights).model[9]
    assert isinstance(built, CBAM)
    assert built.order == "channel-first"
    assert built.channel.fc1.weight.shape == (16, 256)
    assert built.channel.fc1.bias is None
    assert built.spatial.conv.weight.shape == (1, 2, 7, 7)
