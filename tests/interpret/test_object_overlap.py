"""Overlap of attention with objects, against its definition in numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attendet.interpret.image_region import ImageRegion
from attendet.interpret.object_overlap import overlap_with_objects
from tests.interpret.gated_modules import Gated, Unbounded, seen


def test_a_gate_that_is_the_mask_of_the_boxes() -> None:
    boxes = torch.tensor([[8.0, 8.0, 24.0, 32.0], [40.0, 0.0, 48.0, 8.0]])
    frame = ImageRegion.of(64, 64, boxes)
    mask = frame.coverage(8, 8)
    site = seen(Gated(lambda _: 0.01 + 0.98 * mask[None, None]), [torch.zeros(1, 2, 8, 8)], [[frame]])
    assert site.looking is not None
    assert site.looking.area == pytest.approx(7 / 64)
    assert site.looking.pointing == pytest.approx(1)
    assert site.looking.correlation == pytest.approx(1, abs=1e-6)
    weight_in, weight_out = 7 * 0.99, 57 * 0.01
    assert site.looking.energy == pytest.approx(weight_in / (weight_in + weight_out), rel=1e-5)
    assert site.looking.concentration == pytest.approx(site.looking.energy * 64 / 7)


def test_overlap_equals_its_definition() -> None:
    for _ in range(20):
        weights, coverage = torch.rand(5, 7), torch.rand(5, 7)
        w, c = weights.double().numpy(), coverage.double().numpy()
        looked = overlap_with_objects(weights, coverage)
        assert looked is not None
        assert looked.pointing == pytest.approx(c.flat[w.argmax()])
        assert looked.energy == pytest.approx((w * c).sum() / w.sum())
        assert looked.area == pytest.approx(c.mean())
        assert looked.correlation == pytest.approx(np.corrcoef(w.ravel(), c.ravel())[0, 1])


def test_weights_that_are_all_alike_know_nothing() -> None:
    looked = overlap_with_objects(0.3 + 1e-8 * torch.rand(4, 4), torch.eye(4))
    assert looked is not None
    assert (looked.pointing, looked.energy) == (pytest.approx(0.25), pytest.approx(0.25))
    assert (looked.concentration, looked.correlation) == (pytest.approx(1), 0)


def test_of_negative_weights_there_are_no_shares() -> None:
    assert overlap_with_objects(torch.tensor([[-0.2, 0.1], [0.1, 0.1]]), torch.eye(2)) is None
    images = torch.stack([torch.full((2, 4, 4), -0.5), torch.ones(2, 4, 4)])
    images[1, :, 0, 0] = 2
    frames = [ImageRegion.of(4, 4, torch.tensor([[0.0, 0.0, 2.0, 2.0]]))] * 2
    of_both = seen(Unbounded(), [images], [frames])
    assert of_both.looking is not None
    assert of_both.looking == seen(Unbounded(), [images[1:]], [frames[1:]]).looking
    # Five of seventeen, of the image whose weights are not negative.
    assert of_both.looking.energy == pytest.approx(5 / 17)
    assert seen(Unbounded(), [images[:1]], [frames[:1]]).looking is None


@pytest.mark.parametrize("coverage", [torch.zeros(3, 3), torch.ones(3, 3)])
def test_images_without_objects_or_covered_by_one_are_ignored(coverage: Tensor) -> None:
    assert overlap_with_objects(torch.rand(3, 3), coverage) is None
