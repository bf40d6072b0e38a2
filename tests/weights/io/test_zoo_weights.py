"""For every attention module, attaching, loading, saving, and opening keep all weights."""

import warnings
from pathlib import Path

import pytest
import torch

import attendet
from attendet.attention import names
from attendet.errors import AttendetWarning
from attendet.models.bundled import bundled_text
from attendet.weights.io import opening
from attendet.weights.io.model_card import ModelCard

MODULES = [name for name in names() if name != "control-identity"]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plain") / "plain.safetensors"
    torch.manual_seed(0)
    card = ModelCard("yolov5n", bundled_text("yolov5n"), "auto", ("cat",), 64)
    attendet.save_weights(attendet.build("yolov5n", num_classes=1), path, card)
    return path


@pytest.mark.parametrize("name", MODULES)
@torch.no_grad()
def test_attach_load_save_and_open(name: str, plain: Path, tmp_path: Path) -> None:
    opened = opening.open(plain)
    expected, card = opened.detector, opened.card
    images = torch.rand(1, 3, 64, 64)
    attached = attendet.build("yolov5n", num_classes=1).train(False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        attendet.attach(attached, name, ["neck", "inside:backbone.C3"])
    report = attendet.load_weights(attached, plain)
    assert (len(report.kept), report.dropped, report.reshaped) == (349, (), ())
    if not name.startswith("control"):
        assert all(torch.equal(a, b) for a, b in zip(attached(images), expected(images), strict=True))
    for attachment in attendet.attached(attached):
        for module in attachment.modules().values():
            for parameter in module.parameters():
                torch.nn.init.normal_(parameter, std=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AttendetWarning)
        attendet.save_weights(attached, tmp_path / "attached.safetensors", card)
        reopened = opening.open(tmp_path / "attached.safetensors").detector
    assert all(torch.equal(a, b) for a, b in zip(attached(images), reopened(images), strict=True))
    # The attention of the file is attached to a detector without attention, and dropped if other attention is attached.
    report = attendet.load_weights(attendet.build("yolov5n", num_classes=1), tmp_path / "attached.safetensors")
    assert report.complete
    bare = attendet.build("yolov5n", num_classes=1)
    attendet.attach(bare, "cbam", "model.0", reduction=4)
    report = attendet.load_weights(bare, tmp_path / "attached.safetensors")
    assert len(report.kept) == 349
    assert all("attention" in key for key in report.dropped)
