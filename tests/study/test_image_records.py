"""Detections of a run on each validation image: collected, written, damaged, and kept by a study."""

import io
import shutil
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from attendet.errors import DataError
from attendet.study.folder import StudyFolder, read_study
from attendet.study.image_records import ImageMatches, read_image_matches, sort_matches, write_image_matches
from attendet.study.runs.execution import Study, run_study
from attendet.study.runs.executors import LocalExecutor
from attendet.study.runs.job import run_job
from attendet.training.reporter import NullReporter
from tests.helpers.small_studies import FailingExecutor, RecordingObserver, open_study, write_small
from tests.helpers.small_training import skip_plots
from tests.helpers.typed_access import not_none

DETECTIONS, OBJECTS = 3000, 900


@pytest.fixture
def made() -> ImageMatches:
    generator = np.random.default_rng(0)
    images, classes = generator.integers(0, 87, DETECTIONS), generator.integers(0, 3, DETECTIONS)
    # The first detections are of the objects, and the last ones are wrong.
    matches = np.where(np.arange(DETECTIONS) < OBJECTS, generator.integers(1, 1024, DETECTIONS), 0)
    columns = {
        "image_indices": images,
        "classes": classes,
        "confidences": generator.random(DETECTIONS),
        "matches": matches,
        "ignored": np.zeros(DETECTIONS),
    }
    return sort_matches("0a" * 32, 87, columns, (images[:OBJECTS], classes[:OBJECTS]))


def equal(first: ImageMatches, second: ImageMatches) -> bool:
    return all(np.array_equal(getattr(first, each.name), getattr(second, each.name)) for each in fields(first))


def test_a_record_is_read_as_it_was_written(made, tmp_path):
    path = tmp_path / "new" / "a.npz"
    write_image_matches(path, made)
    assert equal(read_image_matches(path), made)
    assert [file.name for file in path.parent.iterdir()] == ["a.npz"]


def test_detections_after_the_last_match_of_their_class_are_left_out(made):
    for index in range(3):
        matches = made.matches[made.classes == index]
        assert matches[-1] != 0
        assert (matches == 0).any()


def test_of_many_detections_the_faint_ones_are_left_out():
    count = 30_000
    columns = {name: np.zeros(count, np.int64) for name in ("image_indices", "classes", "ignored")}
    columns |= {"confidences": np.linspace(0, 0.1, count), "matches": np.ones(count, np.int64)}
    objects = (np.zeros(count, np.int64), np.zeros(count, np.int64))
    kept = sort_matches("0a", 1, columns, objects)
    assert len(kept.classes) == 27_000
    fewer = {name: column[:15_000] for name, column in columns.items()}
    assert len(sort_matches("0a", 1, fewer, objects).classes) == 15_000


def npy(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def replaced(path: Path, name: str, content: bytes | None) -> None:
    """Write an NPZ file with another member, or without it."""
    with zipfile.ZipFile(path) as archive:
        members = {each: archive.read(each) for each in archive.namelist()}
    members.pop(f"{name}.npy")
    with zipfile.ZipFile(path, "w") as archive:
        for each, old in members.items():
            archive.writestr(each, old)
        if content is not None:
            archive.writestr(f"{name}.npy", content)


class Exploding:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was executed",))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("matches", None, "not a whole NPZ file"),
        ("matches", b"", "`matches` must be a list of unsigned integers"),
        ("matches", npy(np.array([Exploding()], dtype=object)), "`matches` must be a list of unsigned integers"),
        ("matches", npy(np.zeros(5, np.uint16)), r"`matches` must have \d+ rows, got 5"),
        ("matches", npy(np.zeros(5)), "`matches` must be a list of unsigned integers"),
        ("matches", npy(np.zeros((2, 2), np.uint16)), "`matches` must be a list of unsigned integers"),
        ("matches", npy(np.full(5, 1024, np.uint16)), "`matches` must be 0 to 1023, got 1024 to 1024"),
        ("image_indices", npy(np.full(5, 87, np.uint8)), "`image_indices` must be 0 to 86, got 87 to 87"),
        ("object_images", npy(np.full(900, 2**64 - 1, np.uint64)), "`object_images` must be 0 to 86, got -1 to -1"),
        ("object_classes", npy(np.full(900, 10**6, np.uint32)), "`object_classes` must be 0 to 99999"),
        ("object_classes", npy(np.zeros(899, np.uint8)), "`object_classes` must have 900 rows, got 899"),
        ("images", npy(np.zeros(0, np.uint32)), "not a whole NPZ file"),
        ("images", npy(np.array([2**40], np.uint64)), "`images` must be 1 to 10,000,000"),
        ("confidence_steps", npy(np.full(5, 0x7E00, np.uint16)), "`confidences` must "),
        ("fingerprint", npy(np.array([255], np.uint8)), "not a whole NPZ file"),
        # The header promises a terabyte.
        ("matches", npy(np.zeros(5, np.uint16)).replace(b"(5,), }", b"(%d,), }" % 2**39), "`matches` must be a list"),
    ],
)
def test_a_damaged_record_is_an_error(made, tmp_path, name, content, message):
    path = tmp_path / "a.npz"
    write_image_matches(path, made)
    replaced(path, name, content)
    with pytest.raises(DataError, match=rf"a\.npz: the record is damaged: {message}.*; remove the file"):
        read_image_matches(path)


