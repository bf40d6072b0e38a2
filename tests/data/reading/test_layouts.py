"""Layouts of data sets as tools write them: all are found by looking at the files, and named."""

from pathlib import Path

import pytest

from attendet.data import open as open_data
from attendet.errors import DataError
from tests.data.reading.layout_cases import (
    BOX,
    NAMES,
    XML,
    YOLO_ROW,
    assert_read,
    coco,
    data_yaml,
    images,
    labeled,
    text,
)


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/a.png", "labels/a.txt"),
        ("images/a.png", "images/a.txt"),
        ("images/a.png", "Labels/a.TXT"),
        ("train/imgs/a.png", "train/labels/a.txt"),
        ("imgs/a.png", "labels/a.txt"),
        ("img/deep/er/a.png", "label/deep/er/a.txt"),
        ("JPEGImages/a.png", "labels/a.txt"),
        ("set/train/a.png", "labels/train/a.txt"),
        ("set/images/train/a.png", "set/labels/a.txt"),
        ("set/train/a.png", "set/train/labels/a.txt"),
        ("train_images/a.png", "train_labels/a.txt"),
        ("images/part 1/a.png", "annotations/part 1/a.txt"),
        ("train/images/a.png", "labels/train/a.txt"),
        ("images/a.png", "labels/txt/a.txt"),
        ("images/a.png", "yolo_labels/a.txt"),
        ("images/train/a.png", "labels-yolo/train/a.txt"),
        ("train/a.png", "train_label/a.txt"),
    ],
)
def test_text_files_of_labels(image: str, label: str, tmp_path: Path) -> None:
    labeled(tmp_path, {image: label}, YOLO_ROW)
    folder = image.split("/", maxsplit=1)[0]
    source = assert_read(data_yaml(tmp_path, f"train: {folder}"), "yolo", {"train": 1})
    assert source.layout == f"yolo, found by {label}"


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ("images/a.png", "Annotations/a.xml"),
        ("images/a.png", "annotations/a.xml"),
        ("images/a.png", "images/a.xml"),
        ("images/a.png", "labels/a.XML"),
        ("JPEGImages/a.png", "ANNOTATIONS/a.xml"),
        ("images/train/a.png", "annotations/train/a.xml"),
        ("images/train/a.png", "annotations/a.xml"),
        ("train/images/a.png", "train/annotations/a.xml"),
        ("set/deep/images/a.png", "set/deep/Annotations/a.xml"),
        ("train/a.png", "Annotations/train/a.xml"),
        ("photos/a.png", "xmls/a.xml"),
        ("images/a.png", "annotations/xmls/a.xml"),
        ("images/train/a.png", "annotations/xmls/train/a.xml"),
    ],
)
@pytest.mark.parametrize("lines", ["train: {}", "train: {}\nformat: voc"])
def test_voc_sets_named_by_their_image_folder(image: str, label: str, lines: str, tmp_path: Path) -> None:
    labeled(tmp_path, {image: label}, XML)
    folder = image.split("/", maxsplit=1)[0]
    source = assert_read(data_yaml(tmp_path, lines.format(folder)), "voc", {"train": 1})
    assert source.layout == ("voc, as the data file states" if "format" in lines else f"voc, found by {label}")
    assert source.read("train").labels.place == label


def test_voc_sets_named_by_their_annotations_or_by_the_name_of_a_list(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "annotations/a.xml", "images/b.png": "annotations/b.xml"}, XML)
    assert_read(data_yaml(tmp_path, "train: annotations\nval: annotations"), "voc", {"train": 2, "val": 2})
    text(tmp_path / "imagesets/main/train.txt", "a\n")
    assert_read(data_yaml(tmp_path, "train: train\nformat: voc"), "voc", {"train": 1})
    assert_read(data_yaml(tmp_path, "train: train"), "voc", {"train": 1})
    assert_read(data_yaml(tmp_path, "train: imagesets/main/train"), "voc", {"train": 1})


def test_folders_with_a_word_for_labels_have_the_labels_of_their_split(tmp_path: Path) -> None:
    labeled(tmp_path, {"train/a.png": "train_label/a.txt", "val/a.png": "val_label/a.txt"}, YOLO_ROW)
    (tmp_path / "val_label/a.txt").unlink()
    source = open_data(data_yaml(tmp_path, "train: train\nval: val"))
    assert [split.labels.found for split in source.read_all()] == [1, 0]


