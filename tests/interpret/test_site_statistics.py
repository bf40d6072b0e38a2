"""Statistics of attention over many images, against numpy over tensors that were kept, and cases made by hand."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from attendet.attention import create
from attendet.attention.base import Attention, Gate, Weights
from attendet.interpret.ablation import hold_constant
from attendet.interpret.capture import capture_attention
from attendet.interpret.image_region import ImageRegion
from attendet.interpret.object_overlap import overlap_with_objects
from attendet.interpret.site_statistics import POINTS, RunningMoments, SiteStatistics, SiteStatisticsCollector, points


class Given(Gate):
    """A gate that is what a function says of the images."""

    def __init__(self, function) -> None:
        super().__init__("paper")
        self.function = function

    def logits(self, x: Tensor) -> Tensor:
        return torch.logit(self.function(x))


class Gated(Attention):
    """Features times a gate."""

    paper = "none: a test"

    def __init__(self, function) -> None:
        super().__init__()
        self.gate = Given(function)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x)


class Itself(Weights):
    """Features as their own weights, of either sign."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Unbounded(Attention):
    """Features times themselves."""

    paper = "none: a test"

    def __init__(self) -> None:
        super().__init__()
        self.weights = Itself()

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weights(x)


def seen(model: nn.Module, batches: list[Tensor], frames: list[list[ImageRegion]] | None = None) -> SiteStatistics:
    statistics = SiteStatisticsCollector()
    for number, batch in enumerate(batches):
        of_batch = frames[number] if frames else [ImageRegion.of(*batch.shape[2:], torch.zeros(0, 4))] * len(batch)
        with (
            capture_attention(model, lambda visit, of_batch=of_batch: statistics.take(visit, of_batch)),
            torch.no_grad(),
        ):
            model(batch)
    (site,) = statistics.sites()
    return site


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6), st.sampled_from([0.0, 1e4]))
def test_moments_are_numpys_whatever_the_batches(sizes: list[int], offset: float) -> None:
    generator = np.random.default_rng(sum(sizes))
    batches = [generator.normal(offset, 1, (size, 3, 2)).astype(np.float32) for size in sizes]
    moments = RunningMoments()
    for batch in batches:
        moments.update(torch.from_numpy(batch))
    whole = np.concatenate(batches).astype(np.float64)
    assert moments.count == len(whole)
    if len(whole):
        # float32 holds 10,000 with steps of 0.001, within a batch; between batches nothing is lost.
        np.testing.assert_allclose(moments.mean, whole.mean(0), rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(moments.variance, whole.var(0), rtol=1e-3, atol=1e-5 if not offset else 1e-3)


def test_one_value_for_all_positions_counts_at_each_of_them() -> None:
    moments = RunningMoments()
    moments.update(torch.tensor([1.0, 3.0])[:, None, None, None])
    moments.update(torch.arange(4.0).reshape(1, 1, 2, 2))
    whole = np.stack([np.full((2, 2), 1.0), np.full((2, 2), 3.0), np.arange(4.0).reshape(2, 2)])
    np.testing.assert_allclose(moments.mean[0], whole.mean(0))
    np.testing.assert_allclose(moments.variance[0], whole.var(0))


def test_numbers_are_those_of_all_gates_kept() -> None:
    model = create("cbam", 16, reduction=2).train(False)
    kept: dict[str, list[np.ndarray]] = {"channel": [], "spatial": []}
    for name, gates in kept.items():
        getattr(model, name).register_forward_hook(lambda *call, gates=gates: gates.append(call[-1].detach().numpy()))
    # A map of 20 x 20 has one cell for each point.
    batches = [3 * torch.randn(size, 16, POINTS, POINTS) for size in (3, 1, 4)]
    site = seen(model, batches)
    assert (site.images, site.attention, [part.name for part in site.parts]) == (8, "CBAM", ["channel", "spatial"])
    for part in site.parts:
        values = np.concatenate(kept[part.name]).astype(np.float64)
        assert part.mean == pytest.approx(values.mean(), rel=1e-6)
        assert part.std == pytest.approx(values.std(), rel=1e-5)
        assert part.share_between == pytest.approx(values.var(0).mean() / values.var(), rel=1e-4)
        assert part.saturated == pytest.approx(((values < 0.05) | (values > 0.95)).mean(), abs=1e-7)
        np.testing.assert_allclose(part.means, values.mean((0, 2, 3)), rtol=1e-6)


def test_a_gate_that_never_changes() -> None:
    pattern = torch.linspace(0.1, 0.9, 8)[None, :, None, None]
    part = seen(Gated(lambda x: pattern.expand(len(x), -1, -1, -1)), [torch.randn(3, 8, 4, 4)] * 3).parts[0]
    assert part.std == pytest.approx(float(pattern.std(correction=0)), rel=1e-5)
    assert part.between == pytest.approx(0, abs=1e-7)
    assert part.share_between == pytest.approx(0, abs=1e-10)


def test_a_gate_that_is_one_number_of_each_image() -> None:
    images = torch.rand(6, 4, 5, 5)
    part = seen(Gated(lambda x: x.mean((1, 2, 3), keepdim=True).expand(-1, 4, 5, 5)), [images[:4], images[4:]]).parts[0]
    assert part.share_between == pytest.approx(1)
    assert part.std == pytest.approx(float(images.mean((1, 2, 3)).std(correction=0)), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 6, 9), (1, 8, 1, 1), (8, 1, 1), (6, 9)])
