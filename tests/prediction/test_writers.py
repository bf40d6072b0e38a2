"""Every kind of output file, read back by other libraries."""

import csv
import io
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import supervision as sv
from faster_coco_eval import COCO
from numpy.typing import NDArray
from PIL import Image

from attendet.errors import AttendetError, OptionError, OutputError
from attendet.prediction.drawing import AnnotatedWriter, DrawingStyle, draw_detections
from attendet.prediction.input_frames import InputFrame, read_frames
from attendet.prediction.sources import MediaKind, MediaSource
from attendet.prediction.video import VideoTimestamp
from attendet.prediction.writers import CocoWriter, CropWriter, CsvWriter, LabelWriter, write_image
from attendet.utils.io import new_run_folder, write_atomically
from tests.helpers.calibrated_detector import NAMES, photographs
from tests.helpers.videos import read_with_opencv, write_video

BOXES = np.array([[10.25, 20.5, 50.0, 60.75], [0.0, 0.0, 160.0, 96.0], [100.25, 50.25, 100.5, 50.5]])


def image() -> NDArray[np.uint8]:
    return photographs()[0][100:196, 200:360]


def detections(count: int = 3) -> sv.Detections:
    numbers = np.array([1, 0, 1])[:count]
    return sv.Detections(
        BOXES[:count].astype(np.float32),
        confidence=np.array([0.875, 0.5, 0.25], np.float32)[:count],
        class_id=numbers,
        data={"class_name": np.array(NAMES)[numbers]},
    )


def photo_frame(name: str = "photos/a.png", stem: str = "a") -> InputFrame:
    return InputFrame(MediaSource(MediaKind.IMAGE, name), stem, image())


def refuse(error: AttendetError) -> None:
    """Fail on an image that is skipped."""
    raise error


def video_frame(number: int, source: MediaSource) -> InputFrame:
    return InputFrame(source, "film", image(), VideoTimestamp(number, number - 1, Fraction(25), None))


def test_supervision_reads_the_label_files(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.fromarray(image()).save(tmp_path / "images" / "a.png")
    (tmp_path / "data.yaml").write_text(f"names: [{', '.join(NAMES)}]\n")
    with LabelWriter(tmp_path) as writer:
        writer.write(photo_frame(), detections())
    read = sv.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml")
    )
    (_, _, found), *_ = list(read)
    np.testing.assert_allclose(found.xyxy, BOXES, atol=1e-3)
    assert np.asarray(found.class_id).tolist() == [1, 0, 1]


def test_label_files_with_confidence_without_detections_and_of_video_frames(tmp_path: Path) -> None:
    film = MediaSource(MediaKind.VIDEO, "film.mp4")
    with LabelWriter(tmp_path, confidence=True) as writer:
        writer.write(photo_frame(), detections())
        writer.write(photo_frame(stem="b"), sv.Detections.empty())
        writer.write(video_frame(12, film), detections(1))
    rows = np.loadtxt(tmp_path / "labels" / "a.txt")
    assert rows.shape == (3, 6)
    np.testing.assert_allclose(rows[:, 5], [0.875, 0.5, 0.25])
    assert (tmp_path / "labels" / "b.txt").read_text() == ""
    assert (tmp_path / "labels" / "film" / "000012.txt").read_text().startswith("1 0.18")


def test_the_csv_table(tmp_path: Path) -> None:
    with CsvWriter(tmp_path / "p.csv") as writer:
        writer.write(photo_frame('a "quoted", name.png'), detections(1))
        writer.write(video_frame(3, MediaSource(MediaKind.VIDEO, "film.mp4")), detections(2))
        assert not (tmp_path / "p.csv").exists()
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ['a "quoted", name.png', "film.mp4", "film.mp4"]
    assert [row["frame"] for row in rows] == ["", "3", "3"]
    assert [row["name"] for row in rows] == ["white dog", "white dog", "cat"]
    assert [float(rows[0][side]) for side in ("x1", "y1", "x2", "y2")] == BOXES[0].tolist()
    assert float(rows[0]["confidence"]) == 0.875


