"""Changes of a data set between two readings: all are noticed, even if size and times of a file stay the same."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.data import open as open_data
from attendet.data.reading import file_cache
from attendet.data.reading.file_cache import cache_path
from tests.data.reading.layout_cases import NAMES, YOLO_ROW, labeled, text
from tests.helpers.data_sets import write_image

OTHER_ROW = YOLO_ROW.replace("1 ", "0 ", 1)


@pytest.fixture(params=["just written", "written long ago"])
def source_folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data set that has been read once, with files that count as recent or as old."""
    if request.param == "written long ago":
        # Change times cannot be set, so that no file counts as recent instead.
        monkeypatch.setattr(file_cache, "RECENT", 0.0)
    root = labeled(tmp_path / "set", {"images/a.png": "labels/a.txt", "images/b.png": "labels/b.txt"}, YOLO_ROW)
    text(root / "classes.txt", NAMES)
    assert classes(root) == [1, 1]
    assert cache_path(root).is_file()
    return root


def classes(root: Path) -> list[int]:
    return open_data(root).read("train").records.classes.tolist()


def keep_times(file: Path, change: Callable[[], object]) -> None:
    """Change a file, and restore its access and modification times."""
    state = file.stat()
    # The change time of some file systems has the resolution of the system's timer.
    time.sleep(0.02)
    change()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_another_content_of_equal_size_and_time(source_folder: Path) -> None:
    label = source_folder / "labels/a.txt"
    keep_times(label, lambda: label.write_text(OTHER_ROW))
    assert classes(source_folder) == [0, 1]


def test_a_file_that_another_of_equal_size_and_time_replaces(source_folder: Path) -> None:
    label, new = source_folder / "labels/a.txt", source_folder / "new.txt"
    keep_times(label, lambda: text(new, OTHER_ROW).replace(label))
    assert classes(source_folder) == [0, 1]


def test_a_folder_that_is_removed_and_written_again_with_equal_times(source_folder: Path) -> None:
    labels = source_folder / "labels"
    times = {file.name: file.stat().st_mtime_ns for file in labels.iterdir()}
    time.sleep(0.02)
    shutil.rmtree(labels)
    for name, modified in times.items():
        os.utime(text(labels / name, OTHER_ROW), ns=(modified, modified))
    assert classes(source_folder) == [0, 0]


def test_an_image_of_another_size(source_folder: Path) -> None:
    image = source_folder / "images/a.png"
    keep_times(image, lambda: write_image(image, (32, 96)))
    record = open_data(source_folder).read("train").records[0]
    assert (record.width, record.height, record.boxes.tolist()) == (32, 96, [[8, 24, 24, 72]])


def test_labels_that_are_removed_and_added(source_folder: Path) -> None:
    label = source_folder / "labels/a.txt"
    label.unlink()
    split = open_data(source_folder).read("train")
    assert (split.labels.found, split.labels.missing) == (1, 1)
    text(label, OTHER_ROW)
    assert classes(source_folder) == [0, 1]


def test_another_list_of_images_and_other_names(source_folder: Path) -> None:
    text(source_folder / "data.yaml", "train: train.txt\n")
    text(source_folder / "train.txt", "images/a.png\n")
    first = open_data(source_folder)
    assert (first.names, len(first.read("train").records)) == (("cat", "dog"), 1)
    keep_times(source_folder / "train.txt", lambda: text(source_folder / "train.txt", "images/b.png\n"))
    keep_times(source_folder / "classes.txt", lambda: text(source_folder / "classes.txt", "dog\ncat\n"))
    second = open_data(source_folder)
    assert (second.names, second.read("train").records[0].image.name) == (("dog", "cat"), "b.png")
    assert second.read("train").fingerprint() != first.read("train").fingerprint()


@pytest.mark.parametrize(("clock", "is_recent"), [(-3600, True), (0, True), (3600, False)])
def test_files_that_changed_now_or_in_the_future_are_known_by_their_content(
    clock: int, is_recent: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label, now = text(tmp_path / "a.txt", YOLO_ROW), time.time()
    monkeypatch.setattr(file_cache.time, "time", lambda: now + clock)
    stamp = file_cache._stamp(str(label))
    assert stamp is not None
    assert bool(stamp[-1]) is is_recent
