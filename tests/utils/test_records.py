"""Records are written and read as JSON, and damaged files are reported by file and field."""

import json
import math
from pathlib import Path

import pytest

from attendet.errors import DataError
from attendet.utils.records import read_record, write_record
from attendet.utils.settings import StrictModel


class Part(StrictModel):
    """A nested model."""

    seconds: float | None


class Measurement(StrictModel):
    """A record with nested and optional values."""

    name: str
    parts: dict[str, Part]
    sizes: tuple[int, ...] = ()


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    # The name of a file that is not UTF-8.
    record = Measurement(name="caf\udce9.png", parts={"load": Part(seconds=0.5)}, sizes=(1, 16))
    write_record(tmp_path / "new" / "record.json", record)
    assert read_record(tmp_path / "new" / "record.json", Measurement) == record
    assert json.loads((tmp_path / "new" / "record.json").read_text()) == {
        "name": "caf\udce9.png",
        "parts": {"load": {"seconds": 0.5}},
        "sizes": [1, 16],
    }


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    write_record(tmp_path / "a.json", Measurement(name="a", parts={"load": Part(seconds=math.nan)}))
    assert read_record(tmp_path / "a.json", Measurement).parts["load"].seconds is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r"a\.json:1:2: .*not JSON"),
        (b"\xff", r"a\.json: .*UTF-8"),
        (b"[" * 100_000, r"a\.json: the JSON has .* lists that are nested too deeply"),
        (b"{}", r"a\.json: the record is damaged: `name`: field required; remove the file"),
        (
            b'{"name": "a", "parts": {"x": {"seconds": "long"}}}',
            r"damaged: `parts\.x\.seconds`: input should be a valid",
        ),
        (b'{"name": "a", "parts": {}, "other": 1}', r"damaged: `other`: extra inputs are not permitted"),
        (b" " * 2000, r"a\.json: .*1,000 bytes"),
    ],
)
def test_damaged_records_are_reported_with_file_and_field(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_record(tmp_path / "a.json", Measurement, max_bytes=1_000_000 if len(content) > 50_000 else 1000)


def test_a_missing_record_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a\.json: .*No such file"):
        read_record(tmp_path / "a.json", Measurement)
