"""Hybrids of convolutions and transformers: attention is attached to feature maps and refused elsewhere."""

import pytest
import timm
import torch

from attendet.errors import OptionError
from attendet.surgery import attach
from tests.helpers.typed_access import submodule


def test_an_inner_addition_does_not_hide_the_branch_around_it() -> None:
    # Its response normalization adds two maps inside every block, without a module directly before the addition.
    model = timm.create_model("convnextv2_atto")
    attachment = attach(model, "se", "residual-branch", reduction=4, example=torch.zeros(1, 3, 64, 64))
    stages = submodule(model, "stages", torch.nn.Sequential)
    depths = [len(submodule(stage, "blocks", torch.nn.Sequential)) for stage in stages]
    assert [site.path for site in attachment.sites] == [
        f"stages.{stage}.blocks.{block}.drop_path" for stage, depth in enumerate(depths) for block in range(depth)
    ]


def test_scores_and_windows_are_not_feature_maps() -> None:
    model = timm.create_model("mobilevit_xxs")
    attachment = attach(model, "se", "stage", reduction=4, example=torch.zeros(1, 3, 128, 128))
    assert [(site.path, site.stride) for site in attachment.sites] == [
        ("stages.0", 2.0),
        ("stages.1", 4.0),
        ("stages.2", 8.0),
        ("stages.3", 16.0),
        ("stages.4", 32.0),
    ]


def test_stages_of_convolutions_and_channel_attention() -> None:
    model = timm.create_model("edgenext_xx_small")
    stages = attach(model, "eca", "stage", example=torch.zeros(1, 3, 64, 64))
    assert [site.path for site in stages.sites] == [f"stages.{stage}" for stage in range(4)]


@pytest.mark.filterwarnings("ignore:residual branches inside others")
@pytest.mark.parametrize(
    ("name", "at", "message"),
    [
        # Its blocks work on maps with channels last.
        ("mambaout_femto", "stage", r"the stage of MambaOut at stride 4 does not end with a map \(N, C, H, W\)"),
        # A branch of its last block works on sequences of pixels.
        ("edgenext_xx_small", "residual-branch", r"\(1, 64, 48\), is not a feature map with the axes of the image"),
        # Its shortcut is added to some of the channels.
        ("rexnet_100", "residual-branch", "the residual branch of features.2 does not end with a module"),
    ],
)
def test_ambiguous_places_are_refused(name: str, at: str, message: str) -> None:
    model = timm.create_model(name)
    keys = set(model.state_dict())
    with pytest.raises(OptionError, match=message):
        attach(model, "eca", at, example=torch.zeros(1, 3, 64, 64))
    assert set(model.state_dict()) == keys
