"""Data sources: data sets without a data.yaml, reading of splits, and data sets that cannot be read."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from attendet.data.problems import summarize_problems
from attendet.data.reading import data_source
from attendet.data.records import ProblemKind
from attendet.errors import DataError, OptionError
from tests.helpers.data_sets import write_data_file, write_image

WriteYolo = Callable[[dict[str, str | None]], Path]


def test_the_first_problems_of_each_kind_are_listed_and_all_are_counted(yolo_folder: WriteYolo) -> None:
    rows = "".join(f"{label} 0.5 0.5 {width / 10_000} 0.5\n" for label in (0, 7) for width in range(5000, 6500))
    split = data_source.open(yolo_folder({"a": rows, "b": rows, "c": "0 0.5 0.5 0.5 0.5"})).read("train")
    assert split.count_problems() == {ProblemKind.UNKNOWN_CLASS: 3000}
    assert [problem.where.line for problem in split.problems] == [*range(1501, 2501)]
    (count,) = summarize_problems([split])
    assert (count.count, len(count.examples)) == (3000, 3)
    assert (len(split.records), split.skipped, split.labels.invalid) == (1, 2, 2)


def folder_with_labels(root: Path, *images: str) -> Path:
    for seed, image in enumerate(images):
        write_image(root / image, seed=seed)
        label = root / image.replace("images", "labels").replace(".png", ".txt")
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_text("1 0.5 0.5 0.5 0.5\n")
    (root / "classes.txt").write_text("cat\ndog\n")
    return root


@pytest.mark.parametrize(
    ("images", "splits"),
    [
        (["images/a.png"], ["train"]),
        (["images/train/a.png", "images/val/b.png"], ["train", "val"]),
        (["train/images/a.png", "valid/images/b.png", "test/images/c.png"], ["train", "val", "test"]),
    ],
)
def test_folders_without_a_data_file(images: list[str], splits: list[str], tmp_path: Path) -> None:
    source = data_source.open(folder_with_labels(tmp_path / "set", *images))
    assert (source.format, source.names, list(source.splits)) == ("yolo", ("cat", "dog"), splits)
    assert [source.read(split).records.classes.tolist() for split in splits] == [[1]] * len(splits)


def test_a_folder_with_a_data_file_opens_the_data_file(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": "1 0.5 0.5 0.5 0.5"})
    assert data_source.open(file.parent).file == file


def test_data_sets_splits_and_formats_that_do_not_exist(tmp_path: Path, yolo_folder: WriteYolo) -> None:
    source = data_source.open(yolo_folder({"a": ""}))
    with pytest.raises(DataError, match=r"the data set has no split 'val'; it has train"):
        source.read("val")
    with pytest.raises(DataError, match=r"file or folder not found; name a data\.yaml or a folder"):
        data_source.open(tmp_path / "absent.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no data\.yaml found, and no ImageSets \(VOC\)"):
        data_source.open(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"the file is not a data\.yaml or a COCO file"):
        data_source.open(tmp_path / "notes.txt")
    with pytest.raises(OptionError, match="`format` must be one of auto, yolo, coco, voc, cvat, got 'csv'"):
        data_source.open(source.file, format="csv")


def test_a_split_without_a_readable_image_is_an_error(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": "", "b": ""})
    for image in (file.parent / "images").iterdir():
        image.write_bytes(b"nothing")
    with pytest.raises(
        DataError, match=r"no image of train can be used; the first of 2 problems is .*a\.png: image cannot be decoded"
    ):
        data_source.open(file).read("train")
    for image in (file.parent / "images").iterdir():
        image.unlink()
    with pytest.raises(DataError, match="no image of train can be used; it has no images"):
        data_source.open(file).read("train")


def test_labels_of_an_image_with_exif_rotation_describe_the_rotated_image(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 48)).save(tmp_path / "images/a.jpg", exif=exif)
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/a.txt").write_text("0 0.5 0.5 1 0.5")
    split = data_source.open(write_data_file(tmp_path, "train: images\nnames: [cat]\n")).read("train")
    assert [problem.kind for problem in split.problems] == [ProblemKind.ROTATED]
    assert (split.records[0].width, split.records[0].height) == (48, 64)
    assert split.records[0].boxes.tolist() == [[0, 16, 48, 48]]


def test_images_whose_names_have_control_characters_are_skipped(yolo_folder: WriteYolo) -> None:
    # The screenshots of macOS have a narrow space that does not break lines.
    file = yolo_folder({"a": "", "b\x1b[2J": "", "Screenshot at 1.00\u202fPM": "", "می\u200cخواهم": ""})
    split = data_source.open(file).read("train")
    assert (len(split.records), split.skipped) == (3, 1)
    assert split.problems[0].where.file.endswith(r"b\x1b[2J.png")


LONG = "a" * 5000


def test_paths_that_no_file_can_have_are_missing_files(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png")
    (tmp_path / "list.txt").write_text(f"images/a.png\nimages/{LONG}.png\n\0\n")
    split = data_source.open(write_data_file(tmp_path, "train: list.txt\nnames: [cat]\n")).read("train")
    assert (len(split.records), split.skipped) == (1, 2)
    for value in (LONG, f"~{LONG}", "~nobody-of-this-name/images", f"{LONG}.json", f"{LONG}/*.png"):
        source = data_source.open(write_data_file(tmp_path, f"train: {value}\nnames: [cat]\n"))
        with pytest.raises(DataError):
            source.read("train")


def test_progress_and_fingerprint(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({f"{number:03}": "1 0.5 0.5 0.5 0.5" for number in range(70)})
    calls: list[tuple[int, int]] = []
    source = data_source.open(file)
    split = source.read("train", progress=lambda done, total: calls.append((done, total)))
    assert calls == [(32, 70), (64, 70), (70, 70)]
    assert source.read("train", cache=False).fingerprint() == split.fingerprint()
    (file.parent / "labels/003.txt").write_text("0 0.5 0.5 0.5 0.5")
    changed = source.read("train")
    assert changed.records.classes.tolist() == [1] * 3 + [0] + [1] * 66
    assert changed.fingerprint() != split.fingerprint()


def test_a_data_source_as_text_and_as_json(yolo_folder: WriteYolo) -> None:
    source = data_source.open(yolo_folder({"a": ""}))
    file = source.file
    assert repr(source) == f"DataSource({str(file)!r}, format='yolo', num_classes=2, splits=['train'])"
    assert json.loads(json.dumps(source.to_dict())) == {
        "file": str(file),
        "format": "yolo",
        "names": ["cat", "dog"],
        "splits": {"train": [str(file.parent / "images")]},
        "root": str(file.parent),
        "images": None,
        "layout": "yolo, found by labels/a.txt",
        "bit_depth": 16,
    }


def test_read_all_describes_splits_that_cannot_be_read(yolo_folder: WriteYolo) -> None:
    file = yolo_folder({"a": ""})
    file.write_text(file.read_text() + "val: absent\n")
    train, val = data_source.open(file).read_all()
    assert (len(train.records), len(val.records)) == (1, 0)
    assert [(problem.kind, str(problem.where)) for problem in val.problems] == [
        (ProblemKind.MISSING_SPLIT, f"{file}:3:6")
    ]
    file.write_text("train: absent\nval: gone\nnames: [cat]\n")
    with pytest.raises(DataError, match=r"file or folder not found: .*absent"):
        data_source.open(file).read_all()


def test_records_can_be_indexed_and_sliced(yolo_folder: WriteYolo) -> None:
    split = data_source.open(yolo_folder({"a": "", "b": "1 0.5 0.5 1 1\n0 0.5 0.5 0.5 0.5", "ü": None})).read("train")
    assert [record.image.stem for record in split.records[::-1]] == ["ü", "b", "a"]
    assert split.records[1:2].classes.tolist() == [1, 0]
    assert split.records.image_indices().tolist() == [1, 1]
    assert split.records[-1].boxes.shape == (0, 4)
