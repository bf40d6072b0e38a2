"""Reading of many files: order, processes, bounded memory, and a cache that is never the cause of an error."""

import os
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from attendet.data.formats.labels import ImageLabels
from attendet.data.images import read_image_info
from attendet.data.reading import data_source, file_cache, file_readers
from attendet.data.reading.file_cache import CHUNK, cache_path, read_files
from attendet.errors import DataError
from tests.helpers.data_sets import write_image


def label_files(folder: Path, count: int) -> list[str]:
    folder.mkdir(parents=True)
    files = [folder / f"{number:05}.txt" for number in range(count)]
    for number, file in enumerate(files):
        file.write_text(f"{number} 0.5 0.5 0.5 0.5\n")
    return [str(file) for file in files]


def classes(results: Iterator[file_readers.ReadResult]) -> list[int | str]:
    return [each.classes[0] if isinstance(each, ImageLabels) and each.classes else -1 for each in results]


class ReadRecorder:
    """Records the paths of the files that are read in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.paths: list[str] = []
        original = file_readers._read_here

        def recorded(reader: str, paths: list[str]) -> list[file_readers.SerializedResult]:
            self.paths += paths
            return original(reader, paths)

        monkeypatch.setattr(file_readers, "_read_here", recorded)


def test_order_and_content_are_the_same_for_any_number_of_processes(tmp_path: Path) -> None:
    files = label_files(tmp_path / "labels", 3 * CHUNK + 7)
    files.insert(1000, str(tmp_path / "absent" / "b.txt"))
    files += files[:3]
    (tmp_path / "labels" / "00700.txt").write_bytes(b"\xff")
    single = list(read_files(files, "yolo", workers=1))
    several = list(read_files(files, "yolo", workers=2))
    assert classes(iter(single)) == classes(iter(several))
    assert classes(iter(single))[698:702] == [698, 699, -1, 701]
    assert str(single[700]) == str(several[700]) == f"{files[700]}: the file is not UTF-8 text"
    missing = several[1000], single[1000]
    assert isinstance(missing[0], ImageLabels)
    assert isinstance(missing[1], ImageLabels)
    assert [str(problem) for problem in missing[0].problems] == [str(problem) for problem in missing[1].problems]


def test_processes_read_images(tmp_path: Path) -> None:
    image = write_image(tmp_path / "a.png")
    files = [str(image)]
    for number in range(2 * CHUNK):
        link = tmp_path / "links" / f"{number}.png"
        link.parent.mkdir(exist_ok=True)
        os.link(image, link)
        files.append(str(link))
    assert set(read_files(files, "image", workers=2)) == {read_image_info(image)}


# With 2 processes, the paths for each do not fit into the buffer of a pipe. With 16, they do, and stay in the buffer
# when the process dies.
@pytest.mark.parametrize("workers", [2, 16])
def test_files_are_read_even_if_processes_die(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int) -> None:
    files = label_files(tmp_path / "labels", 3 * CHUNK)
    start = file_readers._start

    def short_lived(reader: str) -> subprocess.Popen[str]:
        process = start(reader)
        process.kill()
        process.wait()
        return process

    monkeypatch.setattr(file_readers, "_start", short_lived)
    assert classes(read_files(files, "yolo", workers=workers)) == list(range(3 * CHUNK))


def test_a_script_without_a_main_guard_is_not_run_again(tmp_path: Path) -> None:
    label_files(tmp_path / "labels", 2 * CHUNK)
    script = tmp_path / "script.py"
    script.write_text(
        "from attendet.data.reading.file_cache import read_files\nfrom pathlib import Path\nprint('started')\n"
        "print(len(list(read_files(map(str, sorted(Path('labels').iterdir())), 'yolo', workers=2))))\n"
    )
    done = subprocess.run(  # noqa: S603 - the script above
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["started", str(2 * CHUNK)]
    assert done.stderr == ""


def test_results_are_cached_until_a_file_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cache = label_files(tmp_path / "labels", 5), tmp_path / "cache.sqlite"
    reads = ReadRecorder(monkeypatch)
    assert classes(read_files(files, "yolo", cache=cache)) == [0, 1, 2, 3, 4]
    assert reads.paths == files
    assert classes(read_files(files, "yolo", cache=cache)) == [0, 1, 2, 3, 4]
    assert reads.paths == files
    state = Path(files[2]).stat()
    Path(files[2]).write_text("7 0.5 0.5 0.5 0.5\n")
    os.utime(files[2], ns=(state.st_atime_ns, state.st_mtime_ns + 1))
    Path(files[3]).write_text("11 0.5 0.5 0.5 0.5\n")
    os.utime(files[3], ns=(state.st_atime_ns, state.st_mtime_ns))
    assert classes(read_files(files, "yolo", cache=cache)) == [0, 1, 7, 11, 4]
    assert reads.paths[5:] == files[2:4]


def test_a_change_is_noticed_although_size_and_modification_time_stay(tmp_path: Path) -> None:
    cache, file = tmp_path / "cache.sqlite", tmp_path / "a.txt"
    for label in (0, 1, 2):
        # In place, and as archives do it: with the times that they store.
        file.write_text(f"{label} 0.5 0.5 0.5 0.5\n")
        os.utime(file, ns=(10**18, 10**18))
        assert classes(read_files([str(file)], "yolo", cache=cache)) == [label]
    other = tmp_path / "b.txt"
    other.write_text("7 0.5 0.5 0.5 0.5\n")
    os.utime(other, ns=(10**18, 10**18))
    other.rename(file)
    assert classes(read_files([str(file)], "yolo", cache=cache)) == [7]


def test_errors_are_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, file = tmp_path / "cache.sqlite", tmp_path / "a.txt"
    file.write_bytes(b"\xff")
    reads = ReadRecorder(monkeypatch)
    for _ in range(2):
        (error,) = read_files([str(file)], "yolo", cache=cache)
        assert isinstance(error, DataError)
    assert len(reads.paths) == 2


def test_each_reader_has_its_own_results(tmp_path: Path) -> None:
    cache, image = tmp_path / "cache.sqlite", str(write_image(tmp_path / "a.png"))
    (first,) = read_files([image], "yolo", cache=cache)
    assert isinstance(first, DataError)
    assert list(read_files([image], "image", cache=cache)) == [read_image_info(image)]


@pytest.mark.parametrize("damage", ["text", "truncated", "overwritten", "table", "content"])
def test_a_damaged_cache_is_replaced(damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cache = label_files(tmp_path / "labels", 800), tmp_path / "cache.sqlite"
    assert len(classes(read_files(files, "yolo", cache=cache, workers=1))) == 800
    content = cache.read_bytes()
    if damage == "text":
        cache.write_text("this is not a database")
    elif damage == "truncated":
        cache.write_bytes(content[:5000])
    elif damage == "overwritten":
        cache.write_bytes(content[:4096] + b"\x55" * (len(content) - 4096))
    else:
        database = sqlite3.connect(cache)
        with database:
            database.execute("DROP TABLE files" if damage == "table" else "UPDATE files SET content = '[1]'")
        database.close()
    assert classes(read_files(files, "yolo", cache=cache, workers=1)) == list(range(800))
    if damage != "table":
        reads = ReadRecorder(monkeypatch)
        assert classes(read_files(files, "yolo", cache=cache, workers=1)) == list(range(800))
        assert len(reads.paths) < 800


def test_results_of_another_version_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cache = label_files(tmp_path / "labels", 3), tmp_path / "cache.sqlite"
    list(read_files(files, "yolo", cache=cache))
    monkeypatch.setattr(file_cache, "VERSION", file_cache.VERSION + 1)
    reads = ReadRecorder(monkeypatch)
    list(read_files(files, "yolo", cache=cache))
    list(read_files(files, "yolo", cache=cache))
    assert reads.paths == files


def test_a_locked_cache_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, cache = label_files(tmp_path / "labels", 3), tmp_path / "cache.sqlite"
    list(read_files(files, "yolo", cache=cache))
    monkeypatch.setattr(file_cache, "LOCK_TIMEOUT", 0.01)
    holder = sqlite3.connect(cache, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        assert classes(read_files(files, "yolo", cache=cache)) == [0, 1, 2]
    finally:
        holder.close()
    reads = ReadRecorder(monkeypatch)
    assert classes(read_files(files, "yolo", cache=cache)) == [0, 1, 2]
    assert reads.paths == []


def test_a_cache_folder_that_cannot_be_written_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_image(tmp_path / "set/images/a.png")
    (tmp_path / "set/data.yaml").write_text("train: images\nnames: [cat]\n")
    assert len(data_source.open(tmp_path / "set").read("train").records) == 1
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_path(tmp_path).is_relative_to(tmp_path / "home/.cache/attendet")
    assert cache_path(tmp_path) != cache_path(tmp_path / "set")
    data_source.open(tmp_path / "set").read("train", cache=False)
    assert not (tmp_path / "home").exists()
    data_source.open(tmp_path / "set").read("train")
    assert cache_path(tmp_path / "set").is_file()


def test_memory_is_bounded_by_the_size_of_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = 32
    monkeypatch.setattr(file_cache, "CHUNK", chunk)
    file = tmp_path / "a.txt"
    file.write_text("0 0.5 0.5 0.5 0.5\n" * 50)
    files = []
    (tmp_path / "links").mkdir()
    for number in range(8 * chunk):
        files.append(str(tmp_path / "links" / f"{number}.txt"))
        os.link(file, files[-1])

    def peak(count: int) -> int:
        tracemalloc.start()
        for _ in read_files(files[:count], "yolo", cache=tmp_path / f"{count}.sqlite", workers=1):
            pass
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak_bytes

    # Memory that is allocated once does not belong to a chunk.
    peak(1)
    # Eight chunks in memory at once would take eight times as much as one.
    assert peak(8 * chunk) < 2 * peak(chunk)
