"""Bound methods and members of enumerations in a pickle are read as inert values; ways to act with them are refused."""

import argparse
import enum
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from attendet.weights import read_checkpoint
from tests.helpers.checkpoints.crafted_pickles import GOOD_TENSOR, call, mapping, name, refusal, text, zipped

GETATTR = "builtins.getattr"
CLASS = "models.common.Mode"


class Mode(enum.Enum):
    TRAIN = 1


class ReducedMember:
    """Reduces like a member of an enumeration in some versions of Python."""

    def __reduce__(self) -> tuple[object, ...]:
        return getattr, (Mode, "TRAIN")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.activation = self.scaled
        self.mode = ReducedMember()

    def scaled(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * x


@pytest.fixture
def fork() -> Iterator[None]:
    """Make the classes members of a module that cannot be imported later."""
    module = types.ModuleType("fork_of_somebody")
    own = {kind: kind.__module__ for kind in (Mode, Network)}
    for kind in own:
        kind.__module__ = module.__name__
        setattr(module, kind.__name__, kind)
    sys.modules[module.__name__] = module
    yield
    del sys.modules[module.__name__]
    for kind, place in own.items():
        kind.__module__ = place


@pytest.mark.usefixtures("fork")
@pytest.mark.parametrize("zip_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_module_with_a_bound_method_and_a_member_is_read(tmp_path: Path, zip_format: bool) -> None:
    network = Network()
    content = {"model": network, "epoch": 3, "callback": network.scaled, "mode": ReducedMember()}
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zip_format)
    read = read_checkpoint(tmp_path / "a.pt")
    assert torch.equal(read.tensors["conv.weight"], network.conv.weight)
    # The inert values are not among the settings.
    assert read.training == {"epoch": 3}


@pytest.mark.parametrize(
    "owner",
    [name(CLASS), name("models.common._Mode"), name(CLASS) + b")\x81", name("ultralytics.utils.Settings") + b")\x81}b"],
)
def test_attributes_of_inert_classes_and_objects(tmp_path: Path, owner: bytes) -> None:
    program = mapping(w=GOOD_TENSOR, x=call(GETATTR, owner, text("TRAIN")))
    assert list(read_checkpoint(zipped(tmp_path / "a.pt", program)).tensors) == ["w"]


MEMBER = call(GETATTR, name(CLASS), text("os"))


@pytest.mark.parametrize(
    "program",
    [
        # Functions, modules, and classes that exist.
        call(GETATTR, name("os.system"), text("real")),
        call(GETATTR, name("torch.hub"), text("load")),
        call(GETATTR, name("torch.serialization"), text("os")),
        call(GETATTR, name("models.common"), text("os")),
        call(GETATTR, name("builtins.str"), text("format")),
        call(GETATTR, name("subprocess.Popen"), text("communicate")),
        call(GETATTR, name("pathlib.Path"), text("touch")),
        call(GETATTR, name("pathlib._local.Path"), text("touch")),
        call(GETATTR, name("collections.OrderedDict"), text("fromkeys")),
        call(GETATTR, name("argparse.Namespace") + b")\x81", text("a")),
        # Values that are not placeholders.
        call(GETATTR, text("text"), text("format")),
        call(GETATTR, b"}", text("update")),
        call(GETATTR, b"]", text("append")),
        call(GETATTR, call("pathlib.PosixPath", text("a")), text("touch")),
        call(GETATTR, GOOD_TENSOR, text("data")),
        call(GETATTR, b"N", text("a")),
        # Nested lookups, which could go from a class through its module to anything.
        call(GETATTR, MEMBER, text("system")),
        call(GETATTR, call(GETATTR, name("models.common.os"), text("path")), text("os")),
        # Names with two underscores lead to classes, modules, and globals.
        *(
            call(GETATTR, name(CLASS), text(dunder))
            for dunder in ("__class__", "__init__", "__globals__", "__subclasses__", "__reduce__", "__x")
        ),
        call(GETATTR, name("models.__init__.Mode"), text("a")),
        # Invalid names.
        call(GETATTR, name(CLASS), text("a.b")),
        call(GETATTR, name(CLASS), text("")),
        call(GETATTR, name(CLASS), b"K\x01"),
        call(GETATTR, name(CLASS), b"}"),
    ],
)
def test_other_lookups_are_refused(tmp_path: Path, program: bytes) -> None:
    assert "would call builtins.getattr" in refusal(zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR, x=program)))


@pytest.mark.parametrize(
    "program",
    [
        # Calling the result, as a function, as a class, or through functions that call their arguments.
        MEMBER + b"(" + text("true") + b"tR",
        MEMBER + b")R",
        MEMBER + b")\x81",
        MEMBER + b")}\x92",
        MEMBER + b"(" + text("true") + b"o",
        call("builtins.map", MEMBER, b"]"),
        call("operator.methodcaller", text("system")),
        call("functools.partial", MEMBER) + b")R",
        # Too few and too many arguments: a default value could hide the result.
        call(GETATTR, name(CLASS)),
        call(GETATTR, name(CLASS), text("a"), name("os.system")),
        # The other functions that look up, set, or delete attributes.
        call("builtins.setattr", name(CLASS), text("a"), b"N"),
        call("builtins.delattr", name(CLASS), text("a")),
        call("builtins.hasattr", name(CLASS), text("a")),
        call("builtins.object.__getattribute__", name(CLASS), text("a")),
        call("operator.attrgetter", text("a")),
        call("inspect.getattr_static", name(CLASS), text("a")),
    ],
)
def test_the_results_cannot_be_used(tmp_path: Path, program: bytes) -> None:
    refusal(zipped(tmp_path / "a.pt", mapping(w=GOOD_TENSOR, x=program)))


class Chain:
    """Calls what `getattr` returns, as a pickle of Python would."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return getattr(os, "system"), (f"touch {self.marker}",)  # noqa: B009


class Method:
    def __reduce__(self) -> tuple[object, ...]:
        return getattr, (argparse.Namespace(), "__init__")


def test_real_pickles_that_act_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.ones(1), "x": Chain(tmp_path / "marker")}, tmp_path / "a.pt")
    assert "posix.system" in refusal(tmp_path / "a.pt")
    torch.save({"w": torch.ones(1), "x": Method()}, tmp_path / "b.pt")
    assert "builtins.getattr" in refusal(tmp_path / "b.pt")
    assert not (tmp_path / "marker").exists()
