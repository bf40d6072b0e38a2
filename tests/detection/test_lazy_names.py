"""Public names of `attendet.detection` are functions, regardless of imported modules, and import torchvision lazily."""

import subprocess
import sys

import pytest

import attendet.detection


@pytest.mark.parametrize(
    "module", ["suppression", "anchor_decoding", "anchor_matching", "anchor_loss", "anchors", "postprocess"]
)
def test_names_are_functions_after_importing_a_module(module: str) -> None:
    code = f"""
import attendet.detection.{module}
from attendet.detection import anchor_based_loss, assign_anchors, decode_anchors, fit_anchors, nms
assert all(map(callable, (anchor_based_loss, assign_anchors, decode_anchors, fit_anchors, nms)))
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_importing_the_package_does_not_import_torchvision() -> None:
    code = "import sys, attendet.detection; from attendet.detection import nms; sys.exit('torchvision' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_dir_lists_the_public_names() -> None:
    assert set(attendet.detection.__all__) <= set(dir(attendet.detection))
    assert {"anchor_based_loss", "assign_anchors", "decode_anchors", "fit_anchors", "nms"} <= set(
        attendet.detection.__all__
    )
