"""Image files are decoded to RGB in display orientation; other files are refused."""

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from attendet.data.images import read_image, read_image_info
from attendet.errors import DataError
from attendet.utils.limits import MAX_IMAGE_PIXELS
from tests.helpers.data_sets import write_image
from tests.helpers.typed_access import not_none

GRADIENT = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)


def rgb(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "webp", "PNG"])
def test_pixels_of_lossless_formats(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{suffix}"
    Image.fromarray(rgb()).save(file, lossless=True)
    np.testing.assert_array_equal(read_image(file), rgb())
    assert (read_image_info(file).width, read_image_info(file).height, read_image_info(file).rotated) == (64, 48, False)


def test_jpeg_is_decoded_as_by_opencv(real_data: Path) -> None:
    for file in (next((real_data / "bccd/JPEGImages").iterdir()), next((real_data / "pear640/images").iterdir())):
        reference = cv2.cvtColor(not_none(cv2.imread(str(file))), cv2.COLOR_BGR2RGB).astype(int)
        # Both decode with libjpeg-turbo, in versions that round differently.
        assert np.abs(read_image(file).astype(int) - reference).max() <= 2


def test_gray_palette_alpha_and_bilevel_images(tmp_path: Path) -> None:
    gray = rgb()[..., 0]
    file = tmp_path / "a.png"
    Image.fromarray(gray).save(file)
    np.testing.assert_array_equal(read_image(file), np.stack([gray] * 3, axis=-1))
    Image.fromarray(np.dstack([rgb(), gray])).save(file)
    np.testing.assert_array_equal(read_image(file), rgb())
    Image.fromarray(np.dstack([gray, gray])).save(file)
    np.testing.assert_array_equal(read_image(file)[..., 1], gray)
    Image.fromarray(gray > 127).save(file)
    np.testing.assert_array_equal(read_image(file)[..., 2], np.where(gray > 127, 255, 0))
    palette = Image.fromarray(gray).quantize(16)
    palette.save(file, transparency=b"\x00\x80\xff")
    np.testing.assert_array_equal(read_image(file), np.array(palette.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_images_are_reduced_to_the_upper_8_bits(suffix: str, tmp_path: Path) -> None:
    file = tmp_path / f"a.{suffix}"
    cv2.imwrite(str(file), GRADIENT)
    np.testing.assert_array_equal(read_image(file), np.stack([GRADIENT // 256] * 3, axis=-1))
    colors = np.dstack([GRADIENT, GRADIENT[::-1], GRADIENT[:, ::-1]])
    if suffix == "png":
        cv2.imwrite(str(file), colors[..., ::-1])
        np.testing.assert_array_equal(read_image(file), colors // 256)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(file, quality=95)
    assert read_image(file)[8, 8].tolist() == pytest.approx([255, 0, 0], abs=3)


def test_images_of_floating_point_numbers_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.tif"
    Image.fromarray(np.ones((4, 4), np.float32)).save(file)
    for read in (read_image, read_image_info):
        with pytest.raises(DataError, match=r"a\.tif.*32 bits per channel"):
            read(file)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied_and_reported(suffix: str, orientation: int, tmp_path: Path) -> None:
    stored = Image.fromarray(np.kron(rgb()[:6, :8], np.ones((8, 8, 1), np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = tmp_path / f"a.{suffix}"
    stored.save(file, exif=exif)
    with Image.open(file) as image:
        image.load()
        rotated = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_image(file), rotated)
    info = read_image_info(file)
    assert (info.height, info.width) == rotated.shape[:2] == ((48, 64) if orientation < 5 else (64, 48))
    assert info.rotated == (orientation > 1)


def test_an_image_with_a_damaged_exif_block_can_be_read(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    Image.fromarray(rgb()).save(file, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert read_image(file).shape == (48, 64, 3)
    assert not read_image_info(file).rotated


@pytest.mark.parametrize("suffix", ["jpg", "png", "bmp", "tif", "webp"])
def test_truncated_files_are_errors(suffix: str, tmp_path: Path) -> None:
    content = write_image(tmp_path / f"whole.{suffix}").read_bytes()
    file = tmp_path / f"a.{suffix}"
    for fraction in (0, 0.1, 0.5, 0.9):
        file.write_bytes(content[: int(len(content) * fraction)])
        for read in (read_image, read_image_info):
            with pytest.raises(DataError, match=rf"a\.{suffix}: "):
                read(file)


def test_a_truncated_progressive_jpeg_is_an_error(tmp_path: Path) -> None:
    stream = io.BytesIO()
    Image.fromarray(rgb()).save(stream, "JPEG", progressive=True)
    file = tmp_path / "a.jpg"
    file.write_bytes(stream.getvalue()[: stream.tell() // 2])
    with pytest.raises(DataError, match="truncated"):
        read_image_info(file)


def png_of(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [12_300, 14_000, 100_000])
def test_decompression_bombs_are_refused_before_they_expand(side: int, tmp_path: Path) -> None:
    assert side * side > MAX_IMAGE_PIXELS
    file = tmp_path / "a.png"
    file.write_bytes(png_of(side, side))
    for read in (read_image, read_image_info):
        with pytest.raises(DataError, match="more than 150,000,000 pixels"):
            read(file)


def test_files_that_are_not_images_are_errors(tmp_path: Path) -> None:
    for name, content in {
        "a.jpg": b"hello",
        "a.png": b"",
        "a.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9",
    }.items():
        file = tmp_path / name
        file.write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: the file is not an image in a supported format"):
            read_image(file)
    with pytest.raises(DataError, match="the image must be a regular file, got a folder, pipe, or device"):
        read_image_info(tmp_path)
    with pytest.raises(DataError, match="image file not found"):
        read_image(tmp_path / "absent.jpg")


def test_equal_files_have_equal_digests(tmp_path: Path) -> None:
    a, b, c = (write_image(tmp_path / f"{name}.png", seed=seed) for name, seed in [("a", 1), ("b", 1), ("c", 2)])
    assert read_image_info(a) == read_image_info(b)
    assert read_image_info(a).digest != read_image_info(c).digest


def test_only_warnings_of_pillow_are_suppressed_with_many_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pillow warns about images with more pixels, and refuses images with twice as many.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    file = tmp_path / "a.png"
    Image.new("1", (150, 100)).save(file)
    small = write_image(tmp_path / "b.png")
    before = list(warnings.filters)
    threads = [threading.Thread(target=read_image, args=(small,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    info = read_image_info(file)
    for thread in threads:
        thread.join()
    assert (info.width, info.height) == (150, 100)
    assert warnings.filters == before
    with pytest.warns(UserWarning, match="from another module"):
        warnings.warn("from another module", UserWarning, stacklevel=1)
