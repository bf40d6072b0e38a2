"""Ids of a COCO file that were chosen to have one hash, and other numbers that JSON allows, take no long time."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from attendet.data.formats.coco import read_coco
from attendet.errors import DataError

MODULUS = 2**61 - 1
READ = """
import resource, sys
from pathlib import Path
from attendet.data.formats.coco import read_coco
from attendet.errors import DataError
used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
resource.setrlimit(resource.RLIMIT_CPU, (used + 20, used + 20))
try:
    read_coco(Path(sys.argv[1]))
except DataError as error:
    print(error)
"""


def write(path: Path, image_ids: Sequence[object], category_ids: Sequence[object]) -> Path:
    images = [{"id": image_id, "file_name": f"{number}.jpg"} for number, image_id in enumerate(image_ids)]
    categories = [{"id": category_id, "name": f"c{number}"} for number, category_id in enumerate(category_ids)]
    annotations = [{"id": 1, "image_id": image_ids[0], "category_id": category_ids[0], "bbox": [1, 1, 5, 5]}]
    path.write_text(json.dumps({"images": images, "categories": categories, "annotations": annotations}))
    return path


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits on the time of a process")
@pytest.mark.parametrize("of_images", [True, False])
def test_colliding_ids_are_refused_in_time(tmp_path: Path, of_images: bool) -> None:
    # Comparing all ids with each other takes minutes.
    colliding: list[object] = [7 + MODULUS * factor for factor in range(60_000)]
    path = write(tmp_path / "a.json", *((colliding, [1]) if of_images else ([1], colliding)))
    command = [sys.executable, "-c", READ, str(path)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)  # noqa: S603
    assert process.stdout == f"{path}: many ids are equal modulo 2**61 - 1; use ids below 2**60\n"


def test_large_ids_that_do_not_collide_are_read(tmp_path: Path) -> None:
    ids: list[object] = [2**63 + 977 * number for number in range(1_000)]
    coco = read_coco(write(tmp_path / "a.json", ids, [-1, -2, "3"]))
    assert coco.image_ids == tuple(ids)
    assert [len(annotations) for annotations in coco.annotations][:2] == [1, 0]


@pytest.mark.parametrize("number", ["1e999", "NaN", "9" * 5000, "[" * 100_000, "1.5", "true"])
def test_ids_that_are_not_integers(tmp_path: Path, number: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"images": [{{"id": {number}, "file_name": "a.jpg"}}]}}')
    try:
        messages = [str(problem) for problem in read_coco(path).problems]
    except DataError as error:
        messages = [str(error)]
    assert messages
    assert max(map(len, messages)) < 400
