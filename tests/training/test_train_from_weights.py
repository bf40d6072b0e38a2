"""Runs that start from weights: kept tensors, attached attention, and frozen parameters."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attendet import build, save_weights
from attendet.attention import CBAM
from attendet.errors import OptionError, WeightsError
from attendet.models.bundled import bundled_text
from attendet.models.planning import ModelPlan
from attendet.surgery import attached
from attendet.training.run_folder import RunFolder
from attendet.training.training_model import build_training_model
from attendet.weights.io import opening
from attendet.weights.io.model_card import ModelCard
from attendet.weights.io.saving import write_tensors
from tests.helpers.small_training import COLORS, MODEL, small, write_set
from tests.helpers.typed_access import anchors_of

NAMES = tuple(COLORS)

pytestmark = pytest.mark.usefixtures("without_plots")


def test_weights_alone_bring_their_model(fit: Callable, start: Path) -> None:
    _, record, listener = fit(model__cfg=None, model__weights=str(start), optimizer__lr0=1e-12, schedule__epochs=1)
    assert Path(record.model["name"]).name == "small.yaml"
    assert any(line.endswith("kept 37 of 37 tensors") for line in listener.messages)


def test_weights_that_describe_a_large_model_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise AssertionError("the modules were created")

    path = tmp_path / "small.safetensors"
    write_tensors({"w": torch.zeros(1)}, path, ModelCard("m", bundled_text("yolov5s"), "auto", ("a",), 64), ())
    monkeypatch.setattr(ModelPlan, "create_modules", fail)
    config = small(Path("data.yaml"), path, tmp_path, model__cfg=None, model__weights=str(path))
    with pytest.raises(WeightsError, match=r"it has 7,0[0-9,]+ parameters, but the file only 1 values \(3 parameters"):
        build_training_model(config, ("a",))


def test_weights_with_other_classes_keep_all_but_the_head(fit: Callable, start: Path, tmp_path: Path) -> None:
    file = write_set(tmp_path / "three", train=4, val=2)
    file.write_text(file.read_text().replace("blue]", "blue, green]"))
    folder, _, listener = fit(
        data__path=str(file), model__weights=str(start), schedule__epochs=1, optimizer__lr0=1e-12, model__freeze=[0]
    )
    assert "reshaped: 6 tensors, loaded in part (row 5)" in "\n".join(listener.messages)
    before, after = load_file(RunFolder(start).best), load_file(folder.last)
    assert torch.equal(before["model.0.conv.weight"], after["model.0.conv.weight"])
    assert after["model.5.m.0.bias"].shape == (24,)


def test_weights_of_another_architecture(fit: Callable, start: Path, tmp_path: Path) -> None:
    wide = tmp_path / "wide.yaml"
    wide.write_text(MODEL.replace("Conv, [16", "Conv, [24"))
    _, _, listener = fit(model__cfg=str(wide), model__weights=str(start), schedule__epochs=1)
    assert "(rows 2, 3, 4, 5)" in "\n".join(listener.messages)
    odd = tmp_path / "odd.yaml"
    odd.write_text(MODEL.replace("Conv, [8,", "nn.Conv2d, [16,").replace("Conv, [16", "nn.Conv2d, [32"))
    with pytest.raises(WeightsError, match=r"no tensor fits into Detector: kept 0 of 17 tensors"):
        fit(model__cfg=str(odd), model__weights=str(start), data__single_cls=True)


def test_attention_on_weights_changes_nothing_at_first(fit: Callable, start: Path) -> None:
    _, before, _ = fit(model__weights=str(start), schedule__epochs=1, optimizer__lr0=1e-12)
    folder, after, listener = fit(
        model__weights=str(start),
        model__attention=["cbam:reduction=2@after:Conv"],
        schedule__epochs=1,
        optimizer__lr0=1e-12,
    )
    assert after.metrics == before.metrics
    assert before.metrics["map50"] > 0.1
    assert "cbam attached at model.0 (8 channels), model.1 (8 channels)" in "\n".join(listener.messages)
    assert "kept 37 of 62 tensors" in "\n".join(listener.messages)
    detector = opening.open(folder.last).detector
    assert [site.path for attachment in attached(detector) for site in attachment.sites] == [
        f"model.{row}" for row in range(5)
    ]


def test_attention_of_the_weights_is_attached_again(fit: Callable, start: Path, tmp_path: Path) -> None:
    before, _, _ = fit(
        model__weights=str(start), model__attention=["cbam:reduction=2@model.3"], schedule__epochs=1, output__name="a"
    )
    again, record, _ = fit(model__weights=str(before.path), schedule__epochs=1, optimizer__lr0=1e-12)
    assert record.model["attached"][0]["sites"][0]["path"] == "model.3"
    expected = load_file(before.best)["model.3.attention.channel.fc2.weight"]
    torch.testing.assert_close(load_file(again.last)["model.3.attention.channel.fc2.weight"], expected)
    # The rows of another model file may have other numbers.
    other = tmp_path / "other.yaml"
    other.write_text(MODEL.replace("Conv, [16", "Conv, [24"))
    _, record, listener = fit(model__cfg=str(other), model__weights=str(before.path), schedule__epochs=1)
    assert record.model["attached"] == []
    assert "not attached: cbam at model.3, as in" in "\n".join(listener.messages)


def test_attention_alone_is_trained(fit: Callable, start: Path) -> None:
    folder, record, _ = fit(
        model__weights=str(start), model__attention=["cbam:reduction=2@model.[34]"], model__freeze="base"
    )
    before, after = load_file(RunFolder(start).best), load_file(folder.last)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    moved = [key for key in after if key.endswith("fc2.weight") and after[key].any()]
    assert moved == ["model.3.attention.channel.fc2.weight", "model.4.attention.channel.fc2.weight"]
    assert record.model["attached"][0]["sites"][0]["path"] == "model.3"


def test_attention_in_the_head_does_not_release_the_head(fit: Callable, start: Path) -> None:
    folder, *_ = fit(
        model__weights=str(start),
        model__attention=["cbam:reduction=2@head"],
        model__freeze="base",
        optimizer__lr0=0.01,
    )
    before, after = load_file(RunFolder(start).best), load_file(folder.last)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert after["model.5.m.0.attention.channel.fc2.weight"].any()


def test_nothing_is_left_to_train_without_attention(fit: Callable, start: Path) -> None:
    with pytest.raises(OptionError, match="nothing is left to train; attach attention: --attention"):
        fit(model__weights=str(start), model__freeze="base")
    # The first epoch would train nothing.
    with pytest.raises(OptionError, match="needs attention, but the model has no attention; attach some: --attention"):
        fit(model__weights=str(start), optimizer__release_epochs=2)


def test_rows_are_released_from_the_head_to_the_image(fit: Callable, start: Path) -> None:
    settings = {"model__weights": str(start), "model__attention": ["cbam:reduction=2@model.3"]}
    # Six rows are released over three epochs: rows 4 and 5 change in the second epoch, but not in the first.
    first, _, _ = fit(**settings, optimizer__release_epochs=3, schedule__epochs=1)
    before, after = load_file(RunFolder(start).best), load_file(first.last)
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert after["model.3.attention.channel.fc2.weight"].any()
    second, _, _ = fit(**settings, optimizer__release_epochs=3, schedule__epochs=2)
    after = load_file(second.last)
    moved = {int(key.split(".")[1]) for key, value in before.items() if not torch.equal(value, after[key])}
    assert moved == {4, 5}


def test_a_frozen_base_cannot_be_released(fit: Callable, start: Path) -> None:
    settings = {"model__weights": str(start), "model__attention": ["cbam:reduction=2@model.3"]}
    with pytest.raises(OptionError, match="frozen base cannot be released later; use either --freeze base"):
        fit(**settings, model__freeze="base", optimizer__release_epochs=2)
    _, _, listener = fit(**settings, optimizer__release_epochs=9, schedule__epochs=1)
    assert "the first rows are not released: releasing all takes 9 epochs" in "\n".join(listener.messages)


def test_attention_and_base_have_separate_learning_rates(fit: Callable, start: Path) -> None:
    settings = {"model__weights": str(start), "model__attention": ["cbam:reduction=2@model.3"]}
    folder, _, _ = fit(**settings, optimizer__base_rate=0, optimizer__attention_rate=2, optimizer__lr0=0.01)
    before, after = load_file(RunFolder(start).best), load_file(folder.last)
    parameters = {key for key in before if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))}
    assert all(torch.equal(before[key], after[key]) for key in parameters)
    assert after["model.3.attention.channel.fc2.weight"].any()
    columns = folder.results.read_text().splitlines()[0].split(",")
    assert [name for name in columns if "lr" in name] == [
        *(f"x/lr{number}" for number in range(3)),
        *(f"x/attention_lr{number}" for number in range(3)),
    ]


def with_cbam(file: Path, reduction: int) -> Path:
    """Write the small model file with a row of CBAM, and return the file."""
    rows = f"  - [-1, 1, CBAM, [{{reduction: {reduction}}}]]\nhead:\n"
    file.write_text(MODEL.replace("head:\n", rows).replace("[[2, 3, 4]", "[[2, 3, 5]"))
    return file


def test_a_model_file_is_built_as_written_with_any_weights(data: Path, tmp_path: Path) -> None:
    old, new = with_cbam(tmp_path / "old.yaml", 2), with_cbam(tmp_path / "new.yaml", 4)
    weights = tmp_path / "old.safetensors"
    save_weights(build(old), weights, ModelCard("old.yaml", old.read_text(), "auto", NAMES, 64))
    for file, hidden in ((old, 8), (new, 4)):
        model = build_training_model(small(data, file, tmp_path, model__weights=str(weights)), NAMES)
        cbam = model.detector.model[5]
        assert isinstance(cbam, CBAM)
        assert cbam.channel.fc1.weight.shape == (hidden, 16)
        assert (cbam.order, model.pretrained) == ("channel-first", True)


def test_model_files_with_the_same_rows_are_equal(data: Path, tmp_path: Path) -> None:
    """The reduction of the CBAM row is taken from the weights, although comments and spaces of the files differ."""
    old, mine = with_cbam(tmp_path / "old.yaml", 2), tmp_path / "mine.yaml"
    weights = tmp_path / "old.safetensors"
    save_weights(
        build(old), weights, ModelCard("old.yaml", old.read_text().replace("{reduction: 2}", "16"), "auto", NAMES, 64)
    )
    text = old.read_text().replace("{reduction: 2}", " 16 ")
    mine.write_text(f"# mine\n{text}")
    model = build_training_model(small(data, mine, tmp_path, model__weights=str(weights)), NAMES)
    cbam = model.detector.model[5]
    assert isinstance(cbam, CBAM)
    assert cbam.channel.fc1.weight.shape == (8, 16)


def test_anchors_of_the_weights_are_used_if_the_model_file_has_only_their_number(data: Path, tmp_path: Path) -> None:
    file, weights = tmp_path / "number.yaml", tmp_path / "old.safetensors"
    (tmp_path / "old.yaml").write_text(MODEL)
    save_weights(build(tmp_path / "old.yaml"), weights, ModelCard("old.yaml", MODEL, "auto", NAMES, 64))
    rows = MODEL[MODEL.index("anchors:") : MODEL.index("backbone:")]
    file.write_text(MODEL.replace(rows, "anchors: 3\n"))
    model = build_training_model(small(data, file, tmp_path, model__weights=str(weights)), NAMES)
    assert anchors_of(model.detector)[0].tolist() == [[10, 13], [16, 30], [33, 23]]
    assert not model.has_placeholders
    # If the head of the weights does not fit into the model, its anchors are not used either.
    file.write_text(MODEL.replace(rows, "anchors: 3\n").replace("Conv, [16", "Conv, [24"))
    model = build_training_model(small(data, file, tmp_path, model__weights=str(weights)), NAMES)
    assert model.has_placeholders
