"""Hostile images are decoded within limits of memory and time, or refused in one line."""

import json
import os
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attendet.data import images
from attendet.data.image_decoding.decoding_memory import decoding_bytes
from attendet.data.images import read_image, read_image_info
from attendet.errors import DataError
from attendet.utils.limits import MAX_IMAGE_BYTES
from tests.data.image_decoding.hostile_files import HOSTILE, png
from tests.helpers.data_sets import write_image

# Prints, for each file, its error (empty if it was read) and the peak of the memory so far in MiB.
PROGRAM = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from attendet.data.images import read_image, read_image_info
from attendet.errors import DataError

def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))

start = peak()
for path in sys.argv[1:]:
    errors = []
    for read in (read_image, read_image_info):
        try:
            read(path)
            errors.append("")
        except DataError as error:
            errors.append(str(error))
    print(json.dumps([errors, peak() - start]), flush=True)
"""


def read_in_child(files: list[Path]) -> dict[str, tuple[list[str], int]]:
    done = subprocess.run(  # noqa: S603 - this interpreter
        [sys.executable, "-c", PROGRAM, *map(str, files)], capture_output=True, text=True, check=True, timeout=240
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    return {file.name: (errors, peak) for file, (errors, peak) in zip(files, results, strict=True)}


def test_hostile_files_stay_within_limits_of_memory(tmp_path: Path) -> None:
    files = [tmp_path / name for name in HOSTILE]
    for file in files:
        file.write_bytes(HOSTILE[file.name])
    for name, (errors, peak) in read_in_child(files).items():
        assert peak < 800, name
        assert errors[0] == errors[1], name
        assert all(
            error.startswith(str(tmp_path)) and "\n" not in error and len(error) < 400 for error in errors if error
        )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tall.png", "decoding the image takes 1,788,000,0.. bytes of memory, and at most 734,003,200 are allowed"),
        ("deep.png", "and at most 734,003,200 are allowed; make it smaller"),
        ("tile.tif", "and at most 734,003,200 are allowed"),
        ("strips.tif", "tag 273 of the TIFF file has more than 1,048,576 values"),
        ("coefficients.jpg", "and at most 734,003,200 are allowed"),
        ("scans.jpg", "the JPEG file has more than 100 scans"),
        ("segments.jpg", "the JPEG file has more than 16 EXIF segments"),
        ("large.webp", "more than 150,000,000 pixels"),
        ("negative.bmp", "more than 150,000,000 pixels"),
        ("tiles.jp2", "and at most 734,003,200 are allowed"),
        ("comment.ppm", "no header of a portable map in its first 65,536 bytes"),
        ("a.psd", "the file is not an image in a supported format"),
        ("a.ico", "the file is not an image in a supported format"),
    ],
)
def test_the_error_names_the_limit(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / name)


def test_a_large_image_within_the_limit_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    rows = zlib.compressobj(1)
    data = b"".join(rows.compress(bytes(1 + 9000)) for _ in range(9000)) + rows.flush()
    whole = png(9000, 9000, 8, 0)
    start = whole.index(b"IDAT") - 4
    content = struct.pack(">I", len(data)) + b"IDAT" + data + struct.pack(">I", zlib.crc32(b"IDAT" + data))
    file.write_bytes(whole[:start] + content + whole[-12:])
    [(errors, peak)] = read_in_child([file]).values()
    assert errors == ["", ""]
    # One byte per pixel in the decoder, and three in the result.
    assert peak < 5 * 9000 * 9000 / 2**20


@pytest.mark.parametrize("options", [{"format": "JPEG"}, {"format": "JPEG", "progressive": True}, {"format": "WEBP"}])
def test_estimates_are_above_the_memory_that_is_taken(options: dict, tmp_path: Path) -> None:
    file = tmp_path / "a"
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((2000, 1500)).save(file, **options)
    with Image.open(file) as image, file.open("rb") as content:
        estimate = decoding_bytes(image, content)
    [(errors, peak)] = read_in_child([file]).values()
    assert errors == ["", ""]
    assert 0.3 * estimate < peak * 2**20 < estimate + 2**25
    assert estimate < MAX_IMAGE_BYTES


def test_threads_share_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_image(tmp_path / "a.png", (200, 100))
    held, peak, lock = [0], [0], threading.Lock()
    monkeypatch.setattr(images, "_BUDGET", images.MemoryBudget(2 * 200 * 100 * 7 + 2 * file.stat().st_size + 3000))
    load = images._load

    def slow_load(*args: object) -> object:
        with lock:
            held[0] += 1
            peak[0] = max(peak[0], held[0])
        time.sleep(0.02)
        with lock:
            held[0] -= 1
        return load(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(images, "_load", slow_load)
    threads = [threading.Thread(target=read_image, args=(file,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert peak[0] == 2


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_pipes_devices_and_folders_are_errors_at_once(suffix: str, tmp_path: Path) -> None:
    pipe, folder, device = (tmp_path / f"{name}.{suffix}" for name in ("pipe", "folder", "device"))
    os.mkfifo(pipe)
    folder.mkdir()
    device.symlink_to("/dev/zero")
    for path in (pipe, folder, device):
        for read in (read_image, read_image_info):
            with pytest.raises(DataError, match="the image must be a regular file"):
                read(path)
