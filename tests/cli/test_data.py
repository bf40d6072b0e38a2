"""`attendet data`."""

import hashlib
import json
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from tests.helpers.command import CommandResult
from tests.helpers.http_server import QuietHandler, serve


class Files(QuietHandler, SimpleHTTPRequestHandler):
    """Serves the files of a folder."""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """Write a small data set without errors, and return its data.yaml."""
    for split, stems in {"train": "ab", "val": "c"}.items():
        for folder in ("images", "labels"):
            (tmp_path / "set" / folder / split).mkdir(parents=True)
        for stem in stems:
            color = (ord(stem), 0, 0)
            Image.new("RGB", (64, 48), color).save(tmp_path / "set" / "images" / split / f"{stem}.png")
            (tmp_path / "set" / "labels" / split / f"{stem}.txt").write_text("0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.5 1\n")
    file = tmp_path / "set" / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames: [cat, dog]\n")
    return file


@pytest.fixture
def real(real_data: Path, tmp_path: Path) -> Callable[[str], Path]:
    def write(name: str) -> Path:
        described = {
            "bccd": "train: ImageSets/Main/train.txt\nval: ImageSets/Main/val.txt\ntest: ImageSets/Main/test.txt\n"
            "names: [RBC, WBC, Platelets]\n",
            "pear640": "train: train.txt\nval: val.txt\nnames: [pear]\n",
            "fruits_nuts": "train: trainval.json\n",
        }
        file = tmp_path / f"{name}.yaml"
        file.write_text(f"path: {real_data / name}\n{described[name]}")
        return file

    return write


def test_check_of_a_good_set(attendet: Callable[..., CommandResult], good: Path, tmp_path: Path) -> None:
    done = attendet("data", "check", str(good), "--imgsz", "128")
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["images", "2", "1", "3"] in lines
    assert ["dog", "2", "1", "3"] in lines
    # 16x24 pixels and 16x48 pixels, which are twice as large at 128.
    assert ["median", "width", "×", "height", "48×72", "48×72", "48×72"] in lines
    assert "0 errors, 0 warnings" in done.stdout
    assert (tmp_path / "data-check.png").is_file()
    assert "plots: data-check.png" in done.stdout


def test_check_exits_with_1_on_errors_and_names_lines(
    attendet: Callable[..., CommandResult], good: Path, tmp_path: Path
) -> None:
    (good.parent / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 0.25 0.5\nnonsense\n7 0.5 0.5 0.1 0.1\n")
    (good.parent / "images" / "val" / "copy.png").write_bytes((good.parent / "images" / "train" / "b.png").read_bytes())
    done = attendet("data", "check", str(good), "--no-picture")
    assert done.returncode == 1
    assert "labels/train/a.txt:2" in done.stdout
    assert "labels/train/a.txt:3" in done.stdout
    assert "images/val/copy.png (also in train, as images/train/b.png)" in done.stdout
    assert "3 errors, 1 warning\n" in done.stdout
    assert not (tmp_path / "data-check.png").exists()
    report = json.loads(attendet("data", "check", str(good), "--no-picture", "--json").stdout)
    assert {problem["kind"]: problem["count"] for problem in report["problems"]} == {
        "malformed": 1,
        "unknown_class": 1,
        "duplicate_across_splits": 1,
        "missing_labels": 1,
    }
    assert report["picture"] is None
    assert report["format"] == "yolo"


def test_a_foreign_picture_is_not_replaced(attendet: Callable[..., CommandResult], good: Path, tmp_path: Path) -> None:
    (tmp_path / "data-check.png").write_text("mine")
    done = attendet("data", "check", str(good))
    assert (done.returncode, done.stdout) == (2, "")
    assert "the file exists and was not drawn by attendet; name another file with --picture" in done.stderr
    assert attendet("data", "check", str(good), "--picture", "other.png").returncode == 0
    assert attendet("data", "check", str(good), "--picture", "other.png").returncode == 0


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "bccd",
            {"splits": (205, 87, 72), "boxes": (4155, 372, 361), "zero_area": 2, "missing_labels": 0, "sliver": 0},
        ),
        ("pear640", {"splits": (537, 174), "boxes": (8339,), "zero_area": 51, "missing_labels": 14, "sliver": 17}),
        ("fruits_nuts", {"splits": (18,), "boxes": (71, 41, 53), "zero_area": 0, "missing_labels": 0, "sliver": 0}),
    ],
)
def test_check_of_real_sets(
    attendet: Callable[..., CommandResult], real: Callable[[str], Path], name: str, expected: dict[str, object]
) -> None:
    done = attendet("data", "check", str(real(name)), "--json", "--no-picture", "--workers", "1")
    report = json.loads(done.stdout)
    counts = {problem["kind"]: problem["count"] for problem in report["problems"]}
    assert tuple(split["images"] for split in report["splits"].values()) == expected["splits"]
    assert tuple(report["total"]["objects_by_class"]) == expected["boxes"]
    assert {kind: counts.get(kind, 0) for kind in ("zero_area", "missing_labels", "sliver")} == {
        kind: expected[kind] for kind in ("zero_area", "missing_labels", "sliver")
    }
    assert done.returncode == (1 if report["errors"] else 0)


