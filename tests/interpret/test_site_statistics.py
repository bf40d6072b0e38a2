"""Statistics of attention over many images, against numpy over all recorded tensors."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from attendet.attention import create
from attendet.attention.base import AttentionWeights
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.site_statistics import POINTS, RunningMoments, sample_points
from tests.interpret.gated_modules import GatedFeatures, collect_statistics


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.sampled_from([0.0, 1e4]))
def test_moments_equal_numpy_for_any_batches(sizes: list[int], offset: float) -> None:
    generator = np.random.default_rng(sum(sizes))
    batches = [generator.normal(offset, 1, (size, 3, 2)).astype(np.float32) for size in sizes]
    moments = RunningMoments()
    for batch in batches:
        moments.update(torch.from_numpy(batch))
    whole = np.concatenate(batches).astype(np.float64)
    assert moments.count == len(whole)
    if len(whole):
        # Within a batch, float32 resolves values near 10,000 to 0.001. Merging batches loses no precision.
        np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(moments.variance, whole.var(0), rtol=1e-3, atol=1e-5 if not offset else 1e-3)


def test_a_value_for_all_positions_counts_at_each_position() -> None:
    moments = RunningMoments()
    moments.update(torch.tensor([1.0, 3.0])[:, None, None, None])
    moments.update(torch.arange(4.0).reshape(1, 1, 2, 2))
    whole = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 3.0), np.arange(4.0).reshape(2, 2)])
    np.testing.assert_allclose(moments.mean[0], whole.mean(0))
    np.testing.assert_allclose(moments.variance[0], whole.var(0))


def test_statistics_equal_those_over_all_recorded_gates() -> None:
    model = create("cbam", 16, reduction=2).train(False)
    recorded: dict[str, list[np.ndarray]] = {"channel": [], "spatial": []}
    for name, gates in recorded.items():
        getattr(model, name).register_forward_hook(lambda *call, gates=gates: gates.append(call[-1].detach().numpy()))
    # Each cell of a map of 20 x 20 holds one sample point.
    batches = [3 * torch.randn(size, 16, POINTS, POINTS) for size in (3, 1, 4)]
    site = collect_statistics(model, batches)
    assert (site.images, site.attention, [part.name for part in site.parts]) == (8, "CBAM", ["channel", "spatial"])
    for part in site.parts:
        values = np.concatenate(recorded[part.name]).astype(np.float64)
        assert part.mean == pytest.approx(values.mean(), rel=1e-6)
        assert part.std == pytest.approx(values.std(), rel=1e-5)
        assert part.fraction_between == pytest.approx(values.var(0).mean() / values.var(), rel=1e-4)
        assert part.saturated == pytest.approx(((values < 0.05) | (values > 0.95)).mean(), abs=1e-7)
        np.testing.assert_allclose(part.means, values.mean((0, 2, 3)), rtol=1e-6)


def test_a_gate_that_is_the_same_for_every_image() -> None:
    pattern = torch.linspace(0.1, 0.9, 8)[None, :, None, None]
    part = collect_statistics(
        GatedFeatures(lambda x: pattern.expand(len(x), -1, -1, -1)), [torch.randn(3, 8, 4, 4)] * 3
    ).parts[0]
    assert part.std == pytest.approx(float(pattern.std(correction=0)), rel=1e-5)
    assert part.between == pytest.approx(0, abs=1e-7)
    assert part.fraction_between == pytest.approx(0, abs=1e-10)


def test_a_gate_that_is_one_number_per_image() -> None:
    images = torch.rand(6, 4, 5, 5)
    part = collect_statistics(
        GatedFeatures(lambda x: x.mean((1, 2, 3), keepdim=True).expand(-1, 4, 5, 5)), [images[:4], images[4:]]
    ).parts[0]
    assert part.fraction_between == pytest.approx(1)
    assert part.std == pytest.approx(float(images.mean((1, 2, 3)).std(correction=0)), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 6, 9), (1, 8, 1, 1), (8, 1, 1), (6, 9)])
def test_weights_shared_by_all_images_count_for_each_image(shape: tuple[int, ...]) -> None:
    weights, images = torch.rand(shape) / 2 + 0.2, torch.rand(3, 8, 6, 9)
    regions = [[ImageRegion.from_boxes(6, 9, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))] * 3]
    shared = collect_statistics(GatedFeatures(lambda _: weights), [images], regions)
    of_each = weights[(None,) * (4 - weights.ndim)].expand(3, -1, -1, -1)
    expanded = collect_statistics(GatedFeatures(lambda _: of_each), [images], regions)
    overlap = [asdict(site.object_overlap) if site.object_overlap else {} for site in (shared, expanded)]
    assert overlap[0] == pytest.approx(overlap[1], rel=1e-5)
    (one,), (other,) = shared.parts, expanded.parts
    assert (one.mean, one.std, one.saturated) == pytest.approx((other.mean, other.std, other.saturated))
    assert one.between == pytest.approx(0, abs=1e-6)


def test_padding_is_left_out() -> None:
    inside = torch.zeros(1, 1, 12, 16, dtype=torch.bool)
    inside[..., 3:9, :] = True
    gate = torch.where(inside, 0.25, 0.75)
    canvas = torch.zeros(1, 2, 12, 16)
    box = torch.tensor([[0.0, 24.0, 64.0, 48.0]])
    regions = [[ImageRegion.from_boxes(96, 128, box, (0, 24, 128, 72))]]
    site = collect_statistics(GatedFeatures(lambda _: gate), [canvas], regions)
    assert (site.parts[0].mean, site.parts[0].std) == (pytest.approx(0.25), pytest.approx(0, abs=1e-7))
    assert site.object_overlap is not None
    # A quarter of the image, not of the canvas. The larger weights of the padding do not count as the maximum.
    assert (site.object_overlap.area, site.object_overlap.pointing) == (pytest.approx(0.25), pytest.approx(0.25))


def test_images_of_different_shapes_count_equally() -> None:
    values = {8: 0.2, 24: 0.6}
    site = collect_statistics(
        GatedFeatures(lambda x: torch.full((len(x), 1, *x.shape[2:]), values[x.shape[3]])),
        [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 24)],
    )
    assert site.parts[0].mean == pytest.approx(0.4)
    assert site.parts[0].fraction_between == pytest.approx(1)


def test_sample_points_take_the_weight_of_their_cell() -> None:
    weights = torch.arange(6.0 * 9).reshape(1, 1, 6, 9).expand(2, -1, -1, -1)
    regions = [ImageRegion.from_boxes(48, 72, torch.zeros(0, 4)), ImageRegion((16, 8, 72, 40), torch.zeros(48, 72))]
    sampled = sample_points(weights, torch.zeros(2, 3, 6, 9), regions)
    assert sampled.shape == (2, 1, POINTS, POINTS)
    for image, (left, top, right, bottom) in enumerate([(0, 0, 72, 48), (16, 8, 72, 40)]):
        for row, column in ((0, 0), (7, 13), (19, 19), (10, 4)):
            y = top + (row + 0.5) / POINTS * (bottom - top)
            x = left + (column + 0.5) / POINTS * (right - left)
            assert sampled[image, 0, row, column] == weights[image, 0, int(y // 8), int(x // 8)]


@pytest.mark.parametrize(
    "shape",
    [
        (2, 8, 6, 9),
        (2, 1, 6, 9),
        (2, 8, 6, 1),
        (2, 8, 1, 9),
        (2, 8, 1, 1),
        (2, 2, 8, 1, 1),
        # Weights that all images share.
        (1, 1, 6, 9),
        (1, 8, 1, 1),
        (1, 2, 8, 1, 1),
    ],
)
def test_sample_points_of_every_shape_that_broadcasts(shape: tuple[int, ...]) -> None:
    weights = torch.rand(shape)
    sampled = sample_points(weights, torch.zeros(2, 8, 6, 9), [ImageRegion.from_boxes(6, 9, torch.zeros(0, 4))] * 2)
    if len(shape) == 5:
        assert torch.equal(sampled, torch.broadcast_to(weights, (2, 2, 8, 1, 1)).reshape(2, 16, 1, 1))
    else:
        whole = torch.broadcast_to(weights, (2, shape[-3], *((6, 9) if max(shape[-2:]) > 1 else (1, 1))))
        assert torch.equal(sampled[..., 0, 0], whole[..., 0, 0])
        assert torch.equal(sampled[..., -1, -1], whole[..., -1, -1])


def test_a_module_without_weights_has_no_parts() -> None:
    site = collect_statistics(create("control-identity", 4), [torch.rand(2, 4, 3, 3)])
    assert (site.parts, site.object_overlap, site.images) == ((), None, 2)
    assert not any(isinstance(module, AttentionWeights) for module in create("control-identity", 4).modules())
