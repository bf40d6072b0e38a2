"""Images and tensors that are explained: lists, streams, unreadable files, and wrong sizes."""

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torchvision.models import resnet18

import attendet
from attendet.errors import DataError, OptionError
from attendet.interpret.image.explainer import explanations
from attendet.interpret.image.request import ExplanationRequest
from attendet.models.detector import Detector
from tests.helpers.calibrated_detector import Photographs
from tests.helpers.third_party_networks import attended_resnet


def test_tensors_in_a_list_are_explained_as_if_alone() -> None:
    model, images = attended_resnet(), torch.rand(3, 3, 64, 64)
    found = attendet.explain(model, [images[0], images[1:]])
    assert [each.image.name for each in found] == ["image 1", "image 2", "image 3"]
    for one, other in zip(found, attendet.explain(model, images), strict=True):
        assert torch.equal(one.image.tensor, other.image.tensor)
        np.testing.assert_array_equal(one.sites[0].spatial, other.sites[0].spatial)
    with pytest.raises(DataError, match="floating-point"):
        attendet.explain(model, [torch.zeros(3, 64, 64, dtype=torch.uint8)])


def test_images_stream_one_at_a_time(photographs: Photographs) -> None:
    model = attended_resnet()
    read: list[int] = []
    alive: list[weakref.ref[object]] = []

    def images() -> Iterator[NDArray[np.uint8]]:
        for number in range(4):
            read.append(number)
            yield photographs[0][:64, :64].copy()

    for number, explanation in enumerate(explanations(model, images(), ExplanationRequest(imgsz=64))):
        assert read == list(range(number + 1))
        alive.append(weakref.ref(explanation))
        del explanation
        assert sum(each() is not None for each in alive) <= 1
    assert len(alive) == 4
    assert alive[0]() is None


def test_unreadable_images_raise_or_are_reported(tmp_path: Path, photographs: Photographs) -> None:
    model = attended_resnet()
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"broken\.png"):
        attendet.explain(model, [broken])
    skipped: list[Exception] = []
    images = [str(broken), photographs[0]]
    assert len(list(explanations(model, images, ExplanationRequest(), skipped.append))) == 1
    assert len(skipped) == 1
    with pytest.raises(DataError, match="floating-point"):
        attendet.explain(model, torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    with pytest.raises(OptionError, match="has no attention modules"):
        attendet.explain(resnet18(), photographs[0])


def test_detectors_refuse_tensors_that_are_not_multiples_of_their_stride(detector: Detector) -> None:
    with pytest.raises(DataError, match=r"image 2: the sides of a tensor must be multiples of 32, got 64x70"):
        attendet.explain(detector, [torch.rand(1, 3, 64, 64), torch.rand(1, 3, 64, 70)])
