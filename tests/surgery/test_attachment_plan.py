"""Plans as data: to JSON, applied to a new network, and invalid plans."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import nn

from attendet.errors import OptionError, UnknownNameError
from attendet.surgery import AttentionPlan, attach, attached, reattach
from tests.helpers.module_snapshot import ModuleSnapshot
from tests.helpers.small_networks import Plain, Sequence, images
from tests.helpers.third_party_networks import equal, randomize, run


@pytest.mark.parametrize(
    ("make", "attention", "at", "options"),
    [
        (Plain, "cbam", ["residual-branch", "blocks"], {"reduction": 2, "variant": "authors"}),
        (Plain, "cbam", "before:Block", {"reduction": 2, "pool": ["avg", "max"]}),
        (Plain, "se", "replace:Block", {"reduction": 2}),
        (Sequence, "cbam", "norm", {"reduction": 2, "start": "paper"}),
    ],
)
def test_a_plan_survives_json(make: type[nn.Module], attention: str, at: Any, options: dict[str, Any]) -> None:
    model = make().train(False)
    x = images() if make is Plain else torch.rand(2, 3, 40)
    attachment = attach(model, attention, at, **options)
    randomize(model)
    plan = AttentionPlan.from_dict(json.loads(json.dumps(attachment.plan.to_dict())))
    assert plan == attachment.plan
    rebuilt = make().train(False)
    snapshot = ModuleSnapshot(rebuilt)
    again = reattach(rebuilt, plan)
    assert [type(module) for module in again.modules().values()] == [
        type(module) for module in attachment.modules().values()
    ]
    assert not any(module.training for module in rebuilt.modules())
    rebuilt.load_state_dict(model.state_dict())
    assert equal(run(rebuilt, x), run(model, x))
    again.detach()
    rebuilt.load_state_dict(dict(snapshot.state))
    assert snapshot.matches(rebuilt)


def good() -> dict[str, Any]:
    site = {"path": "blocks.0.norm", "channels": 8, "stride": 2.0, "side": "output", "child": "attention"}
    return {
        "attention": "cbam",
        "at": ["residual-branch"],
        "start": "identity",
        "options": {"reduction": 2},
        "sites": [site],
    }


def with_site(**changes: Any) -> dict[str, Any]:
    plan = good()
    plan["sites"][0] |= changes
    return plan


INVALID = {
    "none": None,
    "text": "cbam",
    "list": [good()],
    "empty": {},
    "no sites": good() | {"sites": []},
    "sites are text": good() | {"sites": "blocks"},
    "sites are numbers": good() | {"sites": [1]},
    "too many": good() | {"sites": good()["sites"] * 10_001},
    "attention is a number": good() | {"attention": 1},
    "at holds numbers": good() | {"at": [1]},
    "at is a number": good() | {"at": 1},
    "start is missing": good() | {"start": None},
    "options are a list": good() | {"options": [1]},
    "options by number": good() | {"options": {1: 2}},
    "path is a number": with_site(path=1),
    "no channels": with_site(channels=0),
    "channels are true": with_site(channels=True),
    "channels are text": with_site(channels="8"),
    "endless channels": with_site(channels=2**40),
    "stride is text": with_site(stride="2"),
    "stride is true": with_site(stride=True),
    "stride is not a number": with_site(stride=float("nan")),
    "endless stride": with_site(stride=10**400),
    "no number": good() | {"options": {"reduction": float("nan")}},
    # Every branch counts as a module, regardless of its size.
    "endless branches": good() | {"attention": "sk", "options": {"branches": 10**9}},
    "side is unknown": with_site(side="left"),
    "side is a list": with_site(side=[]),
    "child is a path": with_site(child="a.b"),
    "child is empty": with_site(child=""),
    "replaced has a child": with_site(side="replaced"),
    "a key too many": with_site(more=1),
}


@pytest.mark.parametrize("values", INVALID.values(), ids=INVALID)
def test_an_invalid_plan_is_refused(values: Any) -> None:
    with pytest.raises(OptionError, match=r"invalid description of attached attention|attached attention must"):
        AttentionPlan.from_dict(values)


def test_a_valid_plan_is_applied() -> None:
    model = Plain()
    reattach(model, AttentionPlan.from_dict(good()))
    assert [site.path for attachment in attached(model) for site in attachment.sites] == ["blocks.0.norm"]


MISFITS = {
    "unknown path": (with_site(path="blocks.7"), "Plain has no module 'blocks.7'"),
    "path of a parameter": (with_site(path="stem.weight"), "has no module 'stem.weight'"),
    "child is taken": (with_site(child="weight"), "blocks.0.norm already has a child named 'weight'"),
    "child is a method": (with_site(child="forward"), "already has a child named 'forward'"),
    "child is special": (with_site(child="__class__"), "already has a child named '__class__'"),
    "the same twice": (good() | {"sites": good()["sites"] * 2}, "two sites of the plan have the same path"),
    "unknown attention": (good() | {"attention": "nothing"}, "unknown attention 'nothing'"),
    "unknown option": (good() | {"options": {"rm": "-rf"}}, "no option 'rm'"),
    "unhashable option": (good() | {"options": {"variant": {}}}, "cannot be created"),
    "nested option": (good() | {"options": {"pool": [["avg"]]}}, "at blocks.0.norm: "),
    "text for a number": (good() | {"options": {"reduction": "2"}}, "at blocks.0.norm: "),
    "no start": (good() | {"start": "soft"}, "`start` must be 'paper' or 'identity', got 'soft'"),
    "endless layer": (good() | {"options": {"reduction": 1e-9}}, "at most 1,073,741,824 values"),
    "endless map": (
        with_site(channels=2**20 - 1) | {"options": {"reduction": 1e-30}},
        "cannot be created|must leave at least|at most",
    ),
    "endless kernel": (good() | {"options": {"reduction": 2, "kernel_size": 2**16 - 1}}, "at most|cannot be created"),
    "endless sum": (
        good()
        | {
            "options": {"reduction": 1},
            "sites": [good()["sites"][0] | {"channels": 2**14, "child": f"a{number}"} for number in range(9)],
        },
        "at most 1,073,741,824 values",
    ),
    "the whole network": (with_site(path="", side="replaced", child=""), "the whole network cannot be replaced"),
}


@pytest.mark.parametrize(("values", "message"), MISFITS.values(), ids=MISFITS)
def test_a_plan_that_does_not_fit_changes_nothing(values: dict[str, Any], message: str) -> None:
    model = Plain()
    snapshot = ModuleSnapshot(model)
    plan = AttentionPlan.from_dict(values)
    with pytest.raises((OptionError, UnknownNameError), match=message):
        reattach(model, plan)
    assert snapshot.matches(model)
    assert attached(model) == ()
