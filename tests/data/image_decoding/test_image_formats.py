"""The content of a file decides its format, and formats of rare kinds are decoded."""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, features

from attendet.data.image_decoding.image_formats import IMAGE_SUFFIXES
from attendet.data.images import is_image, read_image, read_image_info
from attendet.errors import DataError

# A color at each corner: lossy formats keep them.
CORNERS = np.kron(
    np.array([[[200, 30, 40], [30, 180, 40]], [[30, 40, 210], [240, 240, 240]]], np.uint8),
    np.ones((24, 32, 1), np.uint8),
)

SAVED_AS = {
    ".avif": "AVIF",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".j2k": "JPEG2000",
    ".jfif": "JPEG",
    ".jp2": "JPEG2000",
    ".jpe": "JPEG",
    ".mpo": "MPO",
    ".png": "PNG",
    ".ppm": "PPM",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}


def encoded(format_name: str) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(CORNERS)
    if format_name == "MPO":
        image.save(stream, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))])
    else:
        image.save(stream, format_name)
    return stream.getvalue()


@pytest.mark.parametrize("suffix", SAVED_AS)
@pytest.mark.parametrize("name", ["own", "", ".jpg", ".png", ".txt", ".JPEG"])
def test_the_content_decides_the_format(suffix: str, name: str, tmp_path: Path) -> None:
    file = tmp_path / f"a{suffix if name == 'own' else name}"
    file.write_bytes(encoded(SAVED_AS[suffix]))
    pixels = read_image(file).astype(int)
    assert np.abs(pixels[::47, ::63] - CORNERS[::47, ::63].astype(int)).max() <= 16
    info = read_image_info(file)
    assert (info.width, info.height) == (64, 48)


@pytest.mark.parametrize("suffix", [*SAVED_AS, ".heic", ".heif", ".pbm", ".pgm", ".tif", ".dib"])
def test_suffixes_select_files_in_any_case(suffix: str) -> None:
    assert is_image(f"a{suffix}")
    assert is_image(f"A{suffix.upper()}")
    assert suffix in IMAGE_SUFFIXES


@pytest.mark.parametrize("suffix", SAVED_AS)
def test_truncated_files_are_errors(suffix: str, tmp_path: Path) -> None:
    content = encoded(SAVED_AS[suffix])
    file = tmp_path / f"a{suffix}"
    for end in (0, 1, 11, len(content) // 4, len(content) // 2):
        file.write_bytes(content[:end])
        for read in (read_image, read_image_info):
            with pytest.raises(DataError, match=rf"a\{suffix}: "):
                read(file)


def test_avif_without_a_decoder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jpg"
    file.write_bytes(encoded("AVIF"))
    monkeypatch.setattr(features, "check", lambda _: False)
    with pytest.raises(DataError, match=r"no decoder for AVIF images; pip install --upgrade pillow"):
        read_image(file)


HEIC = b"\0\0\0\x1cftypheic\0\0\0\0mif1heicmiaf" + bytes(100)


def test_heif_without_a_decoder_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "IMG_1.HEIC"
    file.write_bytes(HEIC)
    # None makes an import fail.
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DataError, match=r"need the package pillow-heif; pip install pillow-heif, or convert"):
        read_image(file)


@pytest.fixture
def heif_decoder(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A decoder of HEIF that shows every file in one color."""

    class OneColor(Image.Image):
        pass

    def open_heif(_file: object, _name: object) -> Image.Image:
        image = Image.new("RGB", (8, 6), (10, 20, 30))
        image.format = "HEIF"
        return image

    module = ModuleType("pillow_heif")
    module.register_heif_opener = lambda: Image.register_open("HEIF", open_heif, lambda prefix: prefix[8:12] == b"heic")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    yield
    Image.OPEN.pop("HEIF", None)
    Image.ID.remove("HEIF")


@pytest.mark.usefixtures("heif_decoder")
def test_heif_is_read_by_a_decoder_that_the_user_installed(tmp_path: Path) -> None:
    file = tmp_path / "IMG_1.jpg"
    file.write_bytes(HEIC)
    assert read_image(file)[0, 0].tolist() == [10, 20, 30]


def portable_map(kind: str, white: int, values: np.ndarray) -> bytes:
    height, width = values.shape[:2]
    header = f"{kind}\n# a comment\n{width} {height}\n{white}\n".encode()
    if kind in ("P2", "P3"):
        return header + b"# another comment\n" + b"\n".join(b" ".join(b"%d" % v for v in row.ravel()) for row in values)
    return header + values.astype(np.uint8 if white < 256 else ">u2").tobytes()


@pytest.mark.parametrize("white", [1, 15, 255, 1000, 4095, 65535])
@pytest.mark.parametrize("kind", ["P2", "P3", "P5", "P6"])
def test_portable_maps_state_the_value_of_white(kind: str, white: int, tmp_path: Path) -> None:
    channels = (3,) if kind in ("P3", "P6") else ()
    values = np.random.default_rng(0).integers(0, white + 1, (6, 8, *channels))
    file = tmp_path / "a.pnm"
    file.write_bytes(portable_map(kind, white, values))
    expected = values * 255 / white
    pixels = read_image(file).astype(float)
    assert np.abs(pixels - (expected if channels else expected[..., None])).max() < 1
    file.write_bytes(portable_map(kind, white, values)[:-20])
    with pytest.raises(DataError, match="truncated"):
        read_image(file)


def test_bitmaps_of_text_are_read(tmp_path: Path) -> None:
    file = tmp_path / "a.pbm"
    file.write_bytes(b"P1 3 2\n0 1 0\n1 0 1\n")
    assert read_image(file)[..., 0].tolist() == [[255, 0, 255], [0, 255, 0]]


def test_jpeg_2000_with_12_bits_is_scaled(tmp_path: Path) -> None:
    file = tmp_path / "a.jp2"
    values = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    Image.fromarray(values).save(file, "JPEG2000")
    assert np.abs(read_image(file)[..., 0].astype(int) - values // 256).max() <= 1


def raw_camera_file(tag: int, value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (16, 12)).save(stream, "TIFF", tiffinfo={tag: value})
    return stream.getvalue()


def test_raw_images_of_cameras_are_refused(tmp_path: Path) -> None:
    # A DNG file has a version, and other raw files start with a reduced image.
    for name, content in {"a.dng": raw_camera_file(50706, 1), "b.tif": raw_camera_file(254, 1)}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match="raw images of cameras are not supported; export it as JPEG, PNG, or TIFF"):
            read_image(tmp_path / name)
