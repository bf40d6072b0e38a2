"""The examples run on real digits and reach their results."""

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tests.helpers.data_sets import digits

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_classify_starts_both_alike_and_learns(tmp_path: Path) -> None:
    for number, (pixels, digit) in enumerate(zip(*digits(), strict=True)):
        if digit < 2:
            folder = tmp_path / ("val" if number % 4 == 0 else "train") / str(digit)
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray((pixels * 15).astype("uint8")).convert("RGB").resize((32, 32)).save(
                folder / f"{number}.png"
            )
    options = ["--epochs", "6", "--learning-rate", "0.0003", "--size", "32", "--device", "cpu"]
    command = [sys.executable, str(EXAMPLES / "classify.py"), str(tmp_path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)  # noqa: S603 (our own)
    found = re.findall(r"(\w+) (before|after).*: accuracy (\d\.\d+), loss (\d+\.\d+)", done.stdout)
    results = {(name, when): (float(accuracy), float(loss)) for name, when, accuracy, loss in found}
    # The loss to six digits: a model that predicts one class for all images has the same accuracy for any logits.
    assert results["baseline", "before"] == results["cbam", "before"]
    assert results["baseline", "after"] != results["cbam", "after"]
    # Better than chance; the accuracy depends on the number of threads.
    assert min(results["baseline", "after"][0], results["cbam", "after"][0]) > 0.6
    assert "8 modules" in done.stdout
