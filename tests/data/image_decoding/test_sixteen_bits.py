"""Images with 16 bits per channel are scaled by the bits that they use."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from attendet import data
from attendet.data.images import read_image, read_image_info
from attendet.data.remarks import bit_depth_remarks, image_remarks
from attendet.errors import DataError, OptionError
from tests.helpers.data_sets import write_data_file

FORMATS = ["png", "tif"]


def values(bits: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Return random values of this many bits; the largest is among them."""
    shape = (48, 64) if channels == 1 else (48, 64, channels)
    made = np.random.default_rng(seed).integers(0, 2**bits, shape).astype(np.uint16)
    made[0, 0] = 2**bits - 1
    return made


def write(file: Path, array: np.ndarray) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    # OpenCV writes blue first.
    assert cv2.imwrite(str(file), array if array.ndim == 2 else array[..., [2, 1, 0, 3][: array.shape[2]]])
    return file


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_upper_bits_are_kept(suffix: str, channels: int, bits: int, tmp_path: Path) -> None:
    stored = values(bits, channels)
    file = write(tmp_path / f"a.{suffix}", stored)
    colors = np.stack([stored] * 3, axis=-1) if channels == 1 else stored[..., :3]
    np.testing.assert_array_equal(read_image(file, bits), colors // 2 ** (bits - 8))
    np.testing.assert_array_equal(read_image(file), colors // 256)
    np.testing.assert_array_equal(read_image(file, 8), np.minimum(colors, 255))
    assert read_image_info(file).largest == 2**bits - 1


def map_text(stored: np.ndarray) -> bytes:
    return b"%s 64 48 65535 %s" % (b"P2" if stored.ndim == 2 else b"P3", b" ".join(b"%d" % v for v in stored.ravel()))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("is_text", [False, True])
def test_portable_maps_whose_white_is_65535(channels: int, is_text: bool, tmp_path: Path) -> None:
    stored = values(12, channels)
    file = tmp_path / "a.pnm"
    if is_text:
        file.write_bytes(map_text(stored))
    else:
        write(file.with_suffix(".pgm" if channels == 1 else ".ppm"), stored).rename(file)
    colors = np.stack([stored] * 3, axis=-1) if channels == 1 else stored
    np.testing.assert_array_equal(read_image(file, 12), colors // 16)
    np.testing.assert_array_equal(read_image(file), colors // 256)
    assert read_image_info(file).largest == 4095


def test_portable_maps_with_another_white_are_scaled_by_it(tmp_path: Path) -> None:
    file = tmp_path / "a.pgm"
    file.write_bytes(b"P5 64 48 4095\n" + values(12).astype(">u2").tobytes())
    np.testing.assert_array_equal(read_image(file, 12), read_image(file))
    assert (read_image(file).max(), read_image_info(file).largest) == (255, None)


def test_gray_with_alpha(tmp_path: Path) -> None:
    gray = values(12)
    rows = np.stack([gray, np.full_like(gray, 65_535)], axis=-1).astype(">u2").reshape(48, -1)
    header = struct.pack(">IIBBBBB", 64, 48, 16, 4, 0, 0, 0)
    chunks = [
        (b"IHDR", header),
        (b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))),
        (b"IEND", b""),
    ]
    file = tmp_path / "a.png"
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
    np.testing.assert_array_equal(read_image(file, 12)[..., 1], gray // 16)
    np.testing.assert_array_equal(read_image(file)[..., 2], gray // 256)
    assert read_image_info(file).largest == 4095


@pytest.mark.parametrize("compression", [None, "tiff_deflate", "tiff_lzw"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_the_order_of_bytes_and_the_compression_do_not_matter(
    compression: str | None, order: str, tmp_path: Path
) -> None:
    stored = values(12)
    file = tmp_path / "a.tif"
    Image.frombytes("I;16", (64, 48), stored.astype("<u2").tobytes()).save(file, compression=compression)
    if order == ">":
        assert cv2.imwrite(str(file), stored)
    assert read_image(file, 12)[..., 0].tolist() == (stored // 16).tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_rotation_is_applied(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = values(12)
    dark, plain = tmp_path / "a.png", tmp_path / "b.png"
    Image.frombytes("I;16", (64, 48), stored.tobytes()).save(dark, exif=exif)
    Image.fromarray((stored // 16).astype(np.uint8)).save(plain, exif=exif)
    np.testing.assert_array_equal(read_image(dark, 12), read_image(plain))


def test_8_bits_per_channel_have_no_bit_depth(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
    for name in ("a.png", "a.tif", "a.bmp"):
        file = write(tmp_path / name, pixels)
        np.testing.assert_array_equal(read_image(file, 12), pixels)
        assert read_image_info(file).largest is None


def data_set(folder: Path, train: np.ndarray, val: np.ndarray, text: str = "") -> Path:
    """Write one image for each split, with a label, and return the data.yaml."""
    for split, array in (("train", train), ("val", val)):
        write(folder / f"images/{split}/{split}.png", array)
        label = folder / f"labels/{split}/{split}.txt"
        label.parent.mkdir(parents=True)
        label.write_text("0 0.5 0.5 0.5 0.5")
    return write_data_file(folder, f"train: images/train\nval: images/val\nnames: [cell]\n{text}")


@pytest.mark.parametrize(
    ("text", "argument", "expected"),
    [
        ("", None, 16),
        ("bit_depth: 12", None, 12),
        ("bit_depth: auto", None, 14),
        ("bit_depth: 12", 10, 10),
        ("bit_depth: 12", "auto", 14),
    ],
)
def test_the_bit_depth_belongs_to_the_whole_set(text: str, argument: int | None, expected: int, tmp_path: Path) -> None:
    file = data_set(tmp_path, values(10), values(13), text)
    for split in data.open(file, bit_depth=argument).read_all(cache=False):
        assert split.records.bit_depth == split.records[0].bit_depth == expected
        assert split.records[:1].bit_depth == data.drop_invalid(split).records.bit_depth == expected


def test_auto_is_16_bits_without_images_of_16_bits(tmp_path: Path) -> None:
    pixels = np.zeros((48, 64, 3), np.uint8)
    [train, _] = data.open(data_set(tmp_path, pixels, pixels), bit_depth="auto").read_all(cache=False)
    assert train.records.bit_depth == 16
    assert bit_depth_remarks([train]) == ()


@pytest.mark.parametrize("value", ["7", "17", "12.5", "true", "[12]", "twelve", "'12'"])
def test_another_bit_depth_is_an_error_at_its_line(value: str, tmp_path: Path) -> None:
    file = data_set(tmp_path, values(12), values(12), f"bit_depth: {value}")
    with pytest.raises(DataError, match=r"data\.yaml:4:12: `bit_depth` must be auto, or 8 to 16 bits, got"):
        data.open(file)


def test_another_bit_depth_in_python_is_an_error(tmp_path: Path) -> None:
    file = data_set(tmp_path, values(12), values(12))
    with pytest.raises(OptionError, match="`bit_depth` must be auto, or 8 to 16 bits, got 7"):
        data.open(file, bit_depth=7)


@pytest.mark.parametrize(
    ("bits", "depth", "remark"),
    [
        (12, 16, "no value above 4,095 of 65,535 and look like 12 bits: they become dark; set `bit_depth: 12`"),
        (8, 16, "no value above 255 of 65,535 and look like 8 bits"),
        (10, 12, "no value above 1,023 of 4,095 and look like 10 bits"),
        (14, 12, "values up to 16,383, but white is 4,095 with 12 bits; set `bit_depth: 14`"),
        (15, 16, None),
        (16, 16, None),
        (12, 12, None),
        (12, "auto", None),
    ],
)
def test_dark_and_white_images_are_named(bits: int, depth: int, remark: str | None, tmp_path: Path) -> None:
    source = data.open(data_set(tmp_path, values(bits), values(bits)), bit_depth=depth)
    report = data.check(source, cache=False)
    [train, _] = source.read_all(cache=False)
    about_bits = [each for each in report.remarks if "16 bits per channel" in each]
    assert about_bits == list(image_remarks(train))
    assert [remark in each for each in about_bits if remark] == ([True] if remark else [])


def test_a_dark_split_does_not_change_the_bits_of_an_automatic_set(tmp_path: Path) -> None:
    [train, val] = data.open(data_set(tmp_path, values(9), values(14)), bit_depth="auto").read_all(cache=False)
    assert (bit_depth_remarks([train]), image_remarks(val)) == ((), ())
    assert "nothing above 511 of 16,383, looks like 10 bits" in image_remarks(train)[0]


@pytest.mark.parametrize("text", ["", "bit_depth: 12"])
def test_conversion_keeps_the_bit_depth(text: str, tmp_path: Path) -> None:
    file = data_set(tmp_path / "old", values(12), values(12), text)
    for name in ("coco", "voc", "yolo"):
        data.convert(file, to=name, out=tmp_path / name)
        assert data.open(tmp_path / name).bit_depth == data.open(file).bit_depth


def test_dark_images_among_bright_ones_are_counted(tmp_path: Path) -> None:
    file = data_set(tmp_path, values(16), values(16))
    for number, bits in enumerate((8, 12, 14, 15)):
        write(tmp_path / f"images/train/{number}.tif", values(bits))
        (tmp_path / f"labels/train/{number}.txt").write_text("0 0.5 0.5 0.5 0.5")
    report = data.check(file, cache=False)
    [dark] = [problem for problem in report.problems if problem.kind.name == "DARK_IMAGE"]
    assert (dark.count, dark.kind.is_error) == (3, False)
    assert [example.detail for example in dark.examples] == [
        "nothing above 255 of 65,535, looks like 8 bits",
        "nothing above 4,095 of 65,535, looks like 12 bits",
        "nothing above 16,383 of 65,535, looks like 14 bits",
    ]
    [remark] = image_remarks(data.open(file).read("train", cache=False))
    assert remark.startswith("3 images with 16 bits per channel nearly black (first: ")


def test_the_bit_depth_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    file = data_set(tmp_path, values(12), values(12))
    prints = {data.open(file, bit_depth=depth).read("train", cache=False).fingerprint() for depth in (None, 16, 12, 14)}
    assert len(prints) == 3


def test_unfinished_jpeg_files_are_a_warning_of_check(tmp_path: Path) -> None:
    file = data_set(tmp_path, values(8), values(8))
    for number in range(3):
        image = tmp_path / f"images/train/{number}.jpg"
        Image.fromarray(np.full((48, 64, 3), 50 * number, np.uint8)).save(image)
        image.write_bytes(image.read_bytes()[:-2] if number else image.read_bytes())
        (tmp_path / f"labels/train/{number}.txt").write_text("0 0.5 0.5 0.5 0.5")
    report = data.check(file, cache=False)
    counts = {problem.kind.value: (problem.count, problem.kind.is_error) for problem in report.problems}
    assert counts["JPEG file without an end marker"] == (2, False)
    train = data.open(file).read("train", cache=False)
    assert len(train.records) == 4
    assert "2 JPEG files without an end marker" in image_remarks(train)[0]
    assert str(tmp_path / "images/train/1.jpg") in image_remarks(train)[0]
