"""search.yaml: refused values with their positions, and the space of candidates."""

from pathlib import Path

import pytest

from attendet.attention.catalog import create, names
from attendet.errors import OptionError
from attendet.models.attention_request import parse_request
from attendet.study.searching.drafting import control_of
from attendet.study.searching.search_design import parse_search
from attendet.study.searching.search_records import Candidate
from attendet.study.searching.trials import pruning_rungs
from tests.helpers.typed_access import not_none

HEAD = "name: a\nmodel: yolov5n\ndata: d.yaml\ntrials: 3\n"
SPACE = "search: {attention: [se, cbam], at: [neck, head]}\n"
ONCE = "recipe: {validation.every_epoch: false}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "search.yaml:1:1: a search must be a mapping of keys to values; write a line such as name: first"),
        (HEAD + SPACE + "trails: 4", "6:9: unknown key 'trails'; did you mean 'trials'?"),
        (HEAD + "search: {attention: se, att: neck}", "5:30: unknown key 'att'; did you mean 'at'?"),
        (HEAD, "1:1: the key 'search' is missing; add a line search"),
        (HEAD + "search: {attention: se}", "5:9: the key 'at' is missing; add a line at"),
        (HEAD + "search: {attention: [], at: neck}", "5:21: `search.attention`"),
        (HEAD + "search: {attention: [se, sse], at: neck}", "5:26: unknown attention 'sse'; did you mean"),
        (HEAD + "search: {attention: 'se:reducton=2', at: neck}", "5:21: se has no option 'reducton'; did you mean"),
        (HEAD + "search: {attention: se@neck, at: neck}", "5:21: attention must not name a place, got 'se@neck'"),
        (HEAD + "search: {attention: [se, eca, se], at: neck}", "5:21: attention must not contain a value twice"),
        (HEAD + "search: {attention: se, at: [neck, neck]}", "5:29: at must not contain a value twice"),
        (HEAD + SPACE + "halving: 1", "6:10: `halving` must be greater than or equal to 2, got 1"),
        (HEAD + SPACE + "seed: -1", "6:7: `seed` must be greater than or equal to 0, got -1"),
        (HEAD + SPACE + "seeds: 3", "6:8: unknown key 'seeds'; did you mean 'seed'?"),
        (HEAD + SPACE + "recipe: {schedule.seed: 1}", "6:25: the search itself sets schedule.seed; use seed"),
        (HEAD + SPACE + "recipe: {schedule.epoch: 1}", "6:26: unknown setting 'schedule.epoch'; did"),
        (HEAD + SPACE + "last_epochs: 1\n" + ONCE, "7:34: halving needs every epoch validated; remove it"),
        (HEAD + SPACE + "halving: null\n" + ONCE, "baseline is certain to validate only 1 epoch"),
        (HEAD + SPACE + "keep: 32", "6:7: `keep` must be less than or equal to 31, got 32"),
        (HEAD.replace("yolov5n", "yolov5q") + SPACE, "2:8: unknown model 'yolov5q'; name a bundled model"),
    ],
)  # fmt: skip
def test_a_wrong_search_is_refused_at_its_place(text: str, message: str) -> None:
    with pytest.raises(OptionError) as error:
        parse_search(text)
    assert message in str(error.value)


def test_each_attention_in_each_place_is_a_candidate_with_a_name_of_its_own() -> None:
    long = "cbam:reduction=8,kernel_size=3,variant=authors"
    text = HEAD + f"search: {{attention: [se, '{long}'], at: [before:SPPF, 'model.4.*', model.4, '*.model.4']}}"
    design = parse_search(text)
    assert list(design.candidates.values()) == [
        (attention, at) for attention in ("se", long) for at in ("before:SPPF", "model.4.*", "model.4", "*.model.4")
    ]
    assert list(design.candidates)[:4] == ["se-before-SPPF", "se-model-4", "se-model-4-2", "se-model-4-3"]
    study = design.study()
    assert list(study.arms) == ["baseline", *design.candidates]
    assert all(len(f"conv-{name}") <= 40 for name in design.candidates)
    assert (study.seeds, study.settings("se-model-4", 1000)["model.attention"]) == ((1000,), ("se@model.4.*",))


def test_the_search_of_the_guide_is_one() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "study.md").read_text(encoding="utf-8")
    example = guide.split("## Searching first")[1].split("```yaml\n")[1].split("```")[0]
    design = parse_search(example)
    assert len(design.candidates) == 12
    assert {"seed": design.seed, "halving": design.halving, "keep": design.keep} == {
        "seed": 1000,
        "halving": 3,
        "keep": 2,
    }


@pytest.mark.parametrize("name", names())
def test_every_module_with_parameters_has_a_control_of_similar_size(name: str) -> None:
    fields = {"arm": "a", "state": "finished", "epochs": 1, "values": {}, "value": 0.1, "error": None, "run": "a"}
    found = control_of(Candidate(attention=f"{name}@neck", **fields))
    mine = sum(each.numel() for each in create(name, 256).parameters())
    if name.startswith("control") or not mine:
        assert found is None
        return
    request = parse_request(not_none(found))
    assert (request.attention, request.at) == ("control-conv1x1", "neck")
    control = create(request.attention, 256, **request.options)
    # Two convolutions of 256 channels to k and back: the nearest number, and at least one.
    assert sum(each.numel() for each in control.parameters()) == 512 * max(1, (mine + 256) // 512)


def test_without_halving_it_does_not_matter_which_epochs_are_measured() -> None:
    text = HEAD + SPACE + "last_epochs: 1\nhalving: null\n" + ONCE
    assert parse_search(text).halving is None


@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 9, 20, 50])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_rungs_equal_the_rungs_of_the_pruner(epochs: int, factor: int) -> None:
    """A candidate weaker than one before it is stopped at the first rung, and nowhere before."""
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    expected = pruning_rungs(epochs, factor)
    assert expected == sorted(set(expected))
    assert all(epoch < epochs for epoch in expected)
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=max(1, epochs // factor**2), reduction_factor=factor)
    study = optuna.create_study(direction="maximize", pruner=pruner)
    stops = []
    for strength in range(1, 3):
        trial = study.ask()
        for epoch in range(1, epochs):
            trial.report(-strength, epoch)
            if trial.should_prune():
                stops.append(epoch)
                break
        study.tell(trial, -strength)
    assert stops == expected[:1]
