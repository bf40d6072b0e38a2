"""`attendet-runtime FILE IMAGE...`: find objects in images with an exported file."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from attendet_runtime._version import __version__
from attendet_runtime.box_labels import label_font
from attendet_runtime.detector import Detector, Options
from attendet_runtime.drawing import draw_detections
from attendet_runtime.errors import ImageError, UsageError, UserError, printable
from attendet_runtime.images import read_image
from attendet_runtime.maps import overlay_picture
from attendet_runtime.result_folder import PictureFolder, new_folder

DEFECTS = 1
"""Exit code of a command that skipped images."""
REFUSED = 2
"""Exit code after a mistake of the user, which one line on standard error explains."""
INTERRUPTED = 130
"""Exit code after Ctrl-C."""
PIPE_CLOSED = 141
"""Exit code of a command whose output has no reader any more, as in `| head` (128 + SIGPIPE, as in shells)."""

# Characters of the path of a module in the name of a picture.
_MAX_PATH = 100


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: Arguments of the command (default: `sys.argv`).
    """
    try:
        code = _run(_parser().parse_args(arguments))
        sys.stdout.flush()
    except UserError as error:
        _tell(str(error), sys.stderr)
        return REFUSED
    except MemoryError:
        _tell("not enough memory for an image, or for the canvas of the file", sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        _tell("interrupted", sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Python would complain when it closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise the error about an argument.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="attendet-runtime",
        description="Find objects in images with a file that `attendet export` wrote, and write annotated images.",
        epilog="Exit codes: 0 all images were read, 1 an image could not be read, 2 a mistake in the arguments.",
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="exported detector (.onnx)")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image file")
    parser.add_argument("--imgsz", type=int, metavar="PIXELS", help="longer side of scaled images [default: in FILE]")
    parser.add_argument("--conf", type=float, metavar="SCORE", help="smallest score, 0-1 [default: 0.25, or in FILE]")
    parser.add_argument("--iou", type=float, metavar="IOU", help="IoU threshold of NMS [default: in FILE]")
    parser.add_argument("--max-det", type=int, metavar="N", help="most detections per image [default: in FILE]")
    parser.add_argument("--classes", nargs="+", metavar="CLASS", help="keep these classes only, by index or name")
    parser.add_argument("--agnostic-nms", action="store_true", help="boxes of different classes suppress each other")
    parser.add_argument("--out", type=Path, metavar="DIR", help="new folder [default: runs/attendet-runtime/exp]")
    parser.add_argument("--no-save", "--nosave", action="store_true", help="write no annotated images")
    parser.add_argument("--maps", action="store_true", help="write the maps of attention modules, too")
    parser.add_argument("--json", action="store_true", help="print detections as JSON on standard output")
    parser.add_argument("--font", type=Path, metavar="FILE", help="TrueType font of labels")
    parser.add_argument("--version", action="version", version=f"attendet-runtime {__version__}")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    options = Options(
        arguments.imgsz,
        arguments.conf,
        arguments.iou,
        arguments.max_det,
        None if arguments.classes is None else [name for text in arguments.classes for name in text.split(",")],
        arguments.agnostic_nms,
    )
    if arguments.no_save and (arguments.maps or arguments.out):
        raise UsageError("--no-save must be left out with --maps and --out, which write files")
    if arguments.font is not None:
        label_font(arguments.font, 9)
    detector = Detector(arguments.file, options)
    if arguments.maps and not detector.description.gates:
        raise UsageError(f"{arguments.file}: --maps needs a file with maps; write it with `attendet export --gates`")
    counts: Counter[str] = Counter()
    entries: list[dict[str, Any]] = []
    folder: PictureFolder | None = None
    for name in arguments.images:
        try:
            pixels = read_image(name, detector.description.bit_depth)
        except ImageError as error:
            _tell(str(error), sys.stderr)
            continue
        detections, sites = detector.explain(pixels) if arguments.maps else (detector(pixels), ())
        counts.update(detections.class_name)
        entries.append({"image": name, "detections": detections.to_list()})
        if arguments.no_save:
            continue
        # Created only now, so that a run without any image leaves no folder behind.
        folder = folder or PictureFolder(new_folder(arguments.out))
        folder.write(name, draw_detections(pixels, detections, detector.names, font=arguments.font))
        for site in sites:
            picture = overlay_picture(pixels, site)
            if picture is not None:
                # The path is text of the file, which must not lead out of the folder.
                folder.write(name, picture, "_" + re.sub(r"[^\w.-]", "_", site.path)[:_MAX_PATH])
    _print(counts, entries, folder, as_json=arguments.json)
    if not entries:
        raise UserError("no image could be read")
    return DEFECTS if len(entries) < len(arguments.images) else 0


def _print(
    counts: Counter[str], entries: Sequence[dict[str, Any]], folder: PictureFolder | None, *, as_json: bool
) -> None:
    if as_json:
        _tell(json.dumps(entries), sys.stdout)
    out = sys.stderr if as_json else sys.stdout
    images = f"{len(entries)} image{'' if len(entries) == 1 else 's'}"
    _tell(f"{images}: {counts.total()} detection{'' if counts.total() == 1 else 's'}", out)
    for name, count in counts.most_common():
        _tell(f"  {printable(name)}: {count}", out)
    if folder is not None:
        _tell(f"results: {printable(str(folder.path))}", out)


def _tell(line: str, stream: TextIO) -> None:
    # A terminal may lack the letters of a name.
    stream.write(line.encode(stream.encoding, "backslashreplace").decode(stream.encoding) + "\n")
