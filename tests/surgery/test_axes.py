"""Axes of feature maps: channels are the second axis, and the resolution defines the places."""

from __future__ import annotations

import pytest
import torch
from torchvision.models import inception_v3, swin_t

from attendet.errors import OptionError
from attendet.surgery import attach, attached
from tests.helpers.module_snapshot import ModuleSnapshot


def test_maps_with_channels_last_are_refused() -> None:
    """Their height would pass for the number of their channels."""
    model = swin_t()
    facts = ModuleSnapshot(model)
    with pytest.raises(OptionError, match=r"features.1.0.attn gives, \(1, 64, 64, 96\), has its channels on the last"):
        attach(model, "cbam", "residual-branch")
    assert facts.matches(model)
    assert attached(model) == ()


def test_stages_of_a_network_without_padding() -> None:
    """Its halving modules turn 35 pixels into 17, and one of their branches does not end a stage."""
    model = inception_v3(init_weights=False)
    attachment = attach(model, "cbam", "stage", example=torch.rand(1, 3, 299, 299))
    assert [site.path for site in attachment.sites][-3:] == ["Mixed_5d", "Mixed_6e", "Mixed_7c"]
    assert [site.channels for site in attachment.sites][-3:] == [288, 768, 2048]
