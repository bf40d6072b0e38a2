"""Public data sets by name: where they are, what is in them, to the byte, and under which license."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from attendet.data.download.archive import tree_digest, unpack
from attendet.data.download.http import fetch
from attendet.errors import DataError, Location, unknown_name
from attendet.utils.io import cannot_write, refuse_existing

MIB = 1024 * 1024


def _no_lists(_folder: Path) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class PublicSet:
    """A data set that `download_public_set` can fetch.

    Attributes:
        name: What users call it.
        about: What is in it, in a line.
        home: The page that people should look at, and cite.
        license: Its license, and whom to name.
        url: An archive of one commit.
        chosen: Which of the archive's files are taken, and the folder they go to (see
            `attendet.data.download.archive.unpack`).
        digest: `tree_digest` of the files taken. The archive itself has no fixed checksum: GitHub packs it on demand.
        data_yaml: The text of its data.yaml.
        lists: Unpacked folder → further text files, by name.
        max_download: Bound on the archive, in bytes.
        max_unpacked: Bound on everything in the archive, in bytes.
    """

    name: str
    about: str
    home: str
    license: str
    url: str
    chosen: Mapping[str, str]
    digest: str
    data_yaml: str
    lists: Callable[[Path], Mapping[str, str]] = field(default=_no_lists, repr=False)
    max_download: int = 256 * MIB
    max_unpacked: int = 512 * MIB


def _by_photo(folder: Path) -> Mapping[str, str]:
    """Return lists of pear640: every fourth photograph is kept for validation, with all the tiles cut from it.

    Tiles of one photograph overlap; a split by tile would have the same pears on both sides.
    """
    tiles = sorted(path.name for path in (folder / "images").iterdir())
    photos = sorted({_photo(tile) for tile in tiles})
    held_out = set(photos[3::4])
    train = [f"./images/{tile}\n" for tile in tiles if _photo(tile) not in held_out]
    val = [f"./images/{tile}\n" for tile in tiles if _photo(tile) in held_out]
    return {"train.txt": "".join(train), "val.txt": "".join(val)}


def _photo(tile: str) -> str:
    return tile.rpartition("_")[0]


def public_sets() -> dict[str, PublicSet]:
    """Return the sets by name.

    Example:
        >>> sorted(public_sets())
        ['bccd', 'pear640']
    """
    bccd = PublicSet(
        name="bccd",
        about="364 microscope images of blood cells, 640x480; 4,888 boxes: RBC, WBC, Platelets; train, val, test",
        home="https://github.com/Shenggan/BCCD_Dataset",
        license="MIT, copyright 2017 shenggan",
        url="https://github.com/Shenggan/BCCD_Dataset/archive/135df0221baca7b51c18190791522ddeba8fddbf.zip",
        chosen={
            "LICENSE": "",
            "BCCD/Annotations/*.xml": "Annotations",
            "BCCD/ImageSets/Main/*.txt": "ImageSets/Main",
            "BCCD/JPEGImages/*.jpg": "JPEGImages",
        },
        digest="59644a58a3258229e3d80fa24e74e158c7a9ee62395ee7d32618850f72bfd3e6",
        data_yaml=(
            "path: .\n"
            "format: voc\n"
            "train: ImageSets/Main/train.txt\n"
            "val: ImageSets/Main/val.txt\n"
            "test: ImageSets/Main/test.txt\n"
            "names: [RBC, WBC, Platelets]\n"
        ),
    )
    pear640 = PublicSet(
        name="pear640",
        about="712 tiles, 640x640, of 59 photographs of pear orchards; 8,340 boxes, mostly small: pear; train, val",
        home="https://github.com/ai-agriculture-circuits-and-systems/Pear640",
        license="CC BY 4.0; Kodors et al. 2023, doi:10.17770/etr2023vol1.7293",
        url=(
            "https://github.com/ai-agriculture-circuits-and-systems/Pear640/archive/"
            "3a8db71fa4b6b7ffe5c1b9b0431fb71c8a0d5b8b.zip"
        ),
        chosen={"data/images/*.jpg": "images", "data/labels/*.txt": "labels"},
        digest="6c9de575fe2cca43ee15205e84b6dc8a4e0a2b7efcbe5f774741d8ebf659c40a",
        data_yaml="path: .\nformat: yolo\ntrain: train.txt\nval: val.txt\nnames: [pear]\n",
        lists=_by_photo,
    )
    return {known.name: known for known in (bccd, pear640)}


def find_public_set(name: str) -> PublicSet:
    """Return the public set of a name.

    Raises:
        UnknownNameError: If there is none.
    """
    known = public_sets()
    if name not in known:
        raise unknown_name("public data set", name, known)
    return known[name]


def download_public_set(
    wanted: PublicSet, out: Path, *, url: str | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Download a public set, check every file of it, and write a data.yaml.

    The archive waits beside `out` while it arrives, and a second call goes on where the first was broken off. `out`
    appears at the end, whole.

    Args:
        wanted: The set.
        out: The folder to make.
        url: Another address of the same archive. What is in it is checked all the same.
        progress: Called with the bytes that have arrived and the bytes there are (0 where the server does not tell).

    Returns:
        The path of the data.yaml.

    Raises:
        DataError: If it cannot be downloaded, or is not what was pinned.
        OutputError: If `out` exists or cannot be written.
    """
    refuse_existing(out)
    archive = out.with_name(f".{out.name}.zip")
    fresh = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            fetch(url or wanted.url, archive, max_bytes=wanted.max_download, progress=progress)
        try:
            fresh.mkdir()
            _fill(fresh, archive, wanted)
            fresh.rename(out)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            # Good or bad, it is not needed again.
            archive.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    return out / "data.yaml"


def _fill(folder: Path, archive: Path, wanted: PublicSet) -> None:
    count = unpack(archive, folder, wanted.chosen, max_bytes=wanted.max_unpacked)
    found = tree_digest(folder)
    if found != wanted.digest:
        raise DataError(
            f"the {count} files downloaded are not those of {wanted.name}: their digest is {found}, "
            f"and {wanted.digest} is expected",
            where=Location(wanted.url),
            remedy="nothing was kept; try again, and report it if it happens twice",
        )
    for name, text in {**wanted.lists(folder), "data.yaml": wanted.data_yaml}.items():
        (folder / name).write_text(text, encoding="utf-8")
