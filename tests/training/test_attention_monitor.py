"""Attention observed during training: columns, filmstrip, and no effect on the training."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid
from attendet.errors import OptionError
from attendet.training import attention_monitor, runner
from attendet.training.attention_monitor import AttentionMonitor
from attendet.training.plots.filmstrip import AttentionSnapshot, attention_filmstrip
from attendet.training.run_folder import RunFolder
from attendet.training.runner import config_to_resume, train
from attendet.training.task import DetectionTask
from attendet.weights.io import opening
from tests.helpers.small_training import Interrupted, InterruptingReporter, RecordingReporter, rows_of, write_set

pytestmark = pytest.mark.usefixtures("without_plots")

ATTENTION = ("cbam:reduction=2@model.3",)
COLUMNS = [
    f"attention/model.3.attention/{part}/{name}"
    for part in ("channel", "spatial")
    for name in ("mean", "std", "fraction_between", "saturated")
]


@pytest.fixture(autouse=True)
def _without_filmstrip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_monitor, "attention_filmstrip", lambda *_: None)


@pytest.fixture
def _with_filmstrip(_without_filmstrip: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_monitor, "attention_filmstrip", attention_filmstrip)


@pytest.fixture
def with_cbam(fit: Callable) -> Callable[..., RunFolder]:
    def run(listener: RecordingReporter | None = None, **settings: object) -> RunFolder:
        return fit(listener, **{"model__attention": ATTENTION, **settings})[0]

    return run


def measured(folder: RunFolder) -> list[bool]:
    return [not math.isnan(float(row[COLUMNS[0]])) for row in rows_of(folder)]


def test_measured_every_second_epoch_and_at_the_end(with_cbam: Callable[..., RunFolder]) -> None:
    folder = with_cbam(schedule__epochs=5, output__watch_attention=2)
    assert [name for name in rows_of(folder)[0] if name.startswith("attention/")] == COLUMNS
    assert measured(folder) == [False, True, False, True, True]
    assert not list(folder.path.rglob(".*"))


def test_measured_at_an_early_end(with_cbam: Callable[..., RunFolder]) -> None:
    # No detection has a confidence of 1, so mAP stays at 0, and the first epoch is the best.
    folder = with_cbam(schedule__epochs=9, schedule__patience=2, validation__confidence=1.0, output__watch_attention=5)
    assert measured(folder) == [False, False, True]


def test_training_is_the_same_with_and_without_measurements(with_cbam: Callable[..., RunFolder]) -> None:
    settings = {"schedule__epochs": 3, "augment__mixup": 0.2, "data__image_weights": True}
    with_it, without = (with_cbam(output__watch_attention=every, **settings) for every in (1, 0))
    for name in ("last", "best"):
        watched, plain = (load_file(getattr(folder, name)) for folder in (with_it, without))
        assert watched.keys() == plain.keys()
        assert all(torch.equal(value, plain[key]) for key, value in watched.items())
    assert [
        {name: value for name, value in row.items() if not name.startswith("attention/")} for row in rows_of(with_it)
    ] == rows_of(without)


def test_statistics_describe_the_saved_weights(with_cbam: Callable[..., RunFolder], data: Path) -> None:
    # Without a border, the network takes the images as they are.
    folder = with_cbam(output__watch_attention=1, validation__canvas="tight")
    detector = opening.open(folder.last).detector
    gates: dict[str, list[np.ndarray]] = {"channel": [], "spatial": []}
    for name, outputs in gates.items():
        detector.get_submodule(f"model.3.attention.{name}").register_forward_hook(
            lambda *call, outputs=outputs: outputs.append(call[-1].numpy())
        )
    for record in drop_invalid(data_source.open(data).read("val")).records:
        with Image.open(record.image) as image, torch.no_grad():
            detector(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255)
    last = rows_of(folder)[-1]
    for name, outputs in gates.items():
        # The map is 4 x 4, so the 20 sample points per side are 5 per cell.
        values = np.concatenate(outputs).astype(np.float64)
        start = f"attention/model.3.attention/{name}"
        assert float(last[f"{start}/mean"]) == pytest.approx(values.mean(), rel=1e-5)
        assert float(last[f"{start}/std"]) == pytest.approx(values.std(), rel=1e-3)
        fraction = values.var(0).mean() / values.var()
        assert float(last[f"{start}/fraction_between"]) == pytest.approx(fraction, rel=1e-2, abs=1e-6)


def test_no_hook_remains_on_the_network(with_cbam: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[DetectionTask] = []

    def spy(*arguments: Any) -> DetectionTask:
        tasks.append(DetectionTask(*arguments))
        return tasks[-1]

    monkeypatch.setattr(runner, "DetectionTask", spy)
    counts = []
    for every in (0, 1):
        with_cbam(schedule__epochs=1, output__watch_attention=every)
        modules = list(tasks[-1].modules())
        counts.append([(len(each._forward_hooks), len(each._forward_pre_hooks), each.training) for each in modules])
    assert counts[0] == counts[1]


def test_tensorboard_shows_them(with_cbam: Callable[..., RunFolder]) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = with_cbam(schedule__epochs=3, output__watch_attention=2, output__tensorboard=True)
    events = accumulator.EventAccumulator(str(folder.path / "tensorboard")).Reload()
    assert set(COLUMNS) <= set(events.Tags()["scalars"])
    logged = [event.value for event in events.Scalars(COLUMNS[0])]
    assert logged == pytest.approx([float(row[COLUMNS[0]]) for row in rows_of(folder)[1:]], rel=1e-5)


def test_a_resumed_run_continues_its_measurements(
    with_cbam: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filmstrips: list[list[int]] = []

    def spy(_: object, snapshots: list[AttentionSnapshot], *__: object) -> None:
        filmstrips.append([snapshot.epoch for snapshot in snapshots])

    monkeypatch.setattr(attention_monitor, "attention_filmstrip", spy)
    settings = {"schedule__epochs": 5, "output__watch_attention": 2}
    whole = with_cbam(output__name="whole", **settings)
    assert filmstrips == [[0], [0, 2], [0, 2, 4], [0, 2, 4, 5]]
    filmstrips.clear()
    with pytest.raises(Interrupted):
        with_cbam(InterruptingReporter(3), output__name="parts", **settings)
    folder = RunFolder(tmp_path / "runs" / "parts")
    train(config_to_resume(folder), RecordingReporter(), resume=folder)
    assert filmstrips == [[0], [0, 2], [0, 2, 4], [0, 2, 4, 5]]
    assert rows_of(folder) == rows_of(whole)


def test_a_network_without_attention_is_refused_before_anything_is_written(
    with_cbam: Callable[..., RunFolder], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="but the model has no attention; attach some with --attention NAME@PLACE"):
        with_cbam(model__attention=(), output__watch_attention=1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("_with_filmstrip")
@pytest.mark.parametrize(("attention", "has_filmstrip"), [("se:reduction=2@model.3", False), ("simam@model.3", True)])
def test_a_filmstrip_needs_spatial_attention(
    with_cbam: Callable[..., RunFolder], attention: str, has_filmstrip: bool
) -> None:
    folder = with_cbam(model__attention=(attention,), output__watch_attention=1, schedule__epochs=1)
    assert folder.picture("attention_filmstrip").is_file() == has_filmstrip


@pytest.mark.usefixtures("_with_filmstrip")
def test_the_filmstrip_of_an_older_run_is_removed(with_cbam: Callable[..., RunFolder]) -> None:
    folder = with_cbam(output__watch_attention=1, schedule__epochs=1)
    assert folder.picture("attention_filmstrip").is_file()
    with_cbam(schedule__epochs=1, output__exist_ok=True)
    assert not folder.picture("attention_filmstrip").exists()


def test_the_filmstrip_shows_the_image_without_padding(tmp_path: Path, with_cbam: Callable[..., RunFolder]) -> None:
    file = write_set(tmp_path / "wide", train=4, val=2, size=(64, 30))
    split = drop_invalid(data_source.open(file).read("val"))
    # The image has 30 of the 32 rows of the canvas, so both rows of the map belong to the image.
    detector = opening.open(with_cbam(data__path=str(file), schedule__epochs=1).last).detector
    monitor = AttentionMonitor(RunFolder(tmp_path / "film"), split, 64, 32, every=1)
    monitor._measure(detector, 1)
    ((epoch, maps),) = monitor.state_dict()["snapshots"]
    assert epoch == 1
    assert maps["model.3.attention"].shape == (2, 4)


def test_snapshots_are_thinned_evenly_and_keep_both_ends() -> None:
    snapshots: list[AttentionSnapshot] = []
    for epoch in range(0, 301, 5):
        snapshots = attention_monitor._thinned([*snapshots, AttentionSnapshot(epoch, {})])
        assert len(snapshots) <= attention_monitor._MAX_SNAPSHOTS
    epochs = [snapshot.epoch for snapshot in snapshots]
    assert (epochs[0], epochs[-1]) == (0, 300)
    gaps = np.diff(epochs)
    assert gaps.max() <= 4 * gaps.min()


def test_pictures_of_many_sites_stay_small(tmp_path: Path) -> None:
    snapshots = [AttentionSnapshot(epoch, {f"model.{n}": torch.rand(4, 4) for n in range(30)}) for epoch in range(10)]
    attention_filmstrip(np.zeros((32, 32, 3), np.uint8), snapshots, tmp_path / "film.png")
    with Image.open(tmp_path / "film.png") as picture:
        assert max(picture.size) < 3000


def test_a_filmstrip_without_maps_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="`snapshots` must contain at least one map, got none"):
        attention_filmstrip(np.zeros((32, 32, 3), np.uint8), [AttentionSnapshot(1, {})], tmp_path / "film.png")
