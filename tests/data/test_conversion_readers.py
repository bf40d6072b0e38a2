"""Converted data sets, read by supervision, torchvision, faster-coco-eval, and a few lines of XML."""

from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import supervision as sv
from faster_coco_eval import COCO
from torchvision.datasets import VOCDetection

from attendet.data.conversion import write_splits
from attendet.data.reading import data_source
from tests.data.conversion_cases import FORMATS, whole_pixel_split


def test_supervision_reads_converted_data_sets(tmp_path: Path) -> None:
    split = whole_pixel_split(tmp_path)
    folders = {to: tmp_path / to for to in FORMATS}
    for to, folder in folders.items():
        write_splits([split], to, folder)
    datasets = {
        "yolo": sv.DetectionDataset.from_yolo(
            str(folders["yolo"] / "images/train"),
            str(folders["yolo"] / "labels/train"),
            str(folders["yolo"] / "data.yaml"),
        ),
        "coco": sv.DetectionDataset.from_coco(
            str(folders["coco"] / "images/train"), str(folders["coco"] / "annotations/train.json")
        ),
        "voc": sv.DetectionDataset.from_pascal_voc(
            str(folders["voc"] / "JPEGImages"), str(folders["voc"] / "Annotations")
        ),
    }
    for to, dataset in datasets.items():
        assert list(dataset.classes) == ["cat", "dog"]
        found = {Path(path).stem: detections for path, _, detections in dataset}
        assert found.keys() == {"0", "1", "2"}
        for item in split.records:
            detections = found[item.image.stem]
            # supervision counts the upper left pixels of VOC files from 1, as VOC itself and few other tools do.
            shift = [1, 1, 0, 0] if to == "voc" else [0, 0, 0, 0]
            np.testing.assert_allclose(detections.xyxy.reshape(-1, 4), item.boxes - shift, atol=1e-4)
            assert [int(label) for label in np.asarray(detections.class_id)] == item.classes.tolist()


def test_torchvision_reads_the_voc_folder(tmp_path: Path) -> None:
    split = whole_pixel_split(tmp_path)
    write_splits([split], "voc", tmp_path / "voc")
    for image in (tmp_path / "voc" / "JPEGImages").iterdir():
        image.rename(image.with_suffix(".jpg"))
    (tmp_path / "VOCdevkit").mkdir()
    (tmp_path / "VOCdevkit" / "VOC2012").symlink_to(tmp_path / "voc")
    dataset = VOCDetection(str(tmp_path), year="2012", image_set="train")
    assert len(dataset) == len(split.records)
    for number, item in enumerate(split.records):
        image, target = dataset[number]
        assert image.size == (item.width, item.height)
        assert target["annotation"]["size"] == {"width": str(item.width), "height": str(item.height), "depth": "3"}
        boxes = [
            [int(found["bndbox"][side]) for side in ("xmin", "ymin", "xmax", "ymax")]
            for found in target["annotation"].get("object", [])
        ]
        assert boxes == item.boxes.tolist()


@pytest.mark.parametrize("to", ["coco", "yolo"])
def test_boxes_of_real_blood_cells_are_unchanged(real_data: Path, tmp_path: Path, to: str) -> None:
    (tmp_path / "data.yaml").write_text(
        f"path: {real_data / 'bccd'}\nval: ImageSets/Main/val.txt\nnames: [RBC, WBC, Platelets]\n"
    )
    split = data_source.open(tmp_path / "data.yaml").read("val", workers=1)
    write_splits([split], to, tmp_path / to)
    if to == "coco":
        document = COCO(str(tmp_path / "coco" / "annotations" / "val.json"))
        names = {entry["id"]: entry["name"] for entry in document.loadCats(document.getCatIds())}
        found = {
            Path(document.loadImgs(image)[0]["file_name"]).stem: [
                (names[entry["category_id"]], *entry["bbox"])
                for entry in document.loadAnns(document.getAnnIds([image]))
            ]
            for image in document.getImgIds()
        }
    else:
        classes = ("RBC", "WBC", "Platelets")
        found = {}
        for file in (tmp_path / "yolo" / "labels" / "val").iterdir():
            rows = [[float(word) for word in line.split()] for line in file.read_text().splitlines()]
            found[file.stem] = [
                (
                    classes[int(row[0])],
                    (row[1] - row[3] / 2) * 640,
                    (row[2] - row[4] / 2) * 480,
                    row[3] * 640,
                    row[4] * 480,
                )
                for row in rows
            ]
    assert len(found) == 87
    for stem, boxes in found.items():
        tree = ET.parse(real_data / "bccd" / "Annotations" / f"{stem}.xml")  # noqa: S314 - a file of the project
        stated = []
        for item in tree.iterfind("object"):
            x1, y1, x2, y2 = (int(item.findtext(f"bndbox/{side}", "")) for side in ("xmin", "ymin", "xmax", "ymax"))
            stated.append((item.findtext("name"), x1, y1, x2 - x1, y2 - y1))
        assert [box[0] for box in boxes] == [box[0] for box in stated]
        np.testing.assert_allclose([box[1:] for box in boxes], [box[1:] for box in stated], rtol=0, atol=1e-8)
