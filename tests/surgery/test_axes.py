"""Axes of feature maps: channels are on the second axis, and the other axes define the stages."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import inception_v3, swin_t

from attendet.errors import OptionError
from attendet.surgery import attach, attached
from tests.helpers.module_snapshot import ModuleSnapshot


def test_maps_with_channels_last_are_refused() -> None:
    """Their height would be taken for their number of channels."""
    model = swin_t()
    snapshot = ModuleSnapshot(model)
    with pytest.raises(
        OptionError, match=r"the output of features.1.0.attn, \(1, 64, 64, 96\), has its channels on the last axis"
    ):
        attach(model, "cbam", "residual-branch")
    assert snapshot.matches(model)
    assert attached(model) == ()


def test_stages_of_a_network_without_padding() -> None:
    """Modules that halve the resolution turn 35 pixels into 17; a branch inside one of them does not end a stage."""
    model = inception_v3(init_weights=False)
    attachment = attach(model, "cbam", "stage", example=torch.rand(1, 3, 299, 299))
    assert [site.path for site in attachment.sites][-3:] == ["Mixed_5d", "Mixed_6e", "Mixed_7c"]
    assert [site.channels for site in attachment.sites][-3:] == [288, 768, 2048]
