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
from attendet.training import attention_monitor
from attendet.training import runner as module
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
    for name in ("mean", "std", "share_between", "saturated")
]


@pytest.fixture(autouse=True)
def _unfilmed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_monitor, "attention_filmstrip", lambda *_: None)


@pytest.fixture
def _filmed(_unfilmed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_monitor, "attention_filmstrip", attention_filmstrip)


@pytest.fixture
def with_cbam(fit: Callable) -> Callable[..., RunFolder]:
    def run(listener: RecordingReporter | None = None, **settings: object) -> RunFolder:
        return fit(listener, **{"model__attention": ATTENTION, **settings})[0]

    return run


def measured(folder: RunFolder) -> list[bool]:
    return [not math.isnan(float(row[COLUMNS[0]])) for row in rows_of(folder)]


def test_every_so_many_epochs_and_at_the_end(with_cbam: Callable[..., RunFolder]) -> None:
    folder = with_cbam(schedule__epochs=5, output__watch_attention=2)
    assert [name for name in rows_of(folder)[0] if name.startswith("attention/")] == COLUMNS
    assert measured(folder) == [False, True, False, True, True]
    assert not list(folder.path.rglob(".*"))


def test_the_end_may_come_early(with_cbam: Callable[..., RunFolder]) -> None:
    # Nothing is ever that certain: mAP stays at 0, and the first epoch is the best.
    folder = with_cbam(schedule__epochs=9, schedule__patience=2, validation__confidence=1.0, output__watch_attention=5)
    assert measured(folder) == [False, False, True]


def test_training_goes_the_same_way(with_cbam: Callable[..., RunFolder]) -> None:
    settings = {"schedule__epochs": 3, "augment__mixup": 0.2, "data__image_weights": True}
    with_it, without = (with_cbam(output__watch_attention=every, **settings) for every in (1, 0))
    for name in ("last", "best"):
        watched, plain = (load_file(getattr(folder, name)) for folder in (with_it, without))
        assert watched.keys() == plain.keys()
        assert all(torch.equal(value, plain[key]) for key, value in watched.items())
    assert [
        {name: value for name, value in row.items() if not name.startswith("attention/")} for row in rows_of(with_it)
    ] == rows_of(without)


def test_numbers_are_those_of_the_kept_weights(with_cbam: Callable[..., RunFolder], data: Path) -> None:
    folder = with_cbam(output__watch_attention=1)
    detector = opening.open(folder.last).detector
    gates: dict[str, list[np.ndarray]] = {"channel": [], "spatial": []}
    for name, kept in gates.items():
        detector.get_submodule(f"model.3.attention.{name}").register_forward_hook(
            lambda *call, kept=kept: kept.append(call[-1].numpy())
        )
    for record in drop_invalid(data_source.open(data).read("val")).records:
        with Image.open(record.image) as image, torch.no_grad():
            detector(torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255)
    last = rows_of(folder)[-1]
    for name, kept in gates.items():
        # The map is 4 x 4, and 20 points a side are 5 a cell.
        values = np.concatenate(kept).astype(np.float64)
        start = f"attention/model.3.attention/{name}"
        assert float(last[f"{start}/mean"]) == pytest.approx(values.mean(), rel=1e-5)
        assert float(last[f"{start}/std"]) == pytest.approx(values.std(), rel=1e-3)
        share = values.var(0).mean() / values.var()
        assert float(last[f"{start}/share_between"]) == pytest.approx(share, rel=1e-2, abs=1e-6)


