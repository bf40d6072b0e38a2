"""Options that a user types set the right field; invalid ones are refused by name."""

from pathlib import Path

import pytest

from attendet.errors import OptionError
from attendet.training.config import build_config, setting_names
from attendet.training.hyperparameters import read_hyperparameters

DATA = {"data.path": "data.yaml"}
# By YOLOv5's name: the setting, and a value that differs from both defaults.
HYPERPARAMETERS = {
    "lr0": ("optimizer.lr0", 0.013),
    "lrf": ("optimizer.lrf", 0.2),
    "momentum": ("optimizer.momentum", 0.91),
    "weight_decay": ("optimizer.weight_decay", 0.0003),
    "warmup_epochs": ("optimizer.warmup_epochs", 2.5),
    "warmup_momentum": ("optimizer.warmup_momentum", 0.7),
    "warmup_bias_lr": ("optimizer.warmup_bias_lr", 0.06),
    "box": ("loss.box", 0.07),
    "cls": ("loss.cls", 0.3),
    "cls_pw": ("loss.cls_pw", 1.5),
    "obj": ("loss.obj", 0.8),
    "obj_pw": ("loss.obj_pw", 1.2),
    "anchor_t": ("loss.anchor_t", 3.5),
    "fl_gamma": ("loss.fl_gamma", 1.5),
    "label_smoothing": ("loss.label_smoothing", 0.15),
    "hsv_h": ("augment.hsv_h", 0.02),
    "hsv_s": ("augment.hsv_s", 0.6),
    "hsv_v": ("augment.hsv_v", 0.3),
    "degrees": ("augment.degrees", 12.0),
    "translate": ("augment.translate", 0.25),
    "scale": ("augment.scale", 0.9),
    "shear": ("augment.shear", 3.0),
    "perspective": ("augment.perspective", 0.0004),
    "flipud": ("augment.flipud", 0.11),
    "fliplr": ("augment.fliplr", 0.22),
    "mosaic": ("augment.mosaic", 0.33),
    "mixup": ("augment.mixup", 0.44),
}


def test_every_hyperparameter_reaches_its_field(tmp_path: Path) -> None:
    lines = [f"{name}: {value}  # as in the original" for name, (_, value) in HYPERPARAMETERS.items()]
    file = tmp_path / "hyp.yaml"
    file.write_text("\n".join(["# Hyperparameters", *lines, "iou_t: 0.2", "copy_paste: 0.0"]))
    config = build_config(DATA | read_hyperparameters(file).settings)
    for key, value in HYPERPARAMETERS.values():
        section, name = key.split(".")
        assert getattr(getattr(config, section), name) == value, key


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr0: 0.01\nmomentun: 0.9\n", r"hyp.yaml:2:\d+: unknown hyperparameter 'momentun'; .*'momentum'"),
        ("- lr0\n", "the file must be a mapping of hyperparameters to values"),
        ("lr0: [\n", "hyp.yaml"),
    ],
)
def test_an_invalid_hyperparameter_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "hyp.yaml"
    file.write_text(text)
    with pytest.raises(OptionError, match=message):
        read_hyperparameters(file)


def test_what_has_no_effect_is_named(tmp_path: Path) -> None:
    file = tmp_path / "hyp.yaml"
    # As in YOLOv5's files for VOC and Objects365, and in every evolved file.
    file.write_text("lr0: 0.01\niou_t: 0.2\nanchors: 3.63\ncopy_paste: 0.1\n")
    read = read_hyperparameters(file)
    assert read.settings == {"optimizer.lr0": 0.01, "optimizer.name": "SGD"}
    assert [note.partition(": `")[2] for note in read.notes] == [
        "anchors` 3.63 has no effect: the model file sets the number of anchors",
        "copy_paste` 0.1 has no effect: labels are boxes, and only polygons can be pasted",
    ]
    assert read.notes[0].startswith(f"{file}:3:")
    file.write_text("anchors: 0\ncopy_paste: 0.0\n")
    assert read_hyperparameters(file).notes == ()


def test_a_learning_rate_in_a_file_selects_sgd(tmp_path: Path) -> None:
    file = tmp_path / "hyp.yaml"
    file.write_text("lr0: 0.01")
    assert read_hyperparameters(file).settings == {"optimizer.lr0": 0.01, "optimizer.name": "SGD"}
    file.write_text("mosaic: 0.5")
    assert read_hyperparameters(file).settings == {"augment.mosaic": 0.5}


def test_a_missing_hyperparameter_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"missing.yaml"):
        read_hyperparameters(tmp_path / "missing.yaml")


@pytest.mark.parametrize(
    ("key", "nearest"),
    [
        ("optimizer.momentun", "optimizer.momentum"),
        ("optimizr.lr0", "optimizer.lr0"),
        ("loss.boxes", "loss.box"),
        ("mosaic", "augment.mosaic"),
        ("augment.mosiac", "augment.mosaic"),
        ("epochs", "schedule.epochs"),
    ],
)
def test_a_typo_is_reported_with_the_nearest_key(key: str, nearest: str) -> None:
    with pytest.raises(OptionError, match=rf"unknown setting '{key}'; did you mean '{nearest}'\?"):
        build_config(DATA | {key: 1})


def test_an_unrecognizable_key_is_reported_with_all_sections() -> None:
    with pytest.raises(OptionError, match=r"settings start with data, model, schedule"):
        build_config(DATA | {"zzzz.qqqq": 1})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schedule.epochs", "many"),
        ("schedule.epochs", 0),
        ("schedule.batch_size", -1),
        ("schedule.batch_size", 2.5),
        ("schedule.imgsz", 8),
        ("schedule.seed", -1),
        ("optimizer.lr0", 0),
        ("optimizer.lr0", "nan"),
        ("optimizer.lr0", "inf"),
        ("optimizer.momentum", 1),
        ("optimizer.name", "Lion"),
        ("optimizer.cos_lr", "perhaps"),
        ("data.cache", "tape"),
        ("data.format", "kitti"),
        ("data.workers", 1000),
        ("hardware.precision", "8-true"),
        ("validation.iou", 1.5),
        ("augment.mosaic", 1.5),
        ("augment.mosaic", "often"),
        ("augment.scale", -0.1),
        ("augment.translate", 2),
        ("augment.degrees", 200),
        ("augment.shear", 90),
        ("augment.perspective", 0.1),
        ("augment.hsv_h", "nan"),
        ("loss.box", -1),
        ("loss.fl_gamma", "inf"),
        ("loss.label_smoothing", 1.5),
        ("loss.anchor_t", 1),
        ("model.start", "warm"),
        ("model.freeze", [-1]),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(key: str, value: object) -> None:
    with pytest.raises(OptionError) as caught:
        build_config(DATA | {key: value})
    assert f"`{key}` must be" in str(caught.value)
    assert ", got " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_strings_are_converted_to_the_type_of_the_field() -> None:
    config = build_config(DATA | {"optimizer.cos_lr": "true", "schedule.epochs": "7", "augment.scale": "0.25"})
    assert config.optimizer.cos_lr is True
    assert (config.schedule.epochs, config.augment.scale) == (7, 0.25)


def test_a_configuration_is_restored_from_json() -> None:
    config = build_config(DATA | {"augment.mixup": 0.1, "model.freeze": [0, 3], "loss.box": 0.1})
    again = type(config).model_validate_json(config.model_dump_json())
    assert again == config
    assert again.augment.mixup == 0.1


def test_no_two_hyperparameters_share_a_name() -> None:
    names = [name.split(".")[1] for name in setting_names() if name.split(".")[0] in ("optimizer", "augment", "loss")]
    assert len(names) == len(set(names))
