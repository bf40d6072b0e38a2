"""Detection of the layout of a data set: the format of its labels, and the splits of a folder without a data.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from attendet.data.formats.cvat import cvat_splits, is_cvat_file
from attendet.data.formats.image_files import find_images
from attendet.data.reading.coco_files import is_coco_file, is_named_after
from attendet.data.reading.darknet import is_darknet_file, read_darknet_file
from attendet.data.reading.data_file import SPLITS, DataFile, SplitEntry
from attendet.data.reading.evidence import Evidence, find_evidence
from attendet.data.reading.label_folders import IMAGE_FOLDERS, LABEL_FOLDERS, FolderListing, is_named
from attendet.data.reading.split_names import split_of
from attendet.data.reading.voc_files import find_voc_lists, list_of_split
from attendet.errors import DataError, Location


@dataclass(frozen=True)
class FolderLayout:
    """The splits of a folder in one format.

    Attributes:
        described: The splits, as a data.yaml would describe them.
        file: The file that shows the format.
    """

    described: DataFile
    file: str


def detect_layout(data: Path, format: str | None) -> DataFile:  # noqa: A002 - the name of the option
    """Return the splits that a folder or a COCO file has, as a data.yaml would describe them.

    Args:
        data: A folder, or a COCO file.
        format: The only format to look for (`yolo`, `coco`, `voc`, or `cvat`), or None for all.

    Raises:
        DataError: If the path is not a data set in this format, or has labels in several formats.
    """
    if data.is_file():
        if is_cvat_file(str(data)) and format in (None, "cvat"):
            return _data_file(data.parent, "cvat", dict.fromkeys(cvat_splits(data), str(data)), str(data))
        if data.suffix.lower() != ".json" or format not in (None, "coco"):
            remedy = "name a .yaml or .json file"
            raise DataError("the file is not a data.yaml or a COCO file", where=Location(str(data)), remedy=remedy)
        return _data_file(data.parent, "coco", {"train": str(data)}, str(data))
    listing = FolderListing()
    folder = str(data.resolve())
    layouts: dict[str, FolderLayout] = {}
    for layout in _layouts(folder, listing):
        layouts.setdefault(str(layout.described.format), layout)
    if format is not None:
        layouts = {name: layout for name, layout in layouts.items() if name == format}
    if len(layouts) > 1:
        raise _several_formats([(name, layout.file) for name, layout in layouts.items()], data, Location(str(data)))
    if not layouts:
        searched = "ImageSets (VOC), images and labels (YOLO), or a COCO file" if format is None else f"{format} files"
        raise DataError(f"no data.yaml found, and no {searched}", where=Location(str(data)), remedy="write a data.yaml")
    return next(iter(layouts.values())).described


def detect_format(data_file: DataFile) -> tuple[str, str | None]:
    """Return the format (`yolo`, `coco`, `voc`, or `cvat`) of the labels of a data.yaml, and the file that shows it.

    Label files where YOLOv5 looks for them decide: a data.yaml without `format` means these. Without any label file,
    the format is `yolo`.

    Raises:
        DataError: If there are labels in several formats, and none of them where YOLOv5 looks for labels.
    """
    listing = FolderListing()
    found: dict[str, Evidence] = {}
    for split, entries in data_file.splits.items():
        for entry in entries:
            for evidence in find_evidence(entry, split, data_file.root, listing, prefer_usual=True):
                if evidence.format not in found or (evidence.is_usual and not found[evidence.format].is_usual):
                    found[evidence.format] = evidence
    usual = found.get("yolo")
    if usual is not None and usual.is_usual:
        return "yolo", usual.file
    if len(found) > 1:
        where = next(iter(data_file.splits.values()))[0].where
        raise _several_formats([(each.format, each.file) for each in found.values()], data_file.root, where)
    return next(((each.format, each.file) for each in found.values()), ("yolo", None))


def _several_formats(found: Sequence[tuple[str, str]], root: Path, where: Location) -> DataError:
    listed = " and ".join(f"{name} ({short_path(file, root)})" for name, file in found)
    names = " or ".join(f"`format: {name}`" for name, _ in found)
    return DataError(
        f"labels must have one format, got {listed}", where=where, remedy=f"choose with {names}, or with --format"
    )


def short_path(path: str, root: Path) -> str:
    """Return a path relative to the folder of the data set, if it is inside it."""
    for folder in (root, root.resolve()):
        if path.startswith(f"{folder}/"):
            return path.removeprefix(f"{folder}/")
    return path


def _data_file(root: Path, format: str, splits: Mapping[str, str], file: str) -> DataFile:  # noqa: A002
    root = root.resolve()
    entries = {name: (SplitEntry(str(Path(path).resolve()), Location(path)),) for name, path in splits.items()}
    return DataFile(root, entries, None, format, None, short_path(str(Path(file).resolve()), root))


def _layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    """Yield each way to read a folder; of one format, the first way counts."""
    yield from _darknet_layouts(folder, listing)
    yield from _voc_layouts(folder, listing)
    yield from _coco_layouts(folder, listing)
    yield from _cvat_layouts(folder, listing)
    yield from _image_folder_layouts(folder, listing)


def _darknet_layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    for place in (folder, f"{folder}/data", f"{folder}/cfg"):
        for file in listing.with_suffix(place, ".data"):
            if is_darknet_file(Path(file)):
                yield FolderLayout(read_darknet_file(Path(file)), file)


def _voc_layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    """Yield the lists in `ImageSets/Main` of the folder, or of one folder in it such as `VOCdevkit/VOC2007`."""
    levels = [[folder]]
    for _ in range(2):
        levels.append([f"{above}/{name}" for above in levels[-1] for name in listing.folders(above)])
    for level in levels:
        roots = [root for root in level if find_voc_lists(root, listing)]
        if len(roots) > 1:
            raise DataError(
                f"the folder must have one VOC data set, got {short_path(roots[0], Path(folder))} and "
                f"{short_path(roots[1], Path(folder))}",
                where=Location(folder),
                remedy="name one of them, or list both in a data.yaml",
            )
        if roots:
            lists = find_voc_lists(roots[0], listing)
            splits = {split: path for split in SPLITS if (path := list_of_split(lists, split))}
            if splits:
                yield FolderLayout(
                    _data_file(Path(roots[0]), "voc", splits, next(iter(splits.values()))), next(iter(splits.values()))
                )
            return


def _coco_layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    """Yield the COCO file of each split, by its name; a single file with another name is for training."""
    named = [name for name in listing.folders(folder) if is_named(name, LABEL_FOLDERS[".json"]) or split_of(name)]
    places = [folder, *(f"{folder}/{name}" for name in named)]
    places += [
        f"{place}/{name}"
        for place in places[1:]
        for name in listing.folders(place)
        if not is_named(name, IMAGE_FOLDERS)
    ]
    files = [file for place in places for file in listing.with_suffix(place, ".json") if is_coco_file(file)]
    splits: dict[str, str] = {}
    for split in SPLITS:
        of_split = [file for file in files if is_named_after(file, split, folder)]
        instances = [file for file in of_split if Path(file).stem.startswith("instances")] or of_split
        if instances:
            splits[split] = _only(instances, split, folder)
    if not splits and len(files) == 1:
        splits["train"] = files[0]
    if splits:
        yield FolderLayout(
            _data_file(Path(folder), "coco", splits, next(iter(splits.values()))), next(iter(splits.values()))
        )


def _cvat_layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    """Yield the export "CVAT for images", usually `annotations.xml` next to `images`, with the subsets that it has."""
    for file in listing.with_suffix(folder, ".xml"):
        if is_cvat_file(file):
            splits = dict.fromkeys(cvat_splits(Path(file)), file)
            yield FolderLayout(_data_file(Path(folder), "cvat", splits, file), file)


def _image_folder_layouts(folder: str, listing: FolderListing) -> Iterator[FolderLayout]:
    """Yield the folders or lists of the images of each split, once for each format of their labels."""
    splits = _image_splits(folder, listing)
    found: dict[str, str] = {}
    for split, path in splits.items():
        entry = SplitEntry(path, Location(path))
        for evidence in find_evidence(entry, split, Path(folder), listing, prefer_usual=False):
            found.setdefault(evidence.format, evidence.file)
    for name, file in found.items():
        # The splits of a COCO file or of CVAT are in the file or its name.
        if name not in ("coco", "cvat"):
            yield FolderLayout(_data_file(Path(folder), name, splits, file), file)


def _image_splits(folder: str, listing: FolderListing) -> dict[str, str]:
    """Return the folder or list of the images of each split, or the images of the folder as the split `train`.

    A split is `images/train`, `train/images`, `train`, or `train.txt`.
    """
    splits: dict[str, str] = {}
    for split in SPLITS:
        for candidates in _split_paths(folder, split, listing):
            if candidates:
                splits[split] = _only(candidates, split, folder)
                break
    if splits:
        return splits
    images = [f"{folder}/{name}" for name in listing.named(folder, IMAGE_FOLDERS)]
    if images:
        return {"train": _only(images, "train", folder)}
    return {"train": folder} if find_images(folder).images else {}


def _split_paths(folder: str, split: str, listing: FolderListing) -> Iterator[list[str]]:
    folders = listing.folders(folder)
    image_folders = listing.named(folder, IMAGE_FOLDERS)
    # `train_labels` has no images.
    of_split = [name for name in folders if split_of(name) == split and not _has_label_word(name)]
    yield [
        f"{folder}/{images}/{name}"
        for images in image_folders
        for name in listing.folders(f"{folder}/{images}")
        if split_of(name) == split
    ]
    yield [
        f"{folder}/{name}/{images}"
        for name in of_split
        for images in listing.folders(f"{folder}/{name}")
        if is_named(images, IMAGE_FOLDERS)
    ]
    yield [f"{folder}/{name}" for name in of_split if find_images(f"{folder}/{name}").images]
    yield [file for file in listing.with_suffix(folder, ".txt") if split_of(Path(file).stem) == split]


def _has_label_word(name: str) -> bool:
    return any(word in name.lower() for words in LABEL_FOLDERS.values() for word in words)


def _only(paths: Sequence[str], split: str, folder: str) -> str:
    if len(paths) > 1:
        listed = " and ".join(short_path(path, Path(folder)) for path in paths[:2])
        raise DataError(
            f"the split {split} must be one folder or file, got {listed}",
            where=Location(folder),
            remedy="name the splits in a data.yaml",
        )
    return paths[0]