def test_coco_reads_the_results(tmp_path: Path) -> None:
    stream = io.StringIO()
    film = MediaSource(MediaKind.VIDEO, "film.mp4")
    for target in (tmp_path / "p.json", stream):
        with CocoWriter(target) as writer:
            writer.write(photo_frame(), detections())
            writer.write(photo_frame("b.png", "b"), sv.Detections.empty())
            writer.write(video_frame(7, film), detections(1))
    assert json.loads(stream.getvalue()) == json.loads((tmp_path / "p.json").read_text())
    truth = COCO(
        {
            "images": [{"id": number, "width": 160, "height": 96} for number in (1, 2, 3)],
            "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, start=1)],
            "annotations": [],
        }
    )
    loaded = truth.loadRes(str(tmp_path / "p.json"))
    assert [len(loaded.getAnnIds(imgIds=[number])) for number in (1, 2, 3)] == [3, 0, 1]
    first = loaded.loadAnns(loaded.getAnnIds(imgIds=[1]))[0]
    assert first["bbox"] == [10.25, 20.5, 39.75, 40.25]
    assert (first["file_name"], first["category_name"], first["score"]) == ("photos/a.png", "white dog", 0.875)
    assert json.loads(stream.getvalue())[-1]["frame"] == 7


def test_results_without_detections_are_an_empty_list(tmp_path: Path) -> None:
    with CocoWriter(tmp_path / "p.json") as writer:
        writer.write(photo_frame(), sv.Detections.empty())
    assert json.loads((tmp_path / "p.json").read_text()) == []


def test_crops_are_the_pixels_under_the_boxes(tmp_path: Path) -> None:
    with CropWriter(tmp_path, ["../../cat", "white dog"], refuse) as writer:
        writer.write(photo_frame(), detections())
        writer.write(video_frame(2, MediaSource(MediaKind.VIDEO, "film.mp4")), detections(1))
    written = {path.relative_to(tmp_path).as_posix(): np.asarray(Image.open(path)) for path in tmp_path.rglob("*.*g")}
    assert set(written) == {
        "crops/white dog/a_1.png",
        "crops/_.._cat/a_2.png",
        "crops/white dog/a_3.png",
        "crops/white dog/film/000002_1.jpg",
    }
    np.testing.assert_array_equal(written["crops/white dog/a_1.png"], image()[20:61, 10:50])
    np.testing.assert_array_equal(written["crops/_.._cat/a_2.png"], image())
    np.testing.assert_array_equal(written["crops/white dog/a_3.png"], image()[50:51, 100:101])


def test_annotated_images_keep_their_formats_and_videos_become_mp4(tmp_path: Path) -> None:
    first, second = MediaSource(MediaKind.VIDEO, "film.avi"), MediaSource(MediaKind.VIDEO, "other/film.avi")
    with AnnotatedWriter(tmp_path, NAMES, DrawingStyle(), refuse) as writer:
        writer.write(photo_frame("x/a.JPG"), detections())
        for number in (1, 2, 3):
            writer.write(video_frame(number, first), detections())
        writer.write(InputFrame(second, "film-2", image(), VideoTimestamp(1, 0, Fraction(5), None)), detections())
        assert (tmp_path / "film.mp4").exists(), "a video is finished when the next source begins"
        writer.write(photo_frame("no ending", "no ending"), detections())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.JPG", "film-2.mp4", "film.mp4", "no ending.png"]
    expected = draw_detections(image(), detections(), NAMES)
    with Image.open(tmp_path / "a.JPG") as photograph, Image.open(tmp_path / "no ending.png") as other:
        assert (photograph.format, other.format) == ("JPEG", "PNG")
        np.testing.assert_array_equal(np.asarray(other), expected)
    drawn, rate = read_with_opencv(tmp_path / "film.mp4")
    assert (len(drawn), rate) == (3, 25)
    assert np.abs(drawn[0].astype(int) - expected).mean() < 10
    assert len(read_with_opencv(tmp_path / "film-2.mp4")[0]) == 1


def test_each_of_several_streams_has_its_own_video(tmp_path: Path) -> None:
    streams = [MediaSource(MediaKind.STREAM, f"rtsp://host/{name}", f"rtsp://me:pw@host/{name}") for name in "ab"]
    with AnnotatedWriter(tmp_path, NAMES, DrawingStyle(), refuse) as writer:
        writer.write(video_frame(1, MediaSource(MediaKind.VIDEO, "film.avi")), detections())
        for number in range(1, 5):
            for name, source in zip("ab", streams, strict=True):
                moment = VideoTimestamp(number, number - 1, Fraction(25), None)
                writer.write(InputFrame(source, name, image(), moment), detections())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "film.mp4"]
    assert [len(read_with_opencv(tmp_path / f"{name}.mp4")[0]) for name in "ab"] == [4, 4]