def test_a_converted_data_set_passes_the_check(
    attendet: Callable[..., CommandResult], good: Path, tmp_path: Path
) -> None:
    for to in ("coco", "voc", "yolo"):
        done = attendet("data", "convert", str(good), "--to", to, "--out", to)
        assert done.returncode == 0, done.stderr
        assert f"{to}/data.yaml: 3 images (linked), 6 boxes, 2 classes" in done.stdout
        done = attendet("data", "check", f"{to}/data.yaml", "--no-picture", "--json")
        report = json.loads(done.stdout)
        assert (report["format"], report["names"], report["errors"], report["warnings"]) == (to, ["cat", "dog"], 0, 0)
        assert report["splits"]["val"]["objects_by_class"] == [1, 1]
    assert (tmp_path / "yolo/labels/train/a.txt").read_text() == "0 0.5 0.5 0.25 0.5\n1 0.25 0.5 0.5 1\n"
    done = attendet("data", "convert", str(good), "again", "--to", "coco")
    assert (done.returncode, (tmp_path / "again/data.yaml").is_file()) == (0, True)
    done = attendet("data", "convert", str(good), "--to", "coco", "--out", "yolo")
    assert (done.returncode, done.stderr) == (2, "attendet: yolo: already exists; choose another name\n")


def test_convert_reports_what_could_not_be_converted(attendet: Callable[..., CommandResult], good: Path) -> None:
    (good.parent / "images" / "train" / "b.png").write_bytes(b"nonsense")
    done = attendet("data", "convert", str(good), "--to", "voc", "--out", "out", "--copy")
    assert done.returncode == 1
    assert "2 images (copied), 4 boxes" in done.stdout
    assert "! 1 × image cannot be decoded: not converted" in done.stdout


def test_a_split_that_cannot_be_read_is_a_problem(attendet: Callable[..., CommandResult], good: Path) -> None:
    good.write_text(good.read_text() + "test: ../test/images\n")
    done = attendet("data", "check", str(good), "--no-picture", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1
    assert [(problem["kind"], problem["by_split"]) for problem in report["problems"]] == [
        ("missing_split", {"test": 1})
    ]
    assert {name: split["images"] for name, split in report["splits"].items()} == {"train": 2, "val": 1, "test": 0}
    assert attendet("data", "check", str(good)).returncode == 1
    done = attendet("data", "convert", str(good), "--to", "coco", "--out", "out")
    assert done.returncode == 1
    assert "out/data.yaml: 3 images" in done.stdout
    assert "! 1 × split cannot be read: not converted" in done.stdout
    assert attendet("data", "check", "out", "--no-picture").returncode == 0
    good.write_text("train: nowhere\nval: neither\nnames: [cat, dog]\n")
    done = attendet("data", "check", str(good), "--no-picture")
    assert (done.returncode, done.stdout) == (2, "")
    assert "data.yaml:1:8: file or folder not found: " in done.stderr


def test_the_table_is_printed_before_a_picture_that_cannot_be_written(
    attendet: Callable[..., CommandResult], good: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = attendet("data", "check", str(good), "--picture", "file/check.png")
    assert done.returncode == 2
    assert "0 errors, 0 warnings" in done.stdout
    assert "cannot be written" in done.stderr


@pytest.fixture
def mirror(real_data: Path, tmp_path: Path) -> Iterator[str]:
    """Serve bccd's files as an archive, packed here from the same public files."""
    original = real_data / "bccd"
    folder = tmp_path / "mirror"
    folder.mkdir()
    with ZipFile(folder / "bccd.zip", "w") as archive:
        for path in original.rglob("*.*"):
            archive.write(path, f"BCCD_Dataset-135df02/BCCD/{path.relative_to(original)}")
        archive.write(original / "LICENSE", "BCCD_Dataset-135df02/LICENSE")
    with serve(partial(Files, directory=str(folder))) as address:
        yield address


def test_get_a_public_set(attendet: Callable[..., CommandResult], mirror: str, real_data: Path, tmp_path: Path) -> None:
    done = attendet("data", "get", "bccd", "--url", f"{mirror}/bccd.zip", "--out", "cells")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "cells/data.yaml"
    assert "license: MIT" in done.stdout
    assert hashlib.sha256((tmp_path / "cells/JPEGImages/BloodImage_00000.jpg").read_bytes()).digest() == (
        hashlib.sha256((real_data / "bccd/JPEGImages/BloodImage_00000.jpg").read_bytes()).digest()
    )
    report = json.loads(attendet("data", "check", "cells", "--no-picture", "--json", "--workers", "1").stdout)
    assert report["total"]["objects_by_class"] == [4155, 372, 361]
    done = attendet("data", "get", "bccd", "--url", f"{mirror}/nothing.zip")
    assert done.returncode == 2
    assert "404" in done.stderr
    assert not (tmp_path / "bccd").exists()


def test_get_lists_the_public_sets(attendet: Callable[..., CommandResult]) -> None:
    done = attendet("data", "get")
    assert done.returncode == 0
    assert "CC BY 4.0" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["check", "nowhere.yaml"], "nowhere.yaml"),
        (["check", "\x1b[2J.yaml"], "attendet: ?[2J.yaml: data set not found"),
        (["convert", "nowhere.yaml", "--to", "yolo", "--out", "out"], "nowhere.yaml: data set not found"),
        (["convert", "a.yaml", "--to", "yola", "--out", "out"], "invalid value for '--to'"),
        (["convert", "{data}", "--to", "yolo"], "no folder is given to write into; give --out DIR"),
        (["convert", "{data}", "b", "--to", "yolo", "--out", "out"], "must be named once, got b and --out out"),
        (["check", "a.yaml", "--imgsz", "320", "640"], "`--imgsz` takes one value, got 320 640"),
        (["get", "pear"], "did you mean 'pear640'?"),
        (["get", "bccd", "--url", "/etc/passwd"], "/etc/passwd: the address must be a valid http or https URL"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_exit_code_2(
    attendet: Callable[..., CommandResult], good: Path, args: list[str], message: str
) -> None:
    done = attendet("data", *(argument.format(data=good) for argument in args))
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