@pytest.mark.parametrize(
    ("image", "label", "name"),
    [
        ("images/a.png", "annotations/instances_default.json", "a.png"),
        ("images/a.png", "annotations.json", "images/a.png"),
        ("images/train2017/a.png", "annotations/instances_train2017.json", "a.png"),
        ("train2017/a.png", "annotations/instances_train2017.json", "a.png"),
        ("train/a.png", "train/_annotations.coco.json", "a.png"),
        ("images/default/a.png", "annotations/instances_default.json", "a.png"),
        ("images/deep/a.png", "annotations/instances_train.json", "a.png"),
        ("images/a.png", "Annotations/train.json", "C:\\\\sets\\\\images\\\\a.png"),
        ("images/a.png", "annotations/train.json", "/home/me/set/a.png"),
    ],
)
def test_coco_sets_named_by_their_image_folder(image: str, label: str, name: str, tmp_path: Path) -> None:
    images(tmp_path, image)
    text(tmp_path / label, coco([name.replace("\\\\", "\\")]))
    file = data_yaml(tmp_path, f"train: {Path(image).parent}")
    source = open_data(file)
    assert (source.format, source.layout) == ("coco", f"coco, found by {label}")
    split = source.read("train")
    assert split.records.boxes.tolist() == [BOX]
    is_foreign = name.startswith(("C:", "/"))
    assert [problem.kind.name for problem in split.problems] == ["FOREIGN_PATHS"] * is_foreign
    assert ("does not exist here and was left out" in str(split.labels)) is is_foreign


def test_one_coco_file_for_the_folders_of_two_splits(tmp_path: Path) -> None:
    images(tmp_path, "images/train/a.png", "images/train/b.png", "images/val/c.png")
    text(tmp_path / "annotations.json", coco(["c.png", "a.png", "b.png"]))
    file = data_yaml(tmp_path, "train: images/train\nval: images/val")
    assert_read(file, "coco", {"train": 2, "val": 1})


@pytest.mark.parametrize("prefix", ["data/", "/home/somebody/darknet/", "C:\\work\\set\\", "../elsewhere/"])
def test_exports_for_darknet(prefix: str, tmp_path: Path) -> None:
    pairs = {f"obj_{split}_data/{split}.png": f"obj_{split}_data/{split}.txt" for split in ("train", "valid")}
    labeled(tmp_path, pairs, YOLO_ROW)
    for split in ("train", "valid"):
        text(tmp_path / f"{split}.txt", f"{prefix}obj_{split}_data/{split}.png\n")
    text(tmp_path / "obj.names", NAMES)
    lines = [f"{key} = {prefix}{file}" for key, file in {"train": "train.txt", "valid": "valid.txt"}.items()]
    text(tmp_path / "obj.data", "\n".join(["classes = 2", *lines, f"names = {prefix}obj.names", "backup = backup/"]))
    for data in (tmp_path, tmp_path / "obj.data"):
        source = open_data(data)
        assert (source.format, source.names, list(source.splits)) == ("yolo", ("cat", "dog"), ["train", "val"])
        for split in source.read_all():
            assert split.records.boxes.tolist() == [BOX]
            assert [problem.kind.name for problem in split.problems] == ["FOREIGN_PATHS"]
            assert f"{prefix} does not exist here".replace("\\", "/") in str(split.labels)


def test_paths_of_a_list_are_not_shortened_if_their_folder_exists(tmp_path: Path) -> None:
    labeled(tmp_path, {"images/a.png": "labels/a.txt", "b.png": "b.txt"}, YOLO_ROW)
    text(tmp_path / "train.txt", "images/a.png\nimages/b.png\n")
    split = open_data(data_yaml(tmp_path, "train: train.txt")).read("train")
    assert [problem.kind.name for problem in split.problems] == ["MISSING_IMAGE"]
    text(tmp_path / "train.txt", "x/b.png\ny/b.png\n")
    with pytest.raises(
        DataError, match=r"train\.txt:2: paths of the list must name different files, but lines 1 and 2"
    ):
        open_data(data_yaml(tmp_path, "train: train.txt")).read("train")


def test_exports_of_cvat(tmp_path: Path) -> None:
    for name, list_name in {"one": "default", "two": "Train"}.items():
        root = labeled(tmp_path / name, {"JPEGImages/sub/a b.png": "Annotations/sub/a b.xml"}, XML)
        text(root / f"ImageSets/Main/{list_name}.txt", '"sub/a b"\n' if name == "one" else "sub/a b\n")
        text(root / "labelmap.txt", "# label:color_rgb:parts:actions\ncat:0,0,0::\ndog:1,1,1::\n")
        source = open_data(root)
        assert (source.format, source.names, list(source.splits)) == ("voc", ("dog",), ["train"])
        assert source.read("train").records.boxes.tolist() == [BOX]
    root = images(tmp_path / "coco", "images/Train/a.png")
    text(root / "annotations/instances_Train.json", coco(["a.png"]))
    assert_read(root, "coco", {"train": 1})
    root = labeled(tmp_path / "yolo", {"images/Validation/a.png": "labels/Validation/a.txt"}, YOLO_ROW)
    text(root / "Validation.txt", "data/images/Validation/a.png\n")
    source = open_data(data_yaml(root, "path: .\nval: Validation.txt"))
    assert source.read("val").records.boxes.tolist() == [BOX]