def test_nothing_hangs_on_the_network_afterwards(
    with_cbam: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[DetectionTask] = []

    def spy(*arguments: Any) -> DetectionTask:
        tasks.append(DetectionTask(*arguments))
        return tasks[-1]

    monkeypatch.setattr(module, "DetectionTask", spy)
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
    shown = [event.value for event in events.Scalars(COLUMNS[0])]
    assert shown == pytest.approx([float(row[COLUMNS[0]]) for row in rows_of(folder)[1:]], rel=1e-5)


def test_a_resumed_run_goes_on(
    with_cbam: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films: list[list[int]] = []

    def spy(_: object, shots: list[AttentionSnapshot], *__: object) -> None:
        films.append([shot.epoch for shot in shots])

    monkeypatch.setattr(attention_monitor, "attention_filmstrip", spy)
    settings = {"schedule__epochs": 5, "output__watch_attention": 2}
    whole = with_cbam(output__name="whole", **settings)
    assert films == [[0], [0, 2], [0, 2, 4], [0, 2, 4, 5]]
    films.clear()
    with pytest.raises(Interrupted):
        with_cbam(InterruptingReporter(3), output__name="parts", **settings)
    folder = RunFolder(tmp_path / "runs" / "parts")
    train(config_to_resume(folder), RecordingReporter(), resume=folder)
    assert films == [[0], [0, 2], [0, 2, 4], [0, 2, 4, 5]]
    assert rows_of(folder) == rows_of(whole)


def test_a_network_without_attention_is_refused_before_anything_is_written(
    with_cbam: Callable[..., RunFolder], tmp_path: Path
) -> None:
    with pytest.raises(OptionError, match="no attention to watch; give --attention NAME@PLACE"):
        with_cbam(model__attention=(), output__watch_attention=1)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("_filmed")
@pytest.mark.parametrize(("attention", "has_film"), [("se:reduction=2@model.3", False), ("simam@model.3", True)])
def test_a_film_where_positions_are_weighed(
    with_cbam: Callable[..., RunFolder], attention: str, has_film: bool
) -> None:
    folder = with_cbam(model__attention=(attention,), output__watch_attention=1, schedule__epochs=1)
    assert folder.picture("attention_filmstrip").is_file() == has_film


@pytest.mark.usefixtures("_filmed")
def test_the_film_of_an_older_run_does_not_stay(with_cbam: Callable[..., RunFolder]) -> None:
    folder = with_cbam(output__watch_attention=1, schedule__epochs=1)
    assert folder.picture("attention_filmstrip").is_file()
    with_cbam(schedule__epochs=1, output__exist_ok=True)
    assert not folder.picture("attention_filmstrip").exists()


def test_the_film_shows_the_image_without_padding(tmp_path: Path, with_cbam: Callable[..., RunFolder]) -> None:
    file = write_set(tmp_path / "wide", train=4, val=2, size=(64, 30))
    split = drop_invalid(data_source.open(file).read("val"))
    # A canvas of 32 rows for 30: of a map of two rows both belong to the image, of one of 16 the outer ones too.
    detector = opening.open(with_cbam(data__path=str(file), schedule__epochs=1).last).detector
    gates = AttentionMonitor(RunFolder(tmp_path / "film"), split, 64, 32, every=1)
    gates._measure(detector, 1)
    ((epoch, maps),) = gates.state_dict()["shots"]
    assert epoch == 1
    assert maps["model.3.attention"].shape == (2, 4)


def test_shots_are_thinned_evenly_and_keep_both_ends() -> None:
    shots: list[AttentionSnapshot] = []
    for epoch in range(0, 301, 5):
        shots = attention_monitor._thinned([*shots, AttentionSnapshot(epoch, {})])
        assert len(shots) <= attention_monitor._MAX_SNAPSHOTS
    epochs = [shot.epoch for shot in shots]
    assert (epochs[0], epochs[-1]) == (0, 300)
    gaps = np.diff(epochs)
    assert gaps.max() <= 4 * gaps.min()


def test_pictures_of_many_sites_stay_small(tmp_path: Path) -> None:
    shots = [AttentionSnapshot(epoch, {f"model.{n}": torch.rand(4, 4) for n in range(30)}) for epoch in range(10)]
    attention_filmstrip(np.zeros((32, 32, 3), np.uint8), shots, tmp_path / "film.png")
    with Image.open(tmp_path / "film.png") as picture:
        assert max(picture.size) < 3000


def test_a_film_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no site weighs positions"):
        attention_filmstrip(np.zeros((32, 32, 3), np.uint8), [AttentionSnapshot(1, {})], tmp_path / "film.png")
