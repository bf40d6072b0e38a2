"""Files from torch.save and safetensors are read as torch.load reads them, without the classes in them."""

import json
import sys
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
import yaml
from torch import nn

from attendet.errors import WeightsError
from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.yolov5_checkpoints import MODEL_FILE, checkpoint, namespace, packages, same, save, yolov5

both_formats = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


@both_formats
def test_yolov5_checkpoint(tmp_path: Path, zipped: bool) -> None:
    path = save(checkpoint(yolov5()), tmp_path / "last.pt", zipped=zipped)
    assert "models.yolo" not in sys.modules
    read = read_checkpoint(path)
    with packages():
        expected = torch.load(path, weights_only=False)["model"].state_dict()
    assert same(read.tensors, expected)
    assert "model.0.conv.weight" in read.tensors
    assert "model.2.stale" not in read.tensors
    assert read.kind == "module"
    assert read.names == ("red cell", "梨")
    assert yaml.safe_load(read.model_file or "") == MODEL_FILE
    assert read.training == {
        "nc": 2,
        "hyp": {"lr0": 0.01, "fl_gamma": 0.0},
        "epoch": 7,
        "best_fitness": 0.625,
        "updates": 120,
        "opt": {"weights": "/runs/yolov5n.pt", "imgsz": 640, "cache": None, "save_dir": "runs/exp"},
        "git": {"remote": None, "branch": "master"},
        "date": "2023-05-01T12:00:00",
    }
    json.dumps(read.training)
    assert "models.yolo" not in sys.modules


@both_formats
def test_averaged_weights_are_preferred_and_keep_half_precision(tmp_path: Path, zipped: bool) -> None:
    average = yolov5(seed=1).half()
    average.names = {1: "b", 0: "a"}
    read = read_checkpoint(save(checkpoint(yolov5(), average), tmp_path / "last.pt", zipped=zipped))
    assert same(read.tensors, average.state_dict())
    assert read.tensors["model.0.conv.weight"].dtype == torch.float16
    assert read.names == ("a", "b")


def test_stripped_checkpoint(tmp_path: Path) -> None:
    model = yolov5().half()
    unused = torch.optim.SGD(model.parameters()).state_dict()
    content = {**checkpoint(model), "optimizer": unused, "epoch": -1, "best_fitness": None, "updates": None}
    read = read_checkpoint(save(content, tmp_path / "best.pt"))
    assert same(read.tensors, model.state_dict())
    assert set(read.training) == {"nc", "hyp", "epoch", "opt", "git", "date"}
    assert read.training["epoch"] == -1


def test_model_in_data_parallel(tmp_path: Path) -> None:
    model = yolov5()
    read = read_checkpoint(save({"model": nn.DataParallel(model)}, tmp_path / "a.pt"))
    assert same(read.tensors, model.state_dict())
    assert read.names == ("red cell", "梨")


@both_formats
@pytest.mark.parametrize(
    "nest",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": state, "optimizer": {"state": {0: {"m": torch.ones(1)}}}, "epoch": 3},
        lambda state: {"model_state_dict": state, "loss": torch.ones(1)},
        lambda state: {"ema": state, "model": OrderedDict(other=torch.ones(3))},
        lambda state: {"ema": None, "model": {"state_dict": state}},
        lambda state: OrderedDict((f"module.{key}", value) for key, value in state.items()),
        lambda state: {f"_orig_mod.module.{key}": value for key, value in state.items()},
    ],
)
def test_state_dicts(tmp_path: Path, zipped: bool, nest) -> None:
    state = yolov5().state_dict()
    read = read_checkpoint(save(nest(state), tmp_path / "a.pth", zipped=zipped))
    assert same(read.tensors, state)
    assert (read.kind, read.names, read.model_file) == ("state dict", None, None)


