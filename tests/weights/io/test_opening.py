"""Files of weights: what is written is read, and a hostile file is refused by name."""

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
from attendet.weights import read_checkpoint
from attendet.weights.io import open_detector, save_weights
from attendet.weights.io import saving as module
from attendet.weights.io.card import Card, class_numbers
from tests.helpers.crafted_pickles import Bomb

CARD = Card("yolov5n", bundled_text("yolov5n"), "auto", ("cat", "white dog"), 320)


@pytest.fixture(scope="module")
def detector() -> Detector:
    return attendet.build("yolov5n", num_classes=2)


@pytest.fixture
def good(tmp_path: Path, detector: Detector) -> Path:
    path = tmp_path / "good.safetensors"
    save_weights(detector, path, CARD)
    return path


def with_metadata(path: Path, good: Path, metadata: dict[str, str]) -> Path:
    save_file(load_file(good), path, metadata=metadata)
    return path


def test_what_is_saved_is_loaded(good: Path, detector: Detector) -> None:
    again, card = open_detector(good)
    assert card == CARD
    assert not again.training
    state = detector.state_dict()
    assert all(torch.equal(value, state[key]) for key, value in again.state_dict().items())
    # Anybody's reader of the format opens it.
    assert load_file(good).keys() == state.keys()
    assert [path.name for path in good.parent.iterdir()] == ["good.safetensors"]


def test_a_network_with_attention_comes_back(tmp_path: Path) -> None:
    saved = attendet.build("yolov5n_CBAM", num_classes=1, start="identity")
    save_weights(
        saved, tmp_path / "a.safetensors", Card("yolov5n_CBAM", bundled_text("yolov5n_CBAM"), "auto", ("x",), 64)
    )
    again, _ = open_detector(tmp_path / "a.safetensors")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    for first, second in zip(saved.train(False)(image), again(image), strict=True):
        assert torch.equal(first, second)


def test_an_older_file_stays_where_the_new_one_cannot_be_written(
    good: Path, detector: Detector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = good.read_bytes()

    def full(tensors: object, path: Path, metadata: object) -> None:  # noqa: ARG001
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "save_file", full)
    with pytest.raises(OutputError, match="No space left"):
        save_weights(detector, good, CARD)
    assert good.read_bytes() == before
    assert [path.name for path in good.parent.iterdir()] == ["good.safetensors"]


def card(**changes: object) -> dict[str, str]:
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
        card(extra=1),
        card(names=[]),
        card(names=5),
        card(names=[["cat"]]),
        card(names="cat"),
        card(imgsz=0),
        card(imgsz="large"),
        card(imgsz=10**12),
        card(text=7),
        card(text=""),
        card(text="nc: ["),
        card(text=WIDE),
        card(text=WIDE.replace("1000000000", "8")),
        card(dialect="martian"),
        card(names=[str(number) for number in range(3)]),
        card(names=[str(number) for number in range(200_000)]),
        card(text=bundled_text("yolov5s")),
        card(text=CARD.text + "#" * 2**16),
        {"card": card()["card"] + " " * 2**22},
    ],
)
def test_a_card_that_cannot_be(tmp_path: Path, good: Path, metadata: dict[str, str]) -> None:
    path = with_metadata(tmp_path / "odd.safetensors", good, metadata)
    with pytest.raises(AttendetError) as caught:
        open_detector(path)
    assert len(str(caught.value)) < 2000


def test_classes_are_not_counted_by_a_shape_without_tensors(tmp_path: Path) -> None:
    # It takes no byte of the file; its names would fill the memory.
    tensors = {"model.24.anchors": torch.zeros(3, 3, 2), "model.24.m.0.weight": torch.zeros(3_000_000, 0, 1, 1)}
    save_file(tensors, tmp_path / "odd.safetensors")
    with pytest.raises(WeightsError, match="does not say which model it belongs to"):
        open_detector(tmp_path / "odd.safetensors")
    assert class_numbers(read_checkpoint(tmp_path / "odd.safetensors")) == ()


def test_a_wide_model_is_refused_before_memory_is_taken(tmp_path: Path, good: Path) -> None:
    path = with_metadata(tmp_path / "odd.safetensors", good, card(text=WIDE))
    with pytest.raises((WeightsError, ModelFileError)):
        open_detector(path)


def test_other_tensors_are_told_by_row(tmp_path: Path, good: Path) -> None:
    tensors = load_file(good)
    del tensors["model.0.conv.weight"]
    tensors["model.3.conv.weight"] = torch.zeros(1)
    tensors["extra"] = torch.zeros(1)
    save_file(tensors, tmp_path / "odd.safetensors", metadata=card())
    with pytest.raises(WeightsError, match=r"new: .*\(rows 0, 3\); dropped: .*\(row 3; extra\)"):
        open_detector(tmp_path / "odd.safetensors")


@pytest.mark.parametrize("length", [0, 4, 100, 100_000])
def test_a_truncated_file(tmp_path: Path, good: Path, length: int) -> None:
    path = tmp_path / "cut.safetensors"
    path.write_bytes(good.read_bytes()[:length])
    with pytest.raises(WeightsError, match=r"cut.safetensors: it is"):
        open_detector(path)


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pt", "evil.pth", "evil.ckpt"])
def test_a_pickle_is_never_opened(tmp_path: Path, name: str) -> None:
    trace = tmp_path / "exploded"
    (tmp_path / name).write_bytes(pickle.dumps(Bomb(trace)))
    with pytest.raises(WeightsError):
        open_detector(tmp_path / name)
    assert not trace.exists()


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.safetensors"):
        with pytest.raises(WeightsError, match="there is no such file"):
            open_detector(path)
