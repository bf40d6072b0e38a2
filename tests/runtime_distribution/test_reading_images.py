"""Image files are read as by attendet, or refused."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet.data import images
from attendet_runtime.errors import ImageError
from attendet_runtime.images import read_image, to_pixels
from tests.helpers.calibrated_detector import photographs

PHOTOGRAPH = Image.fromarray(photographs()[0]).resize((97, 61))
MODES = {
    "a.jpg": "RGB",
    "gray.jpg": "L",
    "cmyk.jpg": "CMYK",
    "a.png": "RGB",
    "alpha.png": "RGBA",
    "gray alpha.png": "LA",
    "palette.png": "P",
    "bits.png": "1",
    "a.webp": "RGB",
    "a.gif": "P",
    "a.bmp": "RGB",
    "a.tif": "RGB",
    "cmyk.tif": "CMYK",
    "a.ppm": "RGB",
    "a.pgm": "L",
    "a.avif": "RGB",
    "a.jp2": "RGB",
}


@pytest.mark.parametrize(("name", "mode"), MODES.items())
def test_formats_and_modes_are_read_as_by_attendet(name: str, mode: str, tmp_path: Path) -> None:
    PHOTOGRAPH.convert(mode).save(tmp_path / name)
    np.testing.assert_array_equal(read_image(tmp_path / name), images.read_image(tmp_path / name))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_images_are_rotated_as_by_attendet(orientation: int, suffix: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    PHOTOGRAPH.save(path, exif=exif)
    np.testing.assert_array_equal(read_image(path), images.read_image(path))


@pytest.mark.parametrize("bit_depth", [8, 10, 12, 16])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_gray_images_of_16_bits_are_read_as_by_attendet(bit_depth: int, suffix: str, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 2**16, (30, 40), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"a{suffix}")
    expected = images.read_image(tmp_path / f"a{suffix}", bit_depth)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}", bit_depth), expected)


def sixteen_bit_color(path: Path) -> Path:
    """Write a PNG file with 16 bits per color, which Pillow cannot write."""
    import cv2  # noqa: PLC0415 (for this test only)

    values = np.random.default_rng(0).integers(0, 2**16, (30, 40, 3), dtype=np.uint16)
    assert cv2.imwrite(str(path), values)
    return path


def test_color_images_of_16_bits_are_read_as_by_attendet(tmp_path: Path) -> None:
    path = sixteen_bit_color(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(path), images.read_image(path))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_color_images_with_fewer_bits_in_16_are_refused(name: str, tmp_path: Path) -> None:
    path = sixteen_bit_color(tmp_path / name)
    with pytest.raises(ImageError, match="color images of 12 bits in 16 bits need attendet"):
        read_image(path, 12)


def test_images_of_32_bits_are_refused_as_by_attendet(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match="32 bits per channel do not define which value is white"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an image in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image in a supported format"),
        (b"P6 20000 20000 255\n", "cannot be decoded"),
    ],
)
def test_files_that_are_not_images_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=rf"a\.jpg: .*{message}"):
        read_image(tmp_path / "a.jpg")


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PHOTOGRAPH.save(buffer, "PNG")
    (tmp_path / "a.png").write_bytes(buffer.getvalue()[:-3000])
    with pytest.raises(ImageError, match="cannot be decoded"):
        read_image(tmp_path / "a.png")


def test_missing_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    for path, message in [
        (tmp_path / "no.jpg", "image file not found"),
        (tmp_path, "must be a regular file"),
        (tmp_path / "pipe.jpg", "must be a regular file"),
    ]:
        with pytest.raises(ImageError, match=message):
            read_image(path)


@pytest.mark.parametrize("values", [np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), np.uint8)])
def test_arrays_must_be_images(values: np.ndarray) -> None:
    with pytest.raises(ImageError, match="an image must be an array of uint8"):
        to_pixels(values)


def test_pillow_images_with_16_bits_are_refused() -> None:
    with pytest.raises(ImageError, match="8 bits per channel, got the mode I;16"):
        to_pixels(Image.fromarray(np.zeros((4, 4), np.uint16)))