def test_damaged_bytes_are_an_error_or_a_valid_record(made, tmp_path):
    path = tmp_path / "a.npz"
    write_image_matches(path, made)
    whole = path.read_bytes()
    for content in (b"", b"PK", whole[: len(whole) // 2], whole[100:]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="the record is damaged"):
            read_image_matches(path)
    generator, refused = np.random.default_rng(1), 0
    for _ in range(300):
        damaged = np.frombuffer(whole, np.uint8).copy()
        damaged[generator.integers(0, len(damaged), 3)] = generator.integers(0, 256, 3)
        path.write_bytes(damaged.tobytes())
        try:
            read_image_matches(path)
        except DataError:
            refused += 1
    assert refused > 250


def test_a_small_file_cannot_expand_to_much_memory(made, tmp_path):
    path = tmp_path / "a.npz"
    write_image_matches(path, made)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("matches.npy", bytes(300 * 1024 * 1024))
    assert path.stat().st_size < 1024 * 1024
    with pytest.raises(DataError, match="`matches` must be an array of at most 268,435,456 bytes"):
        read_image_matches(path)


def test_a_record_that_contradicts_itself_is_refused(made):
    for change, message in (
        ({"classes": made.classes[::-1]}, "sorted by class and descending confidence"),
        ({"confidences": made.confidences[::-1]}, "sorted by class and descending confidence"),
        ({"confidences": np.full_like(made.confidences, 1.5)}, "`confidences` must be in 0-1"),
        ({"ignored": made.matches}, "both match an object and be ignored"),
        (
            {"object_images": made.object_images[1:], "object_classes": made.object_classes[1:]},
            "more matches than objects",
        ),
        ({"object_classes": (made.object_classes + 1) % 3}, "more matches than objects"),
    ):
        with pytest.raises(DataError, match=message):
            replace(made, **change)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory):
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        study = open_study(write_small(tmp_path_factory.mktemp("study"), "{a: , b: se:reduction=2@after:Conv}"))
        run_study(study, LocalExecutor(), RecordingObserver())
        yield study


def copied(study: Study, folder: Path) -> Study:
    shutil.copytree(study.base, folder / "copy")
    return open_study(folder / "copy" / "study.yaml")


def test_a_study_keeps_the_detections_of_each_run(ran):
    records = read_study(ran.folder)
    assert records.image_matches.keys() == records.cells.keys()
    assert records.problems == ()
    first, second = records.image_matches.values()
    assert first.fingerprint == second.fingerprint == records.study.data.rpartition("-")[2]
    assert first.images == 4
    for key, matches in records.image_matches.items():
        scores = not_none(records.cells[key].best).per_class
        assert np.bincount(matches.object_classes, minlength=len(scores)).tolist() == [each.objects for each in scores]
        assert equal(matches, read_image_matches(next(ran.folder.path.glob(f"cells/*{key}/image_matches.npz"))))


def test_damaged_detections_are_a_problem_and_not_fatal(ran, tmp_path):
    folder = copied(ran, tmp_path).folder
    key = next(iter(read_study(folder).cells))
    folder.image_matches(key).write_bytes(b"PK")
    records = read_study(folder)
    assert len(records.cells) == 2
    assert key not in records.image_matches
    assert [problem.split(":")[0] for problem in records.problems] == ["a-seed0"]
    assert f"{key}.npz: the record is damaged" in records.problems[0]


def test_older_studies_without_detections_are_read(ran, tmp_path):
    folder = copied(ran, tmp_path).folder
    for path in folder.path.glob("cells/*.npz"):
        path.unlink()
    records = read_study(StudyFolder(folder.path))
    assert (len(records.cells), dict(records.image_matches), records.problems) == (2, {}, ())


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"PK")])
def test_missing_or_damaged_detections_are_computed_again_without_training(ran, tmp_path, damage, monkeypatch):
    study = copied(ran, tmp_path)
    cell = study.cells()[1][0]
    job, kept = study.job(cell), study.folder.image_matches(cell.key)
    before = read_image_matches(kept)
    damage(job.image_matches)
    kept.unlink()
    study.folder.cell(cell.key).unlink()
    monkeypatch.setattr("attendet.study.runs.job.train", lambda *_: pytest.fail("the run was trained again"))
    run_study(study, LocalExecutor(), RecordingObserver())
    assert equal(read_image_matches(kept), before)
    written = job.image_matches.stat().st_mtime_ns
    run_job(job, NullReporter())
    assert job.image_matches.stat().st_mtime_ns == written


def test_a_run_without_detections_is_recorded_with_a_message(ran, tmp_path):
    study, watcher = copied(ran, tmp_path), RecordingObserver()
    cell = study.cells()[1][0]
    for path in (study.job(cell).image_matches, study.folder.image_matches(cell.key), study.folder.cell(cell.key)):
        path.unlink()

    class Done(FailingExecutor):
        def run(self, jobs, observer):  # noqa: ARG002
            yield from ((job, None) for job in jobs)

    assert run_study(study, Done(), watcher).finished == 2
    assert "a-seed0: the detections on each validation image were not kept" in watcher.messages[0]
