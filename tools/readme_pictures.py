"""Draw the pictures of the README from the run that `make demo` leaves.

python tools/readme_pictures.py runs/demo docs/pictures
"""

from __future__ import annotations

import argparse
from pathlib import Path

import attendet
from attendet.utils.plotting import save_figure

IMAGE = "data/images/val/000.jpg"


def main() -> None:
    """Explain one validation image of the demo, and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("demo", type=Path, help="folder that `make demo` has written")
    parser.add_argument("out", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    (explanation,) = attendet.explain(options.demo / "train", options.demo / IMAGE)
    save_figure(explanation.figure(), options.out / "explain.png")
    print(f"wrote {options.out / 'explain.png'}")


if __name__ == "__main__":
    main()
