"""The examples run, on real digits, and keep what they promise."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_classify_starts_both_alike_and_learns(tmp_path: Path) -> None:
    digits = load_digits()
    for number, (pixels, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        if digit < 2:
            folder = tmp_path / ("val" if number % 4 == 0 else "train") / str(digit)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype("uint8")).convert("RGB").resize((32, 32)).save(
                folder / f"{number}.png"
            )
    options = ["--epochs", "4", "--size", "32", "--device", "cpu"]
    command = [sys.executable, str(EXAMPLES / "classify.py"), str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)  # noqa: S603 (our own)
    found = re.findall(r"(\w+): accuracy (\d\.\d+) before training, (\d\.\d+) after", done.stdout)
    (baseline, start, end), (attention, same_start, attention_end) = found
    assert (baseline, attention) == ("baseline", "cbam")
    assert start == same_start
    assert float(end) > 0.8
    assert float(attention_end) > 0.8
    assert "8 modules" in done.stdout
