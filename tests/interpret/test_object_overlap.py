"""Overlap of attention with objects, against its definition in numpy."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attendet.interpret.image_region import ImageRegion
from attendet.interpret.object_overlap import overlap_with_objects
from tests.interpret.gated_modules import GatedFeatures, SquaredFeatures, collect_statistics


def test_overlap_of_a_gate_that_is_the_mask_of_the_boxes() -> None:
    boxes = torch.tensor([[8.0, 8.0, 24.0, 32.0], [40.0, 0.0, 48.0, 8.0]])
    region = ImageRegion.from_boxes(64, 64, boxes)
    mask = region.coverage(8, 8)
    site = collect_statistics(
        GatedFeatures(lambda _: 0.01 + 0.98 * mask[None, None]), [torch.zeros(1, 2, 8, 8)], [[region]]
    )
    assert site.object_overlap is not None
    assert site.object_overlap.area == pytest.approx(7 / 64)
    assert site.object_overlap.pointing == pytest.approx(1)
    assert site.object_overlap.correlation == pytest.approx(1, abs=1e-6)
    weight_in, weight_out = 7 * 0.99, 57 * 0.01
    assert site.object_overlap.energy == pytest.approx(weight_in / (weight_in + weight_out), rel=1e-5)
    assert site.object_overlap.concentration == pytest.approx(site.object_overlap.energy * 64 / 7)


def test_overlap_equals_its_definition() -> None:
    for _ in range(20):
        weights, coverage = torch.rand(5, 7), torch.rand(5, 7)
        w, c = weights.double().numpy(), coverage.double().numpy()
        overlap = overlap_with_objects(weights, coverage)
        assert overlap is not None
        assert overlap.pointing == pytest.approx(c.flat[w.argmax()])
        assert overlap.energy == pytest.approx((w * c).sum() / w.sum())
        assert overlap.area == pytest.approx(c.mean())
        assert overlap.correlation == pytest.approx(np.corrcoef(w.ravel(), c.ravel())[0, 1])


def test_constant_weights_have_the_overlap_of_chance() -> None:
    overlap = overlap_with_objects(0.3 + 1e-8 * torch.rand(4, 4), torch.eye(4))
    assert overlap is not None
    assert (overlap.pointing, overlap.energy) == (pytest.approx(0.25), pytest.approx(0.25))
    assert (overlap.concentration, overlap.correlation) == (pytest.approx(1), 0)


def test_images_with_negative_weights_have_no_overlap() -> None:
    assert overlap_with_objects(torch.tensor([[-0.2, 0.1], [0.1, 0.1]]), torch.eye(2)) is None
    images = torch.stack([torch.full((2, 4, 4), -0.5), torch.ones(2, 4, 4)])
    images[1, :, 0, 0] = 2
    regions = [ImageRegion.from_boxes(4, 4, torch.tensor([[0.0, 0.0, 2.0, 2.0]]))] * 2
    of_both_images = collect_statistics(SquaredFeatures(), [images], [regions])
    assert of_both_images.object_overlap is not None
    assert (
        of_both_images.object_overlap
        == collect_statistics(SquaredFeatures(), [images[1:]], [regions[1:]]).object_overlap
    )
    # The image without negative weights: a weight of 2 + 3 in the box, of 17 in all.
    assert of_both_images.object_overlap.energy == pytest.approx(5 / 17)
    assert collect_statistics(SquaredFeatures(), [images[:1]], [regions[:1]]).object_overlap is None


@pytest.mark.parametrize("coverage", [torch.zeros(3, 3), torch.ones(3, 3)])
def test_images_without_objects_or_covered_by_one_are_ignored(coverage: Tensor) -> None:
    assert overlap_with_objects(torch.rand(3, 3), coverage) is None