@both_formats
@pytest.mark.parametrize(
    "dtype",
    [
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
        torch.complex64,
    ],
    ids=str,
)
def test_every_dtype(tmp_path: Path, zipped: bool, dtype: torch.dtype) -> None:
    state = {"a": (torch.randn(5, 7) * 10).to(dtype), "scalar": torch.tensor(3).to(dtype), "none": torch.empty(0, 4)}
    path = save(state, tmp_path / "a.pt", zipped=zipped)
    assert same(read_checkpoint(path).tensors, torch.load(path))


@pytest.mark.parametrize("dtype", [torch.uint16, torch.float8_e4m3fn], ids=str)
def test_dtypes_without_a_storage_of_their_own(tmp_path: Path, dtype: torch.dtype) -> None:
    value = torch.arange(24.0).reshape(4, 6).to(dtype)
    read = read_checkpoint(save({"a": value, "part": value[1:, ::2]}, tmp_path / "a.pt")).tensors
    assert torch.equal(read["a"].view(torch.uint8), value.view(torch.uint8))
    assert torch.equal(read["part"].float(), value[1:, ::2].float())


@both_formats
def test_views_and_shared_memory(tmp_path: Path, zipped: bool) -> None:
    whole = torch.randn(6, 4, 3, 3)
    state = {
        "whole": whole,
        "rows": whole[2:5],
        "turned": whole.transpose(0, 1),
        "last": whole.contiguous(memory_format=torch.channels_last),
        "strided": whole[::2, 1],
        "again": whole,
    }
    path = save(state, tmp_path / "a.pt", zipped=zipped)
    read = read_checkpoint(path).tensors
    assert same(read, torch.load(path))
    assert read["whole"].data_ptr() == read["again"].data_ptr()
    assert read["rows"].untyped_storage().data_ptr() == read["whole"].untyped_storage().data_ptr()


def test_parameters_with_attributes(tmp_path: Path) -> None:
    parameter = nn.Parameter(torch.randn(3))
    vars(parameter)["note"] = "torch keeps this, attendet does not"
    plain = torch.randn(2)
    vars(plain)["note"] = "this, too"
    read = read_checkpoint(save({"a": parameter, "b": plain}, tmp_path / "a.pt"))
    assert same(read.tensors, {"a": parameter.detach(), "b": plain})


def test_lightning_checkpoint(tmp_path: Path) -> None:
    class AttributeDict(dict):
        pass

    sys.modules["foreign_attributes"] = SimpleNamespace(AttributeDict=AttributeDict)  # type: ignore[assignment]
    AttributeDict.__module__, AttributeDict.__qualname__ = "foreign_attributes", "AttributeDict"
    state = nn.Linear(3, 2).state_dict()
    content = {
        "epoch": 4,
        "global_step": 100,
        "state_dict": state,
        "optimizer_states": [{"state": {0: {"momentum_buffer": torch.ones(2)}}}],
        "hyper_parameters": AttributeDict(lr=0.1, name="a"),
    }
    try:
        path = save(content, tmp_path / "last.ckpt")
    finally:
        del sys.modules["foreign_attributes"]
    read = read_checkpoint(path)
    assert same(read.tensors, state)
    assert read.training == {"epoch": 4, "global_step": 100, "hyper_parameters": {"lr": 0.1, "name": "a"}}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.float32(0.25), 0.25),
        (np.int64(-3), -3),
        (np.bool_(True), True),
        (np.array([[1, 2], [3, 4]], order="F"), [[1, 2], [3, 4]]),
        (np.array([1.5, 2.5], ">f4"), [1.5, 2.5]),
        (np.array(4), 4),
        (namespace(lr=0.1, path=Path("a/b")), {"lr": 0.1, "path": "a/b"}),
        (OrderedDict(a=(1, 2), b=None), {"a": [1, 2], "b": None}),
        (2**40, 2**40),
        (torch.__version__, str(torch.__version__)),
        (frozenset([3]), [3]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_training_settings(tmp_path: Path, value, expected, protocol: int) -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}, "value": value}, tmp_path / "a.pt", pickle_protocol=protocol)
    assert read_checkpoint(tmp_path / "a.pt").training == {"value": expected}


