"""Image records as text: enough decimals for any sequence of formats, and COCO results that match ground truth."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
from faster_coco_eval import COCO
from hypothesis import given
from hypothesis import strategies as st

from attendet.data.formats.serialization import coco_result, coco_text, voc_text, yolo_text
from attendet.data.records import ImageRecord


@given(
    size=st.tuples(st.integers(1, 20_000), st.integers(1, 20_000)),
    corners=st.lists(st.tuples(*[st.floats(0, 1)] * 4), max_size=5),
)
def test_decimals_are_enough_and_stable_from_the_second_time_on(
    size: tuple[int, int], corners: list[tuple[float, ...]]
) -> None:
    boxes = np.sort(np.array(corners).reshape(-1, 2, 2), axis=1).reshape(-1, 4) * np.tile(size, 2)
    start = ImageRecord(Path("a.png"), *size, boxes, np.zeros(len(boxes), np.int64), np.zeros(len(boxes), np.bool_))

    def through_yolo(item: ImageRecord) -> tuple[str, ImageRecord]:
        text = yolo_text(item)
        rows = np.array([[float(word) for word in line.split()[1:]] for line in text.splitlines()]).reshape(-1, 4)
        middle, sides = rows[:, :2], rows[:, 2:]
        return text, with_boxes(
            item, np.concatenate([middle - sides / 2, middle + sides / 2], axis=1) * np.tile(size, 2)
        )

    def through_coco(item: ImageRecord) -> tuple[str, ImageRecord]:
        text = "".join(coco_text(["a"], [item], ["a.png"]))
        rows = np.array([entry["bbox"] for entry in json.loads(text)["annotations"]]).reshape(-1, 4)
        return text, with_boxes(item, np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:]], axis=1))

    def through_voc(item: ImageRecord) -> tuple[str, ImageRecord]:
        text = voc_text(["a"], item, "a.png")
        sides = [float(side.text or "") for side in ET.fromstring(text).iterfind("object/bndbox/*")]  # noqa: S314
        return text, with_boxes(item, np.array(sides).reshape(-1, 4))

    for formats in (
        (through_yolo, through_coco),
        (through_coco, through_yolo),
        (through_yolo, through_voc),
        (through_voc, through_coco),
        (through_yolo, through_yolo),
    ):
        item, texts = start, []
        for convert in formats * 3:
            text, item = convert(item)
            texts.append(text)
            np.testing.assert_allclose(item.boxes, boxes, rtol=0, atol=1e-6)
        assert texts[2:4] == texts[4:6]


def with_boxes(item: ImageRecord, boxes: np.ndarray) -> ImageRecord:
    return ImageRecord(item.image, item.width, item.height, boxes, item.classes, item.crowd)


def test_results_have_the_category_ids_of_the_ground_truth(tmp_path: Path) -> None:
    box = np.array([[10.0, 20.0, 30.0, 60.0]])
    item = ImageRecord(Path("a.png"), 100, 200, box, np.array([1]), np.array([False]))
    (tmp_path / "ground_truth.json").write_text("".join(coco_text(["cat", "dog"], [item], ["a.png"])))
    ground_truth = COCO(str(tmp_path / "ground_truth.json"))
    (tmp_path / "results.json").write_text(json.dumps([coco_result(1, "a.png", 2, tuple(box[0].tolist()), 0.123456)]))
    found = ground_truth.loadRes(str(tmp_path / "results.json"))
    (stated,), (result,) = (each.loadAnns(each.getAnnIds()) for each in (ground_truth, found))
    assert ground_truth.loadCats([result["category_id"]])[0]["name"] == "dog"
    assert (result["image_id"], result["category_id"], result["bbox"]) == (
        stated["image_id"],
        stated["category_id"],
        stated["bbox"],
    )
    assert result["score"] == 0.12346
