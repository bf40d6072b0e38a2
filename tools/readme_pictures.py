"""Draw the pictures of the README from the run that `make demo` leaves.

python tools/readme_pictures.py runs/demo docs/pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

import attendet
from attendet.utils.plotting import save_figure

WIDTH = 1400
IMAGE = "data/images/val/003.jpg"


def main() -> None:
    """Explain one validation image of the demo, and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that `make demo` has written")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    (explanation,) = attendet.explain(options.demo / "train", options.demo / IMAGE)
    picture = options.out / "explain.jpg"
    with TemporaryDirectory() as folder:
        drawn = Path(folder, "explain.png")
        save_figure(explanation.figure(), drawn)
        # Photographs make a large PNG.
        with Image.open(drawn) as image:
            image.convert("RGB").resize((WIDTH, WIDTH * image.height // image.width)).save(picture, quality=90)
    print(f"wrote {picture}")


if __name__ == "__main__":
    main()
