"""Three real data sets, against an independent reader."""

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import supervision as sv

from attendet.data.reading import data_source
from attendet.data.records import ImageRecords, Split
from tests.helpers.data_sets import write_data_file


def problem_counts(*splits: Split) -> Counter[str]:
    counts = sum((split.count_problems() for split in splits), Counter())
    return Counter({kind.name: count for kind, count in counts.items()})


def assert_equal_objects(
    records: ImageRecords, names: tuple[str, ...], theirs: sv.DetectionDataset, atol: float, without_area: int = 0
) -> None:
    """Compare objects; a number of images is left out because none of their boxes has an area."""
    class_index = {position: names.index(name) for position, name in enumerate(theirs.classes)}
    boxes = {Path(path).stem: detections for path, detections in theirs.annotations.items()}
    left_out = [detections for stem, detections in boxes.items() if stem not in {each.image.stem for each in records}]
    assert [detections.area.max() for detections in left_out] == [0] * without_area
    for record in records:
        detections = boxes[record.image.stem]
        assert detections.class_id is not None
        assert record.classes.tolist() == [class_index[position] for position in detections.class_id.tolist()]
        np.testing.assert_allclose(record.boxes, detections.xyxy.reshape(-1, 4), atol=atol)


def test_bccd(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "bccd"
    lists = "".join(f"{split}: ImageSets/Main/{split}.txt\n" for split in ("train", "val", "test"))
    source = data_source.open(write_data_file(tmp_path, f"path: {root}\n{lists}"))
    assert (source.format, source.names) == ("voc", ("Platelets", "RBC", "WBC"))
    splits = [source.read(split) for split in source.splits]
    assert [len(split.records) for split in splits] == [205, 87, 72]
    counts = np.bincount(np.concatenate([split.records.classes for split in splits]))
    assert dict(zip(source.names, counts.tolist(), strict=True)) == {"Platelets": 361, "RBC": 4155, "WBC": 372}
    assert problem_counts(*splits) == {"ZERO_AREA": 2}
    theirs = sv.DetectionDataset.from_pascal_voc(str(root / "JPEGImages"), str(root / "Annotations"))
    for detections in theirs.annotations.values():
        # supervision takes VOC's pixels to count from 1 and moves the upper left corner; attendet reads them unchanged.
        detections.xyxy[:, :2] += 1
    all_records = ImageRecords(itertools.chain.from_iterable(split.records for split in splits))
    assert_equal_objects(all_records, source.names, theirs, atol=0)
    assert data_source.open(root).splits.keys() == source.splits.keys()


def test_pear640_as_yolo_and_as_coco(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "pear640"
    source = data_source.open(
        write_data_file(tmp_path, f"path: {root}\ntrain: train.txt\nval: val.txt\nnames: {{0: pear}}\n")
    )
    assert (source.format, source.names) == ("yolo", ("pear",))
    splits = [source.read(split) for split in source.splits]
    all_records = ImageRecords(itertools.chain.from_iterable(split.records for split in splits))
    # The only box of one image has no area.
    assert (len(all_records), len(all_records.boxes)) == (711, 8339)
    found = problem_counts(*splits)
    assert found["MISSING_LABELS"] == 14
    # 51 of these boxes have no area.
    assert found["SLIVER"] + found["ZERO_AREA"] == 68
    as_json = data_source.open(write_data_file(tmp_path, f"path: {root}\ntrain: annotations.json\n"))
    assert (as_json.format, as_json.names) == ("coco", ("pear",))
    records = as_json.read("train").records
    by_name = {record.image.name: record for record in records}
    assert len(by_name) == 711
    for record in all_records:
        other = by_name[record.image.name]
        # YOLO's coordinates have six decimals, of 640 pixels.
        np.testing.assert_allclose(record.boxes, other.boxes, atol=0.001)
    theirs = sv.DetectionDataset.from_coco(str(root / "images"), str(root / "annotations.json"))
    assert_equal_objects(records, ("pear",), theirs, atol=0.001, without_area=1)
    described = write_data_file(tmp_path, "names: [pear]\n")
    theirs = sv.DetectionDataset.from_yolo(str(root / "images"), str(root / "labels"), str(described))
    assert_equal_objects(all_records, ("pear",), theirs, atol=0.001, without_area=1)


def test_fruits_nuts(real_data: Path, tmp_path: Path) -> None:
    root = real_data / "fruits_nuts"
    source = data_source.open(write_data_file(tmp_path, f"path: {root}\ntrain: trainval.json\n"))
    split = source.read("train")
    assert (len(split.records), len(split.records.boxes), split.problems) == (18, 165, ())
    theirs = sv.DetectionDataset.from_coco(str(root / "images"), str(root / "trainval.json"))
    assert_equal_objects(split.records, source.names, theirs, atol=0.001)
