"""Videos are read and written as OpenCV and PyAV read them."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from attendet.errors import DataError, OutputError
from attendet.prediction.video import read_video
from attendet.prediction.video_file import VideoFile
from tests.helpers.calibrated_detector import photographs
from tests.helpers.videos import read_with_opencv, write_video


@pytest.mark.parametrize(
    ("name", "codec", "rate"),
    [
        ("a.mp4", "libx264", Fraction(30000, 1001)),
        ("a.avi", "mpeg4", Fraction(25)),
        ("a.mkv", "libx264", Fraction(12)),
        ("a.webm", "libvpx-vp9", Fraction(24)),
    ],
)
def test_every_frame_is_read(tmp_path: Path, name: str, codec: str, rate: Fraction) -> None:
    expected, frames_per_second = read_with_opencv(write_video(tmp_path / name, codec=codec, rate=rate))
    read = list(read_video(str(tmp_path / name)))
    assert len(read) == len(expected) == 12
    assert [timestamp.number for timestamp, _ in read] == list(range(1, 13))
    assert [timestamp.tick for timestamp, _ in read] == list(range(12))
    assert float(read[0][0].rate) == pytest.approx(frames_per_second)
    for (_, image), other in zip(read, expected, strict=True):
        assert np.abs(image.astype(int) - other).mean() < 3


def test_a_stride_of_three_reads_every_third_frame_at_a_third_of_the_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    every = list(read_video(str(tmp_path / "a.mp4")))
    third = list(read_video(str(tmp_path / "a.mp4"), stride=3))
    assert [timestamp.number for timestamp, _ in third] == [1, 4, 7, 10]
    assert [timestamp.tick for timestamp, _ in third] == [0, 1, 2, 3]
    assert third[0][0].rate == Fraction(25, 3)
    assert all((image == every[timestamp.number - 1][1]).all() for timestamp, image in third)


def test_frames_keep_their_times_at_a_variable_rate(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", count=4, ticks=[0, 1, 5, 11])
    read = list(read_video(str(tmp_path / "a.mp4")))
    times = [timestamp.tick / timestamp.rate for timestamp, _ in read]
    assert [float(time) for time in times] == pytest.approx([0, 0.04, 0.2, 0.44], abs=0.5 / float(read[0][0].rate))


def test_frames_are_rotated_as_the_video_asks(tmp_path: Path) -> None:
    content = write_video(tmp_path / "a.mp4").read_bytes()
    # The matrix in the track's header defines the rotation: the identity becomes a quarter turn.
    at = content.index(b"tkhd") + 4 + 40
    one = (1 << 16).to_bytes(4, "big", signed=True)
    minus_one = (-(1 << 16)).to_bytes(4, "big", signed=True)
    zero, last = bytes(4), (1 << 30).to_bytes(4, "big")
    assert content[at : at + 36] == one + zero * 3 + one + zero * 3 + last
    turned = zero + one + zero + minus_one + zero * 4 + last
    (tmp_path / "a.mp4").write_bytes(content[:at] + turned + content[at + 36 :])
    expected, _ = read_with_opencv(tmp_path / "a.mp4")
    _, image = next(read_video(str(tmp_path / "a.mp4")))
    assert image.shape == expected[0].shape == (160, 96, 3)
    assert np.abs(image.astype(int) - expected[0]).mean() < 3


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "libx264"), ("a.avi", "mpeg4")])
def test_a_truncated_video_yields_its_frames_and_then_an_error(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, count=40, codec=codec)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    frames = read_video(str(path))
    first = [next(frames)[0].number for _ in range(6)]
    assert first == [1, 2, 3, 4, 5, 6]
    with pytest.raises(DataError, match=r"ends early, after|is damaged or truncated"):
        assert len(list(frames)) < 34


def test_files_that_are_not_videos_are_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4")
    (tmp_path / "list.mp4").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{tmp_path}/a.mp4\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "concat.mp4").write_text(f"ffconcat version 1.0\nfile {tmp_path}/a.mp4\n")
    (tmp_path / "empty.mp4").touch()
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    for name in ("list.mp4", "concat.mp4", "empty.mp4"):
        with pytest.raises(DataError, match=f"{name}: the file cannot be opened as a video"):
            next(read_video(str(tmp_path / name)))
    with pytest.raises(DataError, match=r"missing.mp4: the file cannot be read: No such file"):
        next(read_video(str(tmp_path / "missing.mp4")))
    with pytest.raises(DataError, match="the file has no video stream"):
        next(read_video(str(tmp_path / "sound.mp4")))


def test_a_video_without_a_decoder_is_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", codec="mpeg4")
    content = path.read_bytes()
    assert content.count(b"V_MPEG4/ISO/ASP") == 1
    path.write_bytes(content.replace(b"V_MPEG4/ISO/ASP", b"V_UNKNOWN/CODEC"))
    with pytest.raises(DataError, match=r"a\.mkv: no decoder for the video is known; save it as H\.264"):
        next(read_video(str(path)))


@pytest.mark.parametrize("size", [(160, 96), (161, 97), (2, 2), (1, 1)])
def test_a_written_video_has_the_right_size_rate_and_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    width, height = size
    rate = Fraction(30000, 1001)
    images = [photographs()[1][:height, 5 * number : 5 * number + width] for number in range(8)]
    with VideoFile(tmp_path / "a.mp4", rate, width, height) as video:
        for number, image in enumerate(images):
            video.write(image, number)
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.streams.video[0].average_rate == rate
        assert container.streams.video[0].codec_context.name == "h264"
    read, frames_per_second = read_with_opencv(tmp_path / "a.mp4")
    assert frames_per_second == pytest.approx(float(rate))
    assert len(read) == len(images)
    if width > 2:
        for image, expected in zip(read, images, strict=True):
            assert image.shape == (height, width, 3)
            assert np.abs(image.astype(int) - expected).mean() < 8


def test_a_video_in_a_missing_folder_is_an_output_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="the video cannot be written: No such file"),
        VideoFile(tmp_path / "nowhere" / "a.mp4", Fraction(25), 16, 16) as video,
    ):
        video.write(np.zeros((16, 16, 3), np.uint8), 0)
