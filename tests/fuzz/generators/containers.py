"""Zip archives built member by member, with any name, size, and flag."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterable, Mapping
from io import BytesIO
from random import Random

from tests.fuzz.hostile_values import TEXTS
from tests.fuzz.mutations import mutate_bytes, sometimes

_DATE = (1980, 1, 1, 0, 0, 0)
_LINK = 0o120777 << 16
_DEVICE = 0o020666 << 16

MEMBER_NAMES = (
    "../outside",
    "/etc/outside",
    "a/../../outside",
    "a\\..\\outside",
    "C:outside",
    "a//b",
    "a/.",
    "a/data.pkl/",
    "a/\x1b[31m",
    "a/" + "x" * 300,
    "",
    "/",
)


def zip_bytes(
    members: Iterable[tuple[str, bytes]], compression: int = zipfile.ZIP_STORED, attributes: int = 0
) -> bytes:
    """Return a zip archive with the same bytes on every machine.

    Args:
        members: Names and contents; names may repeat.
        compression: Compression of all members.
        attributes: External attributes of all members, such as the type of a link.
    """
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings():
        # zipfile warns about repeated names.
        warnings.simplefilter("ignore")
        for name, content in members:
            member = zipfile.ZipInfo(name or "x", _DATE)
            member.compress_type, member.external_attr = compression, attributes
            archive.writestr(member, content)
    return file.getvalue()


def hostile_zip(random: Random, members: Mapping[str, bytes]) -> bytes:
    """Return an archive of these members after changes of its members and of its bytes."""
    listed = list(members.items())
    for _ in range(random.choice((0, 1, 1, 3))):
        place = random.randrange(len(listed) + 1)
        name, content = random.choice(listed) if listed else ("a/x", b"")
        changes = (
            (name, content),
            (random.choice(MEMBER_NAMES), content),
            (random.choice(TEXTS)[:1000].replace("\0", ""), content),
            (name, mutate_bytes(random, content)),
            (name, content[: len(content) // 2]),
            (name, bytes(random.choice((1, 1000)))),
        )
        if sometimes(random, 0.01):
            changes = ((name, bytes(40_000_000)),)
        listed[place : place + random.choice((0, 1))] = [random.choice(changes)]
    compression = random.choice((zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2))
    if sum(len(content) for _, content in listed) > 1_000_000:
        compression = zipfile.ZIP_DEFLATED
    archive = zip_bytes(listed, compression, random.choice((0, 0, 0, _LINK, _DEVICE)))
    return mutate_bytes(random, archive) if sometimes(random, 0.4) else archive
