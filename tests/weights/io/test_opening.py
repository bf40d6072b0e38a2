"""Weights files are saved and opened; damaged and hostile files are refused with one clear error each."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import attendet
from attendet.errors import AttendetError, ModelFileError, OutputError, WeightsError
from attendet.models.bundled import bundled_text
from attendet.models.detector import Detector
from attendet.models.planning import ModelPlan
from attendet.weights import read_checkpoint
from attendet.weights.io import opening, save_weights, saving
from attendet.weights.io.model_card import ModelCard, numbered_class_names
from tests.helpers.checkpoints.crafted_pickles import Bomb

CARD = ModelCard("yolov5n", bundled_text("yolov5n"), "auto", ("cat", "white dog"), 320)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return attendet.build("yolov5n", num_classes=2)


@pytest.fixture
def good(tmp_path: Path, detector: Detector) -> Path:
    path = tmp_path / "good.safetensors"
    save_weights(detector, path, CARD)
    return path


def with_metadata(path: Path, good: Path, metadata: dict[str, str]) -> Path:
    """Write the tensors of a valid file with other metadata."""
    save_file(load_file(good), path, metadata=metadata)
    return path


def test_a_saved_detector_is_opened(good: Path, detector: Detector) -> None:
    opened = opening.open(good)
    again, card = opened.detector, opened.card
    assert card == CARD
    assert not again.training
    state = detector.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    # Any reader of safetensors files can read it.
    assert load_file(good).keys() == state.keys()
    assert [path.name for path in good.parent.iterdir()] == ["good.safetensors"]


def test_attention_rows_are_restored(tmp_path: Path) -> None:
    saved = attendet.build("yolov5n_CBAM", num_classes=1, start="identity")
    save_weights(
        saved, tmp_path / "a.safetensors", ModelCard("yolov5n_CBAM", bundled_text("yolov5n_CBAM"), "auto", ("x",), 64)
    )
    again = opening.open(tmp_path / "a.safetensors").detector
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for first, second in zip(saved.train(False)(image), again(image), strict=True):
        assert torch.equal(first, second)


def test_an_existing_file_stays_if_the_new_one_cannot_be_written(
    good: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = good.read_bytes()

    def fail(tensors: object, path: Path, metadata: object) -> None:  # noqa: ARG001
        path.write_bytes(b"incomplete")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "save_file", fail)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(detector, good, CARD)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.safetensors"]


def card_metadata(**changes: object) -> dict[str, str]:
    """Return the metadata of a valid model card with some fields replaced."""
    fields = {"model": "a", "text": CARD.text, "dialect": "auto", "names": ["cat", "dog"], "imgsz": 320}
    return {"attendet": "1", "card": json.dumps(fields | changes)}


WIDE = """
nc: 2
depth_multiple: 1.0
width_multiple: 1.0
anchors: [[10, 13]]
backbone: [[-1, 1, Conv, [1000000000, 3, 2]]]
head: [[[0], 1, Detect, [nc, anchors]]]
"""


@pytest.mark.parametrize(
    "metadata",
    [
        {"card": ""},
        {"card": "[]"},
        {"card": "null"},
        {"card": "{" * 10_000},
        {"card": "[" * 100_000},
        card_metadata(extra=1),
        card_metadata(names=[]),
        card_metadata(names=5),
        card_metadata(names=[["cat"]]),
        card_metadata(names="cat"),
        card_metadata(imgsz=0),
        card_metadata(imgsz="large"),
        card_metadata(imgsz=10**12),
        card_metadata(text=7),
        card_metadata(text=""),
        card_metadata(text="nc: ["),
        card_metadata(text=WIDE),
        card_metadata(text=WIDE.replace("1000000000", "8")),
        card_metadata(dialect="unknown"),
        card_metadata(names=[str(number) for number in range(3)]),
        card_metadata(names=[str(number) for number in range(200_000)]),
        card_metadata(text=bundled_text("yolov5s")),
        card_metadata(text=CARD.text + "#" * 2**16),
        {"card": card_metadata()["card"] + " " * 2**22},
    ],
)
def test_an_invalid_model_card(tmp_path: Path, good: Path, metadata: dict[str, str]) -> None:
    path = with_metadata(tmp_path / "invalid.safetensors", good, metadata)
    with pytest.raises(AttendetError) as caught:
        opening.open(path)
    assert len(str(caught.value)) < 2000


def test_an_empty_tensor_does_not_set_the_number_of_classes(tmp_path: Path) -> None:
    # The empty tensor takes no bytes of the file, but three million class names would fill the memory.
    tensors = {"model.24.anchors": torch.zeros(3, 3, 2), "model.24.m.0.weight": torch.zeros(3_000_000, 0, 1, 1)}
    save_file(tensors, tmp_path / "invalid.safetensors")
    with pytest.raises(WeightsError, match="the file does not name its model"):
        opening.open(tmp_path / "invalid.safetensors")
    assert numbered_class_names(read_checkpoint(tmp_path / "invalid.safetensors")) == ()


def test_a_huge_model_is_refused_before_memory_is_allocated(tmp_path: Path, good: Path) -> None:
    path = with_metadata(tmp_path / "invalid.safetensors", good, card_metadata(text=WIDE))
    with pytest.raises((WeightsError, ModelFileError)):
        opening.open(path)


def test_a_small_file_cannot_ask_for_a_large_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError("the modules were created")

    path = tmp_path / "small.safetensors"
    save_file({"w": torch.zeros(1)}, path, metadata=card_metadata(text=bundled_text("yolov5s")))
    monkeypatch.setattr(ModelPlan, "create_modules", fail)
    with pytest.raises(WeightsError, match=r"it has 7,0[0-9,]+ parameters, but the file only 1 values"):
        opening.open(path)


def test_mismatched_tensors_are_reported_by_row(tmp_path: Path, good: Path) -> None:
    tensors = load_file(good)
    del tensors["model.0.conv.weight"]
    tensors["model.3.conv.weight"] = torch.zeros(1)
    tensors["extra"] = torch.zeros(1)
    save_file(tensors, tmp_path / "invalid.safetensors", metadata=card_metadata())
    with pytest.raises(WeightsError, match=r"new: .*\(rows 0, 3\); dropped: .*\(row 3; extra\)"):
        opening.open(tmp_path / "invalid.safetensors")


@pytest.mark.parametrize("length", [0, 4, 100, 100_000])
def test_a_truncated_file(tmp_path: Path, good: Path, length: int) -> None:
    path = tmp_path / "truncated.safetensors"
    path.write_bytes(good.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"truncated.safetensors: the (file is|safetensors file is damaged)"):
        opening.open(path)


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pt", "evil.pth", "evil.ckpt"])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "exploded"
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(WeightsError):
        opening.open(tmp_path / name)
    assert not trace.exists()


def test_a_missing_file_and_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"missing\.safetensors: weights file not found"):
        opening.open(tmp_path / "missing.safetensors")
    with pytest.raises(WeightsError, match=r"the folder has no weights/best\.safetensors; name a weights file"):
        opening.open(tmp_path)


def test_a_run_folder_and_its_description(tmp_path: Path, detector: Detector) -> None:
    best = tmp_path / "weights" / "best.safetensors"
    model = attendet.build("yolov5n", num_classes=2)
    attendet.attach(model, "cbam", "before:SPPF")
    save_weights(model, best, CARD)
    opened = attendet.open(tmp_path)
    assert (opened.path, opened.names, opened.imgsz) == (best, CARD.names, CARD.imgsz)
    assert [attachment.plan.attention for attachment in opened.attention] == ["cbam"]
    assert repr(opened) == (
        f"OpenedDetector({str(best)!r}, model='yolov5n', num_classes=2, imgsz=320, attention='cbam at model.9')"
    )
    assert json.loads(json.dumps(opened.to_dict()))["attention"][0]["attention"] == "cbam"
    assert "<td>cat, white dog</td>" in opened._repr_html_()
    save_weights(detector, best, CARD)
    assert attendet.open(best).attention == ()
