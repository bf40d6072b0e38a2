"""Download of public data sets: verification of every file, and the catalog."""

import hashlib
import subprocess
import zipfile
from pathlib import Path

import pytest

from attendet.data.download.public_data import PublicSet, download_public_set, get, public_sets
from attendet.errors import DataError, OutputError, UnknownNameError
from tests.helpers.http_server import CHOSEN, CONTENT, Site, zip_bytes

TEXT = "path: .\ntrain: images\nval: images\nnames: [dot]\n"


@pytest.fixture
def dots(tmp_path: Path) -> PublicSet:
    """A public data set whose digest was computed by coreutils."""
    folder = tmp_path / "by_hand"
    for name, data in CONTENT.items():
        path = folder / name.removeprefix("top/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    command = "find * -type f | LC_ALL=C sort | xargs sha256sum | sha256sum"
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, check=True)  # noqa: S602
    return PublicSet("dots", "", "", "", "", CHOSEN, done.stdout.split()[0], TEXT)


def test_download_writes_the_files_and_a_data_yaml(site: Site, dots: PublicSet, tmp_path: Path) -> None:
    site.content = zip_bytes(CONTENT)
    progress = []
    written = download_public_set(
        dots, tmp_path / "new" / "out", url=site.url, progress=lambda done, total: progress.append((done, total))
    )
    assert written == tmp_path / "new" / "out" / "data.yaml"
    files = {str(path.relative_to(written.parent)): path.read_bytes() for path in written.parent.rglob("*.*")}
    assert files == {name.removeprefix("top/"): data for name, data in CONTENT.items()} | {"data.yaml": TEXT.encode()}
    assert progress[-1] == (len(site.content), len(site.content))
    assert [path.name for path in written.parent.parent.iterdir()] == ["out"]


def test_other_content_is_refused_and_removed(site: Site, dots: PublicSet, tmp_path: Path) -> None:
    site.content = zip_bytes(CONTENT | {"top/images/a.jpg": b"another"})
    out = tmp_path / "out"
    with pytest.raises(DataError, match="the digest of the 3 files of dots must be"):
        download_public_set(dots, out, url=site.url)
    site.content = zip_bytes(CONTENT)[:-100]
    with pytest.raises(DataError, match="archive is damaged"):
        download_public_set(dots, out, url=site.url)
    site.content = zip_bytes({"top/labels/a.txt": b""})
    with pytest.raises(DataError, match=r"no file images/\*.jpg"):
        download_public_set(dots, out, url=site.url)
    assert [path.name for path in tmp_path.iterdir()] == ["by_hand"]
    # The failed downloads do not prevent a good one.
    site.content = zip_bytes(CONTENT)
    download_public_set(dots, out, url=site.url)
    with pytest.raises(OutputError, match="already exists"):
        download_public_set(dots, out, url=site.url)


@pytest.mark.parametrize(
    "name", ["top/../../evil.txt", "/etc/evil", "top//evil", "C:/evil", "top\\..\\evil", "top/labels/a\x1b[2J.txt"]
)
def test_members_with_a_path_outside_the_folder(site: Site, dots: PublicSet, tmp_path: Path, name: str) -> None:
    site.content = zip_bytes(CONTENT | {name: b"evil"})
    with pytest.raises(DataError, match="has a path outside the folder"):
        download_public_set(dots, tmp_path / "a" / "out", url=site.url)
    assert list((tmp_path / "a").iterdir()) == []
    assert not list(tmp_path.rglob("evil*"))


def test_an_unknown_name_is_an_error() -> None:
    with pytest.raises(UnknownNameError, match="unknown public data set 'pear'"):
        get("pear")


@pytest.mark.parametrize("name", ["bccd", "pear640"])
def test_the_catalog_matches_the_public_files(site: Site, real_data: Path, tmp_path: Path, name: str) -> None:
    original = real_data / name
    known = public_sets()[name]
    # The archive as GitHub packs it: with the paths of the repository, and with further files.
    patterns = {destination: Path(pattern) for pattern, destination in known.chosen.items() if destination}
    content = {"top/README.md": b"", "top/data/images/a.json": b"{}"}
    for destination, pattern in patterns.items():
        for path in (original / destination).iterdir():
            content[f"top/{pattern.parent}/{path.name}"] = path.read_bytes()
    if "LICENSE" in known.chosen:
        content["top/LICENSE"] = (original / "LICENSE").read_bytes()
    site.content = zip_bytes(content, zipfile.ZIP_STORED)
    out = download_public_set(known, tmp_path / name, url=site.url).parent
    for listed in original.glob("*.txt"):
        assert (out / listed.name).read_text() == listed.read_text()
    photograph = next(original.rglob("*.jpg")).relative_to(original)
    assert hashlib.sha256((out / photograph).read_bytes()).digest() == (
        hashlib.sha256((original / photograph).read_bytes()).digest()
    )
