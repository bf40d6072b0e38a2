"""Folders whose files have odd names and odd types."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random

from tests.fuzz.hostile_values import TEXTS
from tests.fuzz.mutations import sometimes
from tests.helpers.data_sets import write_image

_MAX_BYTES = 200


def write_odd_names(random: Random, folder: Path) -> Path:
    """Write a data set whose files have odd names: images, labels, links, pipes, and folders."""
    write_image(folder / "a.png", (16, 12))
    picture = (folder / "a.png").read_bytes()
    for _ in range(random.randint(1, 4)):
        suffix = random.choice((".png", ".png", ".jpg", ".mp4", ".txt", ".PNG", ""))
        path = folder / os.fsdecode(_name(random) + suffix.encode())
        if os.path.lexists(path):
            continue
        match random.choice(("image", "image", "image", "label", "link", "loop", "pipe", "folder", "empty")):
            case "image":
                path.write_bytes(picture)
            case "label":
                path.with_suffix(".txt").write_text("0 0.5 0.5 0.1 0.1")
            case "link":
                path.symlink_to(random.choice(("a.png", "/dev/zero", "missing", "/etc/passwd")))
            case "loop":
                path.symlink_to(path.name)
            case "pipe":
                os.mkfifo(path)
            case "folder":
                path.mkdir()
            case _:
                path.touch()
    (folder / "data.yaml").write_text("train: .\nnames: [cat]\n")
    return folder


def _name(random: Random) -> bytes:
    """Return a file name that may be any bytes except a slash and zero."""
    text = random.choice(TEXTS).encode("utf-8", "surrogatepass")
    if sometimes(random, 0.3):
        text = random.randbytes(random.randint(1, 12))
    return text.replace(b"/", b"_").replace(b"\0", b"_")[:_MAX_BYTES].lstrip(b".") or b"x"
