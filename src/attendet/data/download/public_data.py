"""Public data sets that can be downloaded by name: address, license, and a digest of every file."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from attendet.data.download.archive import extract, folder_digest
from attendet.data.download.http import fetch
from attendet.errors import DataError, Location, unknown_name
from attendet.utils.io import cannot_write, refuse_existing
from attendet.utils.processes.folder_lock import exclusive_lock
from attendet.utils.processes.temporary_files import download_folder

_MIB = 1024 * 1024


def _no_lists(_folder: Path) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class PublicSet:
    """A public data set that can be downloaded.

    Attributes:
        name: Name for `attendet.data.get`.
        about: Its content, in one line.
        home: Web page of the data set, to read and to cite.
        license: License, and whom to credit.
        url: Address of an archive of one commit.
        chosen: Files of the archive to extract, and their folders (see `attendet.data.download.archive.extract`).
        digest: `folder_digest` of the extracted files. The archive itself has no fixed checksum, because GitHub packs
            it on demand.
        data_yaml: Text of its data.yaml.
        lists: Function that returns further text files by name, given the folder of the extracted files.
        max_download: Largest size of the archive in bytes.
        max_extracted: Largest size of all files in the archive in bytes.
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
    max_download: int = 256 * _MIB
    max_extracted: int = 512 * _MIB


def _split_by_photo(folder: Path) -> Mapping[str, str]:
    """Return the lists of pear640: every fourth photograph is for validation, with all tiles cut from it.

    Tiles of one photograph overlap. If tiles were split at random, the same pears would be in both splits.
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
    """Return the public data sets that can be downloaded, by name.

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
        lists=_split_by_photo,
    )
    return {public.name: public for public in (bccd, pear640)}


def get(
    name: str,
    out: str | Path | None = None,
    *,
    url: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Download a public data set, verify every file, and write its data.yaml.

    If the download is interrupted, the same call resumes it. The folder appears at the end, complete.

    Args:
        name: Name of the data set; `attendet.data.public_sets` lists them.
        out: Folder to create; by default the name, in the current folder.
        url: Another address of the same archive; its files are verified, too.
        progress: Called with the number of bytes downloaded and the size of the archive (0 if the server does not send
            it).

    Returns:
        Path of the data.yaml, which `attendet.data.open` and training take.

    Raises:
        UnknownNameError: If there is no public data set of this name.
        DataError: If the data set cannot be downloaded, or a file differs from the original.
        OutputError: If `out` exists or cannot be written.

    Example:
        >>> from attendet import data
        >>> sorted(data.public_sets())
        ['bccd', 'pear640']
        >>> data.get("pears")  # doctest: +IGNORE_EXCEPTION_DETAIL
        Traceback (most recent call last):
        UnknownNameError: there is no public data set 'pears'
    """
    known = public_sets()
    if name not in known:
        raise unknown_name("public data set", name, known)
    return download_public_set(known[name], Path(name if out is None else out), url=url, progress=progress)


def download_public_set(
    public: PublicSet, out: Path, *, url: str | None = None, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Download a public data set; for arguments, result, and errors, see `get`."""
    refuse_existing(out)
    folder = download_folder(out)
    archive, extracted = folder / "archive.zip", folder / "files"
    try:
        with exclusive_lock(folder, "download"):
            shutil.rmtree(extracted, ignore_errors=True)
            if not archive.exists():
                fetch(url or public.url, archive, max_bytes=public.max_download, progress=progress)
            try:
                extracted.mkdir()
                _extract_and_verify(extracted, archive, public)
                extracted.rename(out)
            finally:
                # A complete archive is not needed again, whether its files were valid or not.
                shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    finally:
        _remove_if_empty(folder)
    return out / "data.yaml"


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _extract_and_verify(folder: Path, archive: Path, public: PublicSet) -> None:
    count = extract(archive, folder, public.chosen, max_bytes=public.max_extracted)
    digest = folder_digest(folder)
    if digest != public.digest:
        raise DataError(
            f"the digest of the {count} files of {public.name} must be {public.digest}, got {digest}",
            where=Location(public.url),
            remedy="try again, and report it if it happens twice; no file was kept",
        )
    for name, text in {**public.lists(folder), "data.yaml": public.data_yaml}.items():
        (folder / name).write_text(text, encoding="utf-8")