def test_weights_that_all_images_share_are_those_of_each(shape: tuple[int, ...]) -> None:
    weights, images = torch.rand(shape) / 2 + 0.2, torch.rand(3, 8, 6, 9)
    frames = [[ImageRegion.of(6, 9, torch.tensor([[0.0, 0.0, 4.0, 4.0]]))] * 3]
    shared = seen(Gated(lambda _: weights), [images], frames)
    of_each = weights[(None,) * (4 - weights.ndim)].expand(3, -1, -1, -1)
    expanded = seen(Gated(lambda _: of_each), [images], frames)
    looked = [asdict(site.looking) if site.looking else {} for site in (shared, expanded)]
    assert looked[0] == pytest.approx(looked[1], rel=1e-5)
    (one,), (other,) = shared.parts, expanded.parts
    assert (one.mean, one.std, one.saturated) == pytest.approx((other.mean, other.std, other.saturated))
    assert one.between == pytest.approx(0, abs=1e-6)


def test_padding_is_left_out() -> None:
    inside = torch.zeros(1, 1, 12, 16, dtype=torch.bool)
    inside[..., 3:9, :] = True
    gate = torch.where(inside, 0.25, 0.75)
    canvas = torch.zeros(1, 2, 12, 16)
    box = torch.tensor([[0.0, 24.0, 64.0, 48.0]])
    frames = [[ImageRegion.of(96, 128, box, (0, 24, 128, 72))]]
    site = seen(Gated(lambda _: gate), [canvas], frames)
    assert (site.parts[0].mean, site.parts[0].std) == (pytest.approx(0.25), pytest.approx(0, abs=1e-7))
    assert site.looking is not None
    # A quarter of the image, not of the canvas; the padding's larger weights are not the maximum.
    assert (site.looking.area, site.looking.pointing) == (pytest.approx(0.25), pytest.approx(0.25))


def test_images_of_different_shapes_count_equally() -> None:
    values = {8: 0.2, 24: 0.6}
    site = seen(
        Gated(lambda x: torch.full((len(x), 1, *x.shape[2:]), values[x.shape[3]])),
        [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 8, 24)],
    )
    assert site.parts[0].mean == pytest.approx(0.4)
    assert site.parts[0].share_between == pytest.approx(1)


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


def test_looking_is_what_its_definition_says() -> None:
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
def test_images_without_objects_or_full_of_one_say_nothing(coverage: Tensor) -> None:
    assert overlap_with_objects(torch.rand(3, 3), coverage) is None


def test_coverage_is_the_area_of_the_union_of_boxes() -> None:
    frame = ImageRegion.of(
        16, 16, torch.tensor([[0.0, 0.0, 6.0, 4.0], [2.0, 0.0, 8.0, 4.0], [15.4, 15.4, 15.45, 20.0]])
    )
    expected = torch.zeros(4, 4)
    expected[0, :2] = 1
    # Of a box smaller than a pixel one pixel is left.
    expected[3, 3] = 1 / 16
    torch.testing.assert_close(frame.coverage(4, 4), expected)


