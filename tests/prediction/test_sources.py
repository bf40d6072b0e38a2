"""Sources that arguments name, on a real file system."""

import itertools
import os
from pathlib import Path

import pytest

from attendet.prediction.input_frames import read_frames
from attendet.prediction.sources import MediaKind, MediaSource, expand_sources

LONG = "a" * 4100


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("set/b.JPG", "set/a.png", "set/notes.md", "set/film.MP4", "set/deep/c.jpg", "odd[1].jpg", "7"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "empty").mkdir()
    return tmp_path


def found(*arguments: str, lines: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    errors: list[str] = []
    sources = expand_sources(arguments, lambda error: errors.append(str(error)), lines)
    return [source.name for source in sources], errors


def test_a_folder_gives_its_files_in_order_without_subfolders(folder: Path) -> None:
    assert found("set") == (["set/a.png", "set/b.JPG", "set/film.MP4"], [])
    assert found("set/", str(folder / "set" / "deep")) == (
        ["set/a.png", "set/b.JPG", "set/film.MP4", f"{folder}/set/deep/c.jpg"],
        [],
    )


def test_a_pattern_enters_each_folder_once(folder: Path) -> None:
    for name in ("back", "again"):
        (folder / "set" / "deep" / name).symlink_to(folder)
    assert found("set/**/c.jpg") == (["set/deep/c.jpg"], [])


@pytest.mark.usefixtures("folder")
def test_files_patterns_and_cameras() -> None:
    assert found("set/*.png", "set/**/*.jpg") == (["set/a.png", "set/deep/c.jpg"], [])
    assert found("**/*.jpg") == (["odd[1].jpg", "set/deep/c.jpg"], [])
    assert found("set/**") == (["set/a.png", "set/b.JPG", "set/deep/c.jpg", "set/film.MP4"], [])
    assert found("odd[1].jpg") == (["odd[1].jpg"], [])
    assert list(expand_sources(["set/film.MP4", "set/a.png", "7", "0"], print)) == [
        MediaSource(MediaKind.VIDEO, "set/film.MP4"),
        MediaSource(MediaKind.IMAGE, "set/a.png"),
        # A file of this name exists.
        MediaSource(MediaKind.IMAGE, "7"),
        MediaSource(MediaKind.CAMERA, "0"),
    ]


@pytest.mark.usefixtures("folder")
def test_arguments_without_sources_are_reported_and_skipped() -> None:
    assert found("nowhere.jpg", "empty", "set/*.bmp", "", "set/a.png", "a\0b", LONG, "9" * 4000) == (
        ["set/a.png"],
        [
            "nowhere.jpg: file or folder not found",
            "empty: the folder has no image or video",
            "set/*.bmp: no image or video matches",
            ": file or folder not found",
            "a\0b: file or folder not found",
            f"{LONG}: file or folder not found",
            f"{'9' * 4000}: file or folder not found",
        ],
    )


@pytest.mark.usefixtures("folder")
def test_addresses_are_streams_whose_names_hide_passwords() -> None:
    address = "rtsp://me:pw@host:554/live?channel=12&key=abc"
    (stream,) = expand_sources([address], print)
    assert stream == MediaSource(MediaKind.STREAM, "rtsp://host:554/live?channel=12&key=…", address)
    assert "pw" not in repr(stream)
    assert [source.kind for source in expand_sources(["HTTPS://host/*.mp4", "/dev/video3"], print)] == [
        MediaKind.STREAM,
        MediaKind.CAMERA,
    ]
    names, (error,) = found("ftp://me:pw@host/a.mp4")
    assert names == []
    assert error.startswith("ftp://host/a.mp4: an address must begin with one of http://, https://, rtsp://")


def test_a_list_has_comments_backslashes_streams_and_cameras(folder: Path) -> None:
    (folder / "set" / "a #1.png").touch()
    (folder / "set" / "#2.png").touch()
    lines = [
        "# cameras of the yard",
        "  0  # the gate",
        "rtsp://host/1 # the door",
        "",
        "set\\a.png",
        "./deep\\c.jpg # x",
    ]
    lines += ["set/a #1.png", "#2.png", "gone.jpg # it was here", "film\\gone.mp4", "   # nothing", "set/b.JPG\t"]
    for name in ("streams.txt", "cameras.streams"):
        (folder / "set" / name).write_text("\n".join(lines))
        assert found(f"set/{name}") == (
            ["0", "rtsp://host/1", "set/a.png", "set/deep/c.jpg", "set/a #1.png", "set/#2.png", "set/b.JPG"],
            ["gone.jpg: file or folder not found", "film\\gone.mp4: file or folder not found"],
        )


def test_pipes_and_devices_with_the_names_of_videos_are_refused(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp4")
    os.mkfifo(folder / "pipe.txt")
    (folder / "zero.ts").symlink_to("/dev/zero")
    (folder / "lost.mkv").symlink_to("nowhere")
    (folder / "film.avi").mkdir()
    names, errors = found("pipe.mp4", "pipe.txt", "zero.ts", "film.avi", "lost.mkv")
    assert names == []
    assert errors == [
        "pipe.mp4: the path must be a regular file, got a pipe",
        "pipe.txt: the path must be a regular file, got a pipe",
        "zero.ts: the path must be a regular file, got a device",
        "film.avi: the folder has no image or video",
        "lost.mkv: the file cannot be read: No such file or directory",
    ]
    (folder / "set" / "pipe.mp4").symlink_to(folder / "pipe.mp4")
    messages: list[str] = []
    (folder / "set" / "a.png").unlink()
    assert list(read_frames(expand_sources(["set"], print), lambda error: messages.append(str(error)))) == []
    assert "set/pipe.mp4: the path must be a regular file, got a pipe" in messages


def test_a_list_file_with_a_byte_order_mark_and_relative_paths(folder: Path) -> None:
    (folder / "set" / "list.txt").write_bytes(b"\xef\xbb\xbfset/a.png\r\n\r\n./deep/c.jpg\r\ngone.jpg\r\nset\r\n")
    assert found("set/list.txt") == (
        ["set/a.png", "set/deep/c.jpg", "set/a.png", "set/b.JPG", "set/film.MP4"],
        ["gone.jpg: file or folder not found"],
    )
    (folder / "nothing.txt").write_text("\n\n")
    assert found("nothing.txt") == ([], ["nothing.txt: the list of paths is empty; write one path per line"])


def test_a_list_file_with_names_that_are_not_utf8(folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    (folder / name).touch()
    (folder / "list.txt").write_bytes(b"caf\xe9.jpg\n")
    assert found("list.txt") == ([name], [])


def test_a_huge_file_without_lines_is_refused(folder: Path) -> None:
    with (folder / "huge.txt").open("wb") as file:
        file.truncate(2**33)
    assert found("huge.txt") == ([], ["huge.txt:1: the line is not a path; write one path per line"])


@pytest.mark.usefixtures("folder")
def test_standard_input_is_read_lazily() -> None:
    endless = ("set/a.png\n" for _ in itertools.count())
    assert len(list(itertools.islice(expand_sources(["-"], print, endless), 1000))) == 1000
