"""Runs with the same seed start from the same weights and see the same images; fractions of the data are nested."""

from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.attention import CBAM
from attendet.data.records import ImageRecord, ImageRecords, Split
from attendet.surgery import attach
from attendet.training.pairing import weight_digests
from attendet.training.preparation import select_fraction
from attendet.training.run_folder import read_run
from attendet.training.runner import train
from tests.helpers.small_training import RecordingReporter, small
from tests.helpers.typed_access import tensor

pytestmark = pytest.mark.usefixtures("without_plots")


def split(images: int) -> Split:
    records = ImageRecords([ImageRecord(Path(f"{number}.png"), 8, 8) for number in range(images)])
    return Split("train", ("a",), records, digests=tuple(f"d{number}" for number in range(images)))


def numbers(part: Split) -> list[int]:
    return [int(record.image.stem) for record in part.records]


@pytest.mark.parametrize("images", [1, 2, 7, 100])
def test_fractions_are_nested_and_keep_the_order(images: int) -> None:
    whole = split(images)
    before: set[int] = set()
    for fraction in (0.001, 0.1, 0.25, 0.5, 0.9, 1):
        part = select_fraction(whole, fraction, seed=3)
        selected = numbers(part)
        assert len(selected) == max(1, round(fraction * images))
        assert selected == sorted(set(selected))
        assert part.digests == tuple(f"d{number}" for number in selected)
        assert before <= set(selected)
        before = set(selected)
    assert before == set(range(images))


def test_every_image_is_selected_equally_often() -> None:
    counts = torch.zeros(20)
    for seed in range(400):
        counts[numbers(select_fraction(split(20), 0.25, seed))] += 1
    # The counts are binomial with mean 100 and standard deviation 8.7; the bound is five deviations.
    assert counts.sum() == 400 * 5
    assert ((counts - 100).abs() < 44).all()


def layers() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 16, 3), nn.Sequential(nn.Conv2d(16, 16, 1), nn.BatchNorm2d(16)), nn.ReLU())


def test_attention_does_not_change_the_digests_of_other_layers() -> None:
    plain = weight_digests(layers())
    assert sorted(plain) == ["0", "1.0", "1.1"]
    attached = layers()
    attach(attached, "cbam", "1", example=torch.zeros(1, 3, 16, 16), reduction=4)
    assert weight_digests(attached) == plain
    replaced = layers()
    replaced[1] = CBAM(16, reduction=4)
    assert weight_digests(replaced) == {"0": plain["0"]}
    changed = layers()
    with torch.no_grad():
        tensor(changed, "1.0.weight")[3, 2, 0, 0] += 1e-6
    assert {layer for layer, value in weight_digests(changed).items() if value != plain[layer]} == {"1.0"}


def test_a_run_records_its_digests(data: Path, model: Path, tmp_path: Path) -> None:
    def run(name: str, **settings: object):
        config = small(data, model, tmp_path / name, schedule__epochs=1, **settings)
        return read_run(train(config, RecordingReporter())[0])

    plain, gated = run("plain"), run("gated", model__attention=["cbam:reduction=2@after:Conv"])
    assert plain.order == gated.order
    assert plain.initialization == gated.initialization
    assert len(plain.initialization) > 5
    assert plain.metrics is not None
    other = run("other", schedule__seed=1, data__fraction=0.5)
    assert other.order != plain.order
    assert set(other.initialization.values()).isdisjoint(set(plain.initialization.values()) - seedless(plain, other))
    assert (other.data["train"]["images"], other.data["val"]["images"]) == (4, 4)
    assert other.data["train"]["fingerprint"] != plain.data["train"]["fingerprint"]
    assert other.data["val"]["fingerprint"] == plain.data["val"]["fingerprint"]


def seedless(first, second) -> set[str]:
    """Return the digests of batch norms, whose initial weights do not depend on the seed."""
    return {value for layer, value in first.initialization.items() if layer.endswith("bn")} & set(
        second.initialization.values()
    )