@given(st.integers(1, 40), st.floats(0, 60), st.floats(1, 60))
def test_a_crop_is_never_empty_and_within_the_map(cells: int, start: float, length: float) -> None:
    stop = min(start + length, 64.0)
    rows, columns = ImageRegion((0, start, 64, stop), torch.zeros(64, 64)).crop(cells, cells)
    assert 0 <= rows.start < rows.stop <= cells
    assert (columns.start, columns.stop) == (0, cells)
    centers = [(cell + 0.5) * 64 / cells for cell in range(cells)]
    inside = [cell for cell, center in enumerate(centers) if start + 1e-3 < center < stop - 1e-3]
    assert set(inside) <= set(range(rows.start, rows.stop))


def test_points_are_the_cells_that_hold_them() -> None:
    weights = torch.arange(6.0 * 9).reshape(1, 1, 6, 9).expand(2, -1, -1, -1)
    frames = [ImageRegion.of(48, 72, torch.zeros(0, 4)), ImageRegion((16, 8, 72, 40), torch.zeros(48, 72))]
    sampled = points(weights, torch.zeros(2, 3, 6, 9), frames)
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
        # Shared by all images.
        (1, 1, 6, 9),
        (1, 8, 1, 1),
        (1, 2, 8, 1, 1),
    ],
)
def test_weights_of_any_shape_that_broadcasts(shape: tuple[int, ...]) -> None:
    weights = torch.rand(shape)
    sampled = points(weights, torch.zeros(2, 8, 6, 9), [ImageRegion.of(6, 9, torch.zeros(0, 4))] * 2)
    if len(shape) == 5:
        assert torch.equal(sampled, torch.broadcast_to(weights, (2, 2, 8, 1, 1)).reshape(2, 16, 1, 1))
    else:
        whole = torch.broadcast_to(weights, (2, shape[-3], *((6, 9) if max(shape[-2:]) > 1 else (1, 1))))
        assert torch.equal(sampled[..., 0, 0], whole[..., 0, 0])
        assert torch.equal(sampled[..., -1, -1], whole[..., -1, -1])


NAMES = ["bam", "cbam", "control-noise-gate", "coordinate", "ema", "gc", "lsk", "se", "simam", "sk", "triplet"]


@pytest.mark.parametrize("name", NAMES)
def test_a_constant_takes_the_place_of_every_kind_of_weights(name: str) -> None:
    model = create(name, 64).train(False)
    site = seen(model, [torch.randn(2, 64, 8, 12), torch.randn(1, 64, 8, 12)])
    x = torch.randn(2, 64, 8, 12)
    given: dict[str, Tensor] = {}
    used: dict[str, Tensor] = {}
    for part in site.parts:
        module = model.get_submodule(part.name)
        module.register_forward_hook(lambda *call, name=part.name: given.__setitem__(name, call[-1]))
    with torch.no_grad(), hold_constant(model, {part.name: part.means for part in site.parts}):
        for part in site.parts:
            module = model.get_submodule(part.name)
            module.register_forward_hook(lambda *call, name=part.name: used.__setitem__(name, call[-1]))
        model(x)
    assert site.parts
    for part in site.parts:
        assert used[part.name].shape == given[part.name].shape
        channels = used[part.name].flatten(1, -3) if given[part.name].ndim > 3 else used[part.name][None]
        torch.testing.assert_close(channels, part.means.float()[None, :, None, None].expand_as(channels))


def test_nothing_stays_behind() -> None:
    model = create("cbam", 16, reduction=2)
    with pytest.raises(ZeroDivisionError), hold_constant(model, {"channel": torch.ones(16)}):
        raise ZeroDivisionError
    assert not any(module._forward_hooks for module in model.modules())


def test_a_module_without_weights_has_no_part() -> None:
    site = seen(create("control-identity", 4), [torch.rand(2, 4, 3, 3)])
    assert (site.parts, site.looking, site.images) == ((), None, 2)
    assert not any(isinstance(module, Weights) for module in create("control-identity", 4).modules())