def test_spreadsheets_take_no_name_for_a_formula(tmp_path: Path) -> None:
    found = detections(1)
    found.data["class_name"] = np.array(["=HYPERLINK(1)"])
    found.xyxy[0, 0] = -3.5
    with CsvWriter(tmp_path / "p.csv") as writer:
        for name in ("+a.png", "-a.png", "@a.png", "\ta.png", "plain.png"):
            writer.write(photo_frame(name), found)
    with (tmp_path / "p.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["'+a.png", "'-a.png", "'@a.png", "'\ta.png", "plain.png"]
    assert {row["name"] for row in rows} == {"'=HYPERLINK(1)"}
    assert {row["x1"] for row in rows} == {"-3.50"}, "numbers stay numbers"


def test_no_unfinished_files_remain_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("older")

    def write_and_fail() -> None:
        with (
            AnnotatedWriter(tmp_path, NAMES, DrawingStyle(), refuse) as pictures,
            CsvWriter(tmp_path / "p.csv") as table,
            CocoWriter(tmp_path / "p.json") as results,
        ):
            for writer in (pictures, table, results):
                writer.write(video_frame(1, MediaSource(MediaKind.VIDEO, "film.mp4")), detections())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert [path.name for path in tmp_path.iterdir()] == ["p.csv"]
    assert (tmp_path / "p.csv").read_text() == "older"


def test_files_of_equal_names_in_different_folders_get_different_stems(tmp_path: Path) -> None:
    for name in ("x/a.png", "y/a.png", "y/a.jpg", "z/A.png"):
        write_image(tmp_path / name, image(), refuse)
    write_video(tmp_path / "z" / "a.mp4", count=2)
    sources = [
        MediaSource(MediaKind.VIDEO if name.endswith("mp4") else MediaKind.IMAGE, str(tmp_path / name))
        for name in ("x/a.png", "y/a.png", "gone.png", "y/a.jpg", "z/A.png", "z/a.mp4")
    ]
    errors = []
    read = list(read_frames(sources, errors.append))
    assert [frame.stem for frame in read] == ["a", "a-2", "a-3", "A-4", "a-5", "a-5"]
    assert [frame.number for frame in read] == [None, None, None, None, 1, 2]
    assert [str(error) for error in errors] == [f"{tmp_path}/gone.png: image file not found"]


def test_images_that_a_format_cannot_hold_are_skipped(tmp_path: Path) -> None:
    skipped: list[AttendetError] = []
    for name, width in {"a.jpg": 65_501, "b.webp": 16_384, "c.gif": 65_536, "d.png": 65_501}.items():
        write_image(tmp_path / name, np.zeros((1, width, 3), np.uint8), skipped.append)
    messages = [str(error).removeprefix(f"{tmp_path}/") for error in skipped]
    assert [text.split(": ")[0] for text in messages] == ["a.jpg", "b.webp", "c.gif"]
    assert messages[0].startswith("a.jpg: the file format cannot hold 65501x1 pixels")
    assert (tmp_path / "d.png").is_file()


def test_long_file_names_are_cut(tmp_path: Path) -> None:
    names = [
        "n" * 255,
        "a/" + "n" * 250 + ".JPEG",
        "b/" + "n" * 250 + ".JPEG",
        "ы" * 125 + ".png",
        "c/" + "n" * 251 + ".mp4",
    ]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        if not name.endswith("mp4"):
            Image.fromarray(image()).save(tmp_path / name, "PNG")
    write_video(tmp_path / names[-1], count=1)
    sources = [
        MediaSource(MediaKind.VIDEO if name.endswith("mp4") else MediaKind.IMAGE, str(tmp_path / name))
        for name in names
    ]
    out = tmp_path / "out"
    with (
        AnnotatedWriter(out, NAMES, DrawingStyle(), refuse) as pictures,
        LabelWriter(out) as labels,
        CropWriter(out, ["猫" * 100, "dog"], refuse) as crops,
    ):
        for frame in read_frames(sources, refuse):
            for writer in (pictures, labels, crops):
                writer.write(frame, detections())
    written = [path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()]
    # Each source has an annotated image or video, a label file, and three crops.
    assert len(written) == 5 * len(names)
    assert {Path(name).suffix for name in written} == {".png", ".JPEG", ".mp4", ".txt", ".jpg"}


def test_files_that_cannot_be_written_are_output_errors(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"):
        write_image(tmp_path / "file" / "a.png", image(), refuse)
    with pytest.raises(OutputError, match="cannot be written"), write_atomically(tmp_path / "file" / "a.txt"):
        pass
    with pytest.raises(OutputError, match="cannot be written"):
        new_run_folder(tmp_path / "file", "exp")
    with pytest.raises(OptionError, match="`thickness` must be at least 1 pixel, got 0"):
        DrawingStyle(thickness=0)
