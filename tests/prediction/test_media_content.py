"""Files are videos or images by their content."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from attendet.prediction.input_frames import read_frames
from attendet.prediction.media_content import is_video_file, video_format
from attendet.prediction.sources import expand_sources
from tests.helpers.videos import write_video

TYPESCRIPT = "export const gallery: Gallery = { G: 'G' };\n" * 400


@pytest.mark.parametrize(
    ("form", "codec"),
    [
        *[("mp4", "libx264"), ("mov", "libx264"), ("matroska", "libx264"), ("webm", "libvpx-vp9"), ("avi", "mpeg4")],
        *[("mpegts", "libx264"), ("flv", "libx264"), ("asf", "mpeg4"), ("mpeg", "mpeg1video"), ("vob", "mpeg2video")],
        *[("mpeg2video", "mpeg2video")],
    ],
)
def test_a_video_of_any_name_is_read(tmp_path: Path, form: str, codec: str) -> None:
    write_as(tmp_path / "film", form, codec)
    for name in ("film", "film.dat", "film.ts", "film.JPG", "film.png"):
        path = tmp_path / name
        if name != "film":
            path.write_bytes((tmp_path / "film").read_bytes())
        assert is_video_file(path)
        assert len(frames_of(path)) == 12, name


def test_transport_streams_are_known_in_all_their_forms(tmp_path: Path) -> None:
    content = write_as(tmp_path / "a.bin", "mpegts", "libx264").read_bytes()
    packets = [content[start : start + 188] for start in range(0, len(content), 188)]
    blu_ray = b"".join(bytes(4) + packet for packet in packets)
    corrected = b"".join(packet + bytes(16) for packet in packets)
    for name, recorded in (("a.m2ts", blu_ray), ("b.MTS", blu_ray), ("c.ts", corrected), ("d.ts", content[61:])):
        path = tmp_path / name
        path.write_bytes(recorded)
        assert video_format(recorded[:4096]) == "mpegts", name
        # A recording that begins inside a packet has lost this packet.
        assert len(frames_of(path, ignore_damage=True)) >= 11, name


def test_a_recording_that_begins_between_key_frames_is_read_from_the_first_whole_picture(tmp_path: Path) -> None:
    content = write_as(tmp_path / "a.bin", "mpegts", "libx264", count=60, group=20).read_bytes()
    cut = tmp_path / "cut.ts"
    cut.write_bytes(content[188 * (len(content) // 188 // 4) :])
    assert len(frames_of(cut, ignore_damage=True)) >= 40


def test_files_that_are_not_videos(tmp_path: Path) -> None:
    for name in ("app.ts", "module.mts", "notes.md"):
        (tmp_path / name).write_text(TYPESCRIPT)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.avif")
    (tmp_path / "dna.fasta").write_text("GATTACAGGG" * 2000)
    for path in tmp_path.iterdir():
        assert not is_video_file(path), path.name
    errors: list[str] = []
    sources = expand_sources([str(tmp_path)], lambda error: errors.append(str(error)))
    assert not [source for source in sources if source.name.endswith(("ts", "md", "fasta"))]
    messages: list[str] = []
    named = expand_sources([str(tmp_path / "app.ts")], print)
    assert list(read_frames(named, lambda error: messages.append(str(error)))) == []
    assert messages[0].startswith(f"{tmp_path}/app.ts: ")


def test_an_image_with_the_name_of_a_video_is_an_image(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8), "red").save(tmp_path / "a.mp4", "PNG")
    (frame,) = read_frames(expand_sources([str(tmp_path / "a.mp4")], print), print)
    assert frame.timestamp is None
    assert frame.image[0, 0].tolist() == [255, 0, 0]


def frames_of(path: Path, *, ignore_damage: bool = False) -> list[object]:
    def skip(error: Exception) -> None:
        assert ignore_damage, error
        assert "damaged or truncated" in str(error), error

    return list(read_frames(expand_sources([str(path)], skip), skip))


def write_as(path: Path, form: str, codec: str, count: int = 12, group: int = 12) -> Path:
    """Write a video in a format, regardless of the suffix."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=Fraction(25), options={"g": str(group)})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 400_000
        for number in range(count):
            image = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_the_helper_of_other_tests_writes_videos_too(tmp_path: Path) -> None:
    assert is_video_file(write_video(tmp_path / "a.mp4"))