@both_formats
@pytest.mark.parametrize(
    "build",
    [
        torchvision.models.mobilenet_v3_small,
        lambda: torchvision.models.VisionTransformer(32, 16, num_layers=1, num_heads=2, hidden_dim=8, mlp_dim=8),
        lambda: torchvision.models.segmentation.lraspp_mobilenet_v3_large(weights_backbone=None),
        lambda: timm.create_model("convnext_atto"),
    ],
)
def test_pickled_models_of_other_libraries(tmp_path: Path, zipped: bool, build) -> None:
    model = build()
    torch.save(model, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "a.pt")
    assert same(read.tensors, model.state_dict())
    assert read.kind == "module"


def test_a_module_used_twice_has_two_keys(tmp_path: Path) -> None:
    shared = nn.Linear(2, 2)
    model = nn.Sequential(shared, nn.ReLU(), shared)
    read = read_checkpoint(save(model, tmp_path / "a.pt"))
    assert same(read.tensors, model.state_dict())
    assert read.tensors["0.weight"].data_ptr() == read.tensors["2.weight"].data_ptr()


def test_safetensors(tmp_path: Path) -> None:
    state = {"b.weight": torch.randn(3, 4).bfloat16(), "a": torch.arange(5)}
    path = tmp_path / "other_suffix.pt"
    safetensors.torch.save_file(state, path, metadata={"card": "{}", "note": "x"})
    read = read_checkpoint(path)
    # Overwriting the file must not change the tensors that were read from it.
    path.write_bytes(b"")
    assert {key: value.tolist() for key, value in read.tensors.items()} == {k: v.tolist() for k, v in state.items()}
    assert read.tensors["b.weight"].dtype == torch.bfloat16
    assert (read.kind, read.metadata) == ("safetensors", {"card": "{}", "note": "x"})


@pytest.mark.parametrize("length", range(624, 664, 8))
def test_safetensors_headers_of_any_length(tmp_path: Path, length: int) -> None:
    # A file with a header of 640 bytes starts like a pickle.
    for padding in range(length):
        safetensors.torch.save_file({"a": torch.ones(1)}, tmp_path / "a", metadata={"note": "x" * padding})
        if int.from_bytes((tmp_path / "a").read_bytes()[:8], "little") == length:
            break
    else:
        pytest.fail(f"no padding makes a header of {length} bytes")
    assert list(read_checkpoint(tmp_path / "a").tensors) == ["a"]


@pytest.mark.parametrize("names", [{5: "a"}, {}, [], [[1]], "words", {"a": "b"}, [None]], ids=str)
def test_invalid_class_names(tmp_path: Path, names) -> None:
    model = yolov5()
    model.names = names
    assert read_checkpoint(save(model, tmp_path / "a.pt")).names is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty; download or copy it again"),
        (b"<!DOCTYPE html><html>", "the file is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
        (b"some text", "the file is not a weights file"),
        (bytes(257) + b"ustar" + bytes(250), "the file has the tar format"),
        (b"\x20\0\0\0\0\0\0\0{", "the safetensors file is damaged"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a.pt").write_bytes(content)
    with pytest.raises(WeightsError, match=message) as caught:
        read_checkpoint(tmp_path / "a.pt")
    assert str(caught.value).startswith(str(tmp_path / "a.pt"))


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], 3, {"model": nn.ReLU()}, {0: torch.ones(1)}])
def test_a_file_without_weights(tmp_path: Path, content) -> None:
    with pytest.raises(WeightsError, match=r"contains no weights of a model|neither parameters nor buffers"):
        read_checkpoint(save(content, tmp_path / "a.pt"))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="weights file not found"):
        read_checkpoint(tmp_path / "a.pt")
