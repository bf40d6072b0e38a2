"""Records on disk: frozen pydantic models as JSON files."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from attendet.errors import DataError, Location
from attendet.utils.io import read_json, write_json
from attendet.utils.limits import MAX_JSON_BYTES
from attendet.utils.settings import StrictModel

Record = TypeVar("Record", bound=StrictModel)


def write_record(path: Path, record: StrictModel) -> None:
    """Write a record atomically as a JSON file, under the names of its fields.

    Numbers that are not finite are written as null.

    Raises:
        OutputError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> class Speed(StrictModel):
        ...     batch: int
        ...     seconds: float | None
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_record(Path(folder, "speed.json"), Speed(batch=16, seconds=0.5))
        ...     read_record(Path(folder, "speed.json"), Speed)
        Speed(batch=16, seconds=0.5)
    """
    write_json(path, record.model_dump(mode="json"))


def read_record(path: Path, model: type[Record], *, max_bytes: int = MAX_JSON_BYTES) -> Record:
    """Return the record in a JSON file.

    Args:
        path: The file.
        model: Class of the record.
        max_bytes: Size above which the file is refused unread.

    Raises:
        DataError: If the file cannot be opened, is too large, is not JSON, or does not hold such a record; the error
            names the file and the field.
    """
    content = read_json(path, max_bytes, remedy="remove it; no record is this large")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        what = f"the record is damaged: {describe_mismatch(error)}"
        raise DataError(what, where=Location(str(path)), remedy="remove the file") from error


def describe_mismatch(error: ValidationError) -> str:
    """Return the first field that does not fit its model, and the reason.

    Example:
        >>> class Speed(StrictModel):
        ...     seconds: float
        >>> try:
        ...     Speed.model_validate({"seconds": "fast"})
        ... except ValidationError as error:
        ...     print(describe_mismatch(error))
        `seconds`: input should be a valid number, unable to parse string as a number
    """
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"])
    reason = first["msg"].removeprefix("Value error, ")
    return f"`{field}`: {reason[:1].lower()}{reason[1:]}" if field else reason