@pytest.mark.parametrize(
    ("pairs", "splits"),
    [
        ({"imgs/a.png": "labels/a.txt"}, {"train": 1}),
        ({"train/a.png": "train/a.txt", "valid/b.png": "valid/b.txt"}, {"train": 1, "val": 1}),
        ({"train/imgs/a.png": "train/labels/a.txt", "val/imgs/b.png": "val/labels/b.txt"}, {"train": 1, "val": 1}),
        ({"images/train2017/a.png": "labels/train2017/a.txt"}, {"train": 1}),
        ({"Images/Training/a.png": "Labels/Training/a.txt"}, {"train": 1}),
        (
            {"train_images/a.png": "train_labels/a.txt", "test_images/b.png": "test_labels/b.txt"},
            {"train": 1, "test": 1},
        ),
        ({"a.png": "a.txt"}, {"train": 1}),
        ({"set/images/a.png": "set/labels/a.txt"}, {"train": 1}),
    ],
)
def test_folders_without_a_data_file(pairs: dict[str, str], splits: dict[str, int], tmp_path: Path) -> None:
    root = labeled(tmp_path / "set", pairs, YOLO_ROW)
    text(root / "set/classes.txt" if (root / "set").exists() else root / "classes.txt", NAMES)
    assert_read(root, "yolo", splits)
    voc = labeled(tmp_path / "voc", {image: label.replace(".txt", ".xml") for image, label in pairs.items()}, XML)
    assert {name: len(open_data(voc).read(name).records) for name in open_data(voc).splits} == splits


def test_a_voc_folder_inside_other_folders(tmp_path: Path) -> None:
    root = labeled(tmp_path / "VOCdevkit/VOC2007", {"JPEGImages/a.png": "Annotations/a.xml"}, XML)
    text(root / "ImageSets/Main/trainval.txt", "a\n")
    text(root / "ImageSets/Main/dog_trainval.txt", "a 1\n")
    assert list(open_data(tmp_path).splits) == ["train"]
    assert open_data(tmp_path).read("train").records.boxes.tolist() == [BOX]
    text(tmp_path / "VOCdevkit/VOC2012/ImageSets/Main/train.txt", "b\n")
    with pytest.raises(DataError, match=r"must have one VOC data set, got VOCdevkit/VOC2007 and VOCdevkit/VOC2012"):
        open_data(tmp_path)


def test_labels_in_two_formats_are_an_error_that_names_both(tmp_path: Path) -> None:
    root = labeled(tmp_path, {"images/a.png": "annotations/a.xml"}, XML)
    text(root / "images/a.txt", YOLO_ROW)
    text(root / "classes.txt", NAMES)
    message = r"labels must have one format, got yolo \(images/a\.txt\) and voc \(annotations/a\.xml\); choose with"
    for data in (root, data_yaml(root, "train: images")):
        with pytest.raises(DataError, match=message):
            open_data(data)
    assert open_data(root, format="voc").read("train").records.boxes.tolist() == [BOX]
    # A data.yaml means labels where YOLOv5 looks for them; a folder alone means nothing.
    text(root / "labels/a.txt", YOLO_ROW)
    (root / "images/a.txt").unlink()
    assert open_data(root).layout == "yolo, found by labels/a.txt"
    (root / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"got yolo \(labels/a\.txt\) and voc \(annotations/a\.xml\)"):
        open_data(root)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["annotations/a.xml", "images/a.xml"], r"one folder of \.xml labels, but .*/images and .*/annotations have"),
        (
            ["annotations/train.json", "annotations/my_train.json"],
            r"one COCO file, but 2 could be meant: my_train\.json",
        ),
        (["annotations/a.json", "annotations/b.json"], r"one COCO file, but 2 could be meant: a\.json, b\.json"),
    ],
)
def test_two_places_of_labels_are_an_error_that_names_both(labels: list[str], message: str, tmp_path: Path) -> None:
    images(tmp_path, "images/a.png")
    for label in labels:
        text(tmp_path / label, XML if label.endswith("xml") else coco(["a.png"]))
    with pytest.raises(DataError, match=message):
        open_data(data_yaml(tmp_path, "train: images"))


def test_two_folders_of_a_split_or_two_lists_of_names_are_errors(tmp_path: Path) -> None:
    root = labeled(
        tmp_path, {f"images/train{year}/a.png": f"labels/train{year}/a.txt" for year in (2014, 2017)}, YOLO_ROW
    )
    text(root / "classes.txt", NAMES)
    with pytest.raises(DataError, match=r"split train must be one .*, got images/train2014 and images/train2017"):
        open_data(root)
    text(root / "obj.names", "dog\ncat\n")
    with pytest.raises(DataError, match=r"class names must be the same in .*classes\.txt and .*obj\.names"):
        open_data(text(root / "data.yaml", "train: images/train2014\n"))
