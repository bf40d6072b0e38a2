"""JPEG files without an end marker are read if they have their pixels; truncated files are errors."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from attendet.data.images import decode_image, read_image, read_image_info
from attendet.errors import DataError
from tests.helpers.typed_access import not_none

ENCODINGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "without subsampling": {"subsampling": 0},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_blocks": 1},
    "progressive with restart markers": {"progressive": True, "restart_marker_rows": 1},
}


def jpeg(mode: str = "RGB", size: tuple[int, int] = (96, 80), **options: Any) -> bytes:
    """Return a JPEG file of a smooth random image."""
    width, height = size
    small = np.random.default_rng(0).integers(0, 255, (height // 8, width // 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize(size).convert(mode).save(stream, "JPEG", **options)
    assert stream.getvalue().endswith(b"\xff\xd9")
    return stream.getvalue()


def pixels(content: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(content)) as image:
        return np.array(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("ending", ["", "ff", "zeros", "text"])
def test_only_the_end_marker_is_missing(mode: str, encoding: str, ending: str, tmp_path: Path) -> None:
    whole = jpeg(mode, **ENCODINGS[encoding])
    file = tmp_path / "a.jpg"
    file.write_bytes(whole[:-2] + {"": b"", "ff": b"\xff", "zeros": bytes(5000), "text": b"<html>hello" * 40}[ending])
    decoded = decode_image(file)
    assert decoded.unfinished
    np.testing.assert_array_equal(decoded.pixels, pixels(whole))
    info = read_image_info(file)
    assert (info.width, info.height, info.unfinished) == (96, 80, True)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("missing", [3, 6, 10])
def test_the_last_bytes_are_missing(encoding: str, missing: int, tmp_path: Path) -> None:
    whole = jpeg(**ENCODINGS[encoding])
    file = tmp_path / "a.jpg"
    file.write_bytes(whole[:-missing])
    decoded = decode_image(file)
    assert decoded.unfinished
    differs = (decoded.pixels != pixels(whole)).any(axis=2)
    # The last block has 16x16 pixels, and its colors reach over its border by a pixel.
    assert differs.sum() <= 18 * 18
    assert not differs[:-17].any()


def test_the_pixels_equal_the_pixels_of_opencv(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.jpg"
    for missing in (1, 2, 5):
        file.write_bytes(jpeg()[:-missing])
        reference = cv2.cvtColor(not_none(cv2.imread(str(file))), cv2.COLOR_BGR2RGB).astype(int)
        assert np.abs(read_image(file).astype(int) - reference).max() <= 2
    capfd.readouterr()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("fraction", [0.3, 0.5, 0.75, 0.9])
def test_truncated_files_are_errors(mode: str, encoding: str, fraction: float, tmp_path: Path) -> None:
    whole = jpeg(mode, **ENCODINGS[encoding])
    file = tmp_path / "a.jpg"
    half = whole[: int(fraction * len(whole))]
    for content in (half, half + bytes(4000)):
        file.write_bytes(content)
        for read in (read_image, read_image_info):
            with pytest.raises(DataError, match=r"a\.jpg: the image cannot be decoded: the file is truncated"):
                read(file)


@pytest.mark.parametrize("encoding", ["baseline", "restart markers"])
def test_a_file_that_ends_between_two_blocks_is_truncated(encoding: str, tmp_path: Path) -> None:
    whole = jpeg(**ENCODINGS[encoding])
    file = tmp_path / "a.jpg"
    accepted = 0
    for end in range(len(whole) // 2, len(whole) * 2 // 3):
        file.write_bytes(whole[:end])
        try:
            read_image(file)
        except DataError:
            continue
        accepted += 1
    assert accepted == 0


def test_a_progressive_file_that_ends_between_two_scans_is_truncated(tmp_path: Path) -> None:
    whole = jpeg(progressive=True)
    scans = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    file = tmp_path / "a.jpg"
    assert len(scans) > 5
    for scan in scans:
        # Tables come between the data of two scans.
        for end in (scan, whole.rindex(b"\xff\xc4", 0, scan)):
            file.write_bytes(whole[:end])
            with pytest.raises(DataError):
                read_image(file)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_an_unfinished_file_is_rotated(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole = jpeg(exif=exif)
    file = tmp_path / "a.jpg"
    file.write_bytes(whole[:-2])
    np.testing.assert_array_equal(read_image(file), pixels(whole))
    info = read_image_info(file)
    assert (info.height, info.width) == pixels(whole).shape[:2]
    assert info.rotated
    assert info.unfinished


def test_a_finished_file_with_data_after_its_end_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(jpeg() + b"a comment of a camera" * 100)
    np.testing.assert_array_equal(read_image(file), pixels(jpeg()))
    assert not read_image_info(file).unfinished
    assert not decode_image(file).unfinished


def test_an_image_of_one_block_must_be_whole(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).save(stream, "JPEG", quality=100)
    whole = stream.getvalue()
    file = tmp_path / "a.jpg"
    file.write_bytes(whole[:-2])
    np.testing.assert_array_equal(read_image(file), pixels(whole))
    file.write_bytes(whole[:-100])
    with pytest.raises(DataError, match="truncated"):
        read_image(file)
