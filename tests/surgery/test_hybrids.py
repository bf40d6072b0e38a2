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


@pytest.mark.parametrize(
    ("at", "message"),
    [("stage", "the stages of EdgeNeXt cannot be recognized"), ("residual-branch", "does not end with a module")],
)
def test_ambiguous_places_are_refused(at: str, message: str) -> None:
    model = timm.create_model("edgenext_xx_small")
    keys = set(model.state_dict())
    with pytest.raises(OptionError, match=message):
        attach(model, "se", at, example=torch.zeros(1, 3, 64, 64))
    assert set(model.state_dict()) == keys
