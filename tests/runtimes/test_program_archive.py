"""Hostile `.pt2` files: nothing in them runs."""

import io
import json
import pickle
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from attendet.errors import WeightsError
from attendet.exporting.program import export_program
from attendet.exporting.torch_file import write_program
from attendet.runtimes.file_description import FileDescription
from attendet.runtimes.torch_program import ProgramRuntime

MODEL = "models/model.json"
WEIGHTS = "data/weights/model_weights_config.json"


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.conv(images).flatten(2).amax(2),)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    return Network().eval()


@pytest.fixture(scope="module")
def file(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "a.pt2"
    description = FileDescription(kind="network", outputs=("output",), weights_digest="", versions={})
    write_program(export_program(network, torch.rand(1, 3, 32, 32), dynamic=True), path, description)
    return path


class Touch:
    """Writes a file when it is unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.target,)


def edited(file: Path, target: Path, edit: Callable[[dict[str, bytes]], None]) -> Path:
    """Write a copy of an archive with changed entries."""
    with zipfile.ZipFile(file) as archive:
        entries = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    edit(entries)
    # Written by torch, so that its reader accepts the alignment.
    writer = torch._C.PyTorchFileWriter(str(target))
    for name, content in entries.items():
        if not name.startswith(".data/"):
            writer.write_record(name, content, len(content))
    writer.write_end_of_file()
    return target


def edit_json(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def edit(entries: dict[str, bytes]) -> None:
        content = json.loads(entries[name])
        change(content)
        entries[name] = json.dumps(content).encode()

    return edit


def test_the_file_itself_runs(file: Path, network: nn.Module, tmp_path: Path) -> None:
    copy = edited(file, tmp_path / "copy.pt2", lambda _: None)
    images = torch.rand(2, 3, 16, 40)
    for path in (file, copy):
        with torch.no_grad():
            torch.testing.assert_close(ProgramRuntime(path, "cpu").run(images)["output"], network(images)[0])


def nodes(program: dict[str, Any]) -> list[dict[str, Any]]:
    return program["graph_module"]["graph"]["nodes"]


def set_target(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda program: nodes(program)[0].update(target=name)


def add_expression(text: str) -> Callable[[dict[str, Any]], None]:
    return lambda program: nodes(program)[0]["metadata"].update(sizes={"as_expr": {"expr_str": text}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_target("torch.ops.load_library"), "operators of torch's aten library, got 'torch.ops.load_library'"),
        (set_target("torch.hub.load"), "operators of torch's aten library, got 'torch.hub.load'"),
        (set_target("torch.ops.aten.from_file.default"), "aten library, got 'torch.ops.aten.from_file.default'"),
        (set_target("_operator.methodcaller"), "aten library, got '_operator.methodcaller'"),
        (add_expression("__import__('os').system('touch /tmp/x')"), "sizes in the program must be arithmetic"),
        (add_expression("Symbol('s1').__class__"), "sizes in the program must be arithmetic"),
        (add_expression("().__class__.__bases__"), "sizes in the program must be arithmetic"),
        (add_expression("9**9**9"), "sizes in the program must be arithmetic"),
        (add_expression("Pow(Integer(9), Integer(999999999))"), "sizes in the program must be arithmetic"),
        (add_expression("1 << 99999999999"), "sizes in the program must be arithmetic"),
        (add_expression("exec"), "sizes in the program must be arithmetic"),
        (lambda program: program.update(guards_code=["__import__('os')"]), "the program must have no guards"),
    ],
)
def test_code_in_a_program_is_refused(
    file: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    hostile = edited(file, tmp_path / "b.pt2", edit_json(MODEL, change))
    with pytest.raises(WeightsError, match=f"b.pt2: .*{message}"):
        ProgramRuntime(hostile, "cpu")


@pytest.mark.parametrize("has_metadata", [True, False])
def test_pickled_weights_are_refused(file: Path, tmp_path: Path, has_metadata: bool) -> None:
    target = tmp_path / "executed"

    def edit(entries: dict[str, bytes]) -> None:
        config = json.loads(entries[WEIGHTS])
        first = config["config"]["inner.conv.weight" if "inner.conv.weight" in config["config"] else "conv.weight"]
        first["use_pickle"] = has_metadata
        if not has_metadata:
            first["tensor_meta"] = None
        entries[WEIGHTS] = json.dumps(config).encode()
        buffer = io.BytesIO()
        torch.save(Touch(target), buffer)
        entries[f"data/weights/{first['path_name']}"] = buffer.getvalue()

    with pytest.raises(WeightsError, match="must be a tensor, got a pickled object, which could run code"):
        ProgramRuntime(edited(file, tmp_path / "b.pt2", edit), "cpu")
    assert not target.exists()


def test_other_entries_are_refused(file: Path, tmp_path: Path) -> None:
    for name, message in (
        ("data/aotinductor/model/a.so", "a plain program"),
        ("models/other.json", "one program"),
        ("code.py", "a plain program"),
    ):
        with pytest.raises(WeightsError, match=f"must contain {message}, got the entry"):
            ProgramRuntime(
                edited(file, tmp_path / "b.pt2", lambda entries, name=name: entries.update({name: b"{}"})), "cpu"
            )


def test_pickled_inputs_do_not_run(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "executed"
    hostile = pickle.dumps(Touch(target))
    path = edited(file, tmp_path / "b.pt2", lambda entries: entries.update({"data/sample_inputs/model.pt": hostile}))
    with pytest.raises(WeightsError, match="the program must have no example inputs, which torch would unpickle"):
        ProgramRuntime(path, "cpu")
    assert not target.exists()


def test_compressed_entries_are_refused_before_they_are_read(file: Path, tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.pt2"
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as copy:
        for name in archive.namelist():
            copy.writestr(name, archive.read(name))
        copy.writestr(f"{archive.namelist()[0].partition('/')[0]}/extra/zeros", bytes(2**24))
    assert bomb.stat().st_size < 2**20
    with pytest.raises(WeightsError, match=r"bomb\.pt2: the entries of the file must not be compressed"):
        ProgramRuntime(bomb, "cpu")


def test_a_division_by_zero_in_a_size_is_one_error(file: Path, tmp_path: Path) -> None:
    def edit(entries: dict[str, bytes]) -> None:
        text = entries[MODEL].decode()
        (size, *_) = re.findall(r'"expr_str": "([^"]+)"', text)
        entries[MODEL] = text.replace(size, "Mod(Integer(1), Integer(0))").encode()

    with pytest.raises(WeightsError, match=r"b\.pt2: the file is not a program of torch.export, or it is damaged"):
        ProgramRuntime(edited(file, tmp_path / "b.pt2", edit), "cpu")


def test_damaged_files_are_errors(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    for number, damaged in enumerate((b"", b"PK", content[:1000], content[: len(content) // 2], b"\x80\x04." * 99)):
        path = tmp_path / f"{number}.pt2"
        path.write_bytes(damaged)
        with pytest.raises(WeightsError, match=r"\.pt2: "):
            ProgramRuntime(path, "cpu")
