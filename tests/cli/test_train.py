"""`attendet train` as a user types it: every flag sets its setting, and mistakes are reported."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.training import runner as engine
from attendet.training.config import TrainConfig, setting_names
from tests.helpers.command import CommandResult, run_and_interrupt
from tests.helpers.small_training import MODEL, write_set

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


class TrainingStarted(Exception):  # noqa: N818
    """Raised in place of the training, which has tests of its own."""


@pytest.fixture
def typed(
    attendet: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., TrainConfig | str]:
    """Return a function from a command line to its configuration, or to its error message."""
    configs: list[TrainConfig] = []

    def start(config: TrainConfig, *_: object, **__: object) -> None:
        configs.append(config)
        raise TrainingStarted

    monkeypatch.setattr(engine, "train", start)
    for name in ("d", "d.yaml", "a.safetensors"):
        (tmp_path / name).touch()

    def call(text: str) -> TrainConfig | str:
        try:
            done = attendet("train", *shlex.split(text))
        except TrainingStarted:
            return configs[-1]
        return done.stderr if done.returncode == 2 else f"exit {done.returncode}"

    return call


FLAGS = [
    ("--cfg yolov5s_CBAM", "model.cfg", "yolov5s_CBAM"),
    ("--weights a.safetensors", "model.weights", "a.safetensors"),
    # As in YOLOv5: from scratch.
    ("--weights ''", "model.weights", None),
    ("--dialect unscaled", "model.dialect", "unscaled"),
    ("--start identity", "model.start", "identity"),
    ("--freeze 3", "model.freeze", (0, 1, 2)),
    ("--freeze 0,4", "model.freeze", (0, 4)),
    ("--freeze 0 1 4", "model.freeze", (0, 1, 4)),
    ("--freeze 0", "model.freeze", ()),
    ("--attention cbam@neck --attention se@head", "model.attention", ("cbam@neck", "se@head")),
    ("--cache", "data.cache", "ram"),
    ("--cache disk", "data.cache", "disk"),
    ("--cache --rect", "data.rect", True),
    ("--workers 0", "data.workers", 0),
    ("--single-cls", "data.single_cls", True),
    ("--image-weights", "data.image_weights", True),
    ("--epochs 7", "schedule.epochs", 7),
    ("--batch-size 3", "schedule.batch_size", 3),
    ("--batch 3", "schedule.batch_size", 3),
    ("--imgsz 320", "schedule.imgsz", 320),
    ("--img 320", "schedule.imgsz", 320),
    ("--img-size 320", "schedule.imgsz", 320),
    ("--multi-scale", "schedule.multi_scale", True),
    ("--patience 0", "schedule.patience", 0),
    ("--seed 5", "schedule.seed", 5),
    ("--optimizer SGD", "optimizer.name", "SGD"),
    ("--cos-lr", "optimizer.cos_lr", True),
    ("--label-smoothing 0.1", "loss.label_smoothing", 0.1),
    ("--device cpu", "hardware.device", "cpu"),
    ("--device 0,1", "hardware.device", "0,1"),
    ("--devices 2", "hardware.devices", 2),
    ("--num-nodes 3", "hardware.num_nodes", 3),
    ("--sync-bn", "hardware.sync_bn", True),
    ("--project runs/a", "output.project", "runs/a"),
    ("--name b", "output.name", "b"),
    ("--exist-ok", "output.exist_ok", True),
    ("--save-period 2", "output.save_period", 2),
    ("--save-period -1", "output.save_period", -1),
    ("--tensorboard", "output.tensorboard", True),
    ("--noautoanchor", "anchors.fit", False),
    ("--nosave", "output.save", False),
    ("--noval", "validation.every_epoch", False),
    ("--set optimizer.clip_norm=3", "optimizer.clip_norm", 3),
    ("--set optimizer.ema_decay=none", "optimizer.ema_decay", None),
    ("--set data.cache=none", "data.cache", "none"),
    ("--set model.attention=cbam@neck", "model.attention", ("cbam@neck",)),
    ("--set model.freeze=3", "model.freeze", (0, 1, 2)),
    ("--set model.freeze=0,4", "model.freeze", (0, 4)),
    ("--set model.freeze=base", "model.freeze", "base"),
    # Notations of YOLOv5 and of the yolo command.
    ("--freeze 0 1 4 --rect", "data.rect", True),
    ("--attention cbam@neck se@head", "model.attention", ("cbam@neck", "se@head")),
    ("--lr0 0.02", "optimizer.lr0", 0.02),
    ("--weight-decay 0", "optimizer.weight_decay", 0),
    ("--hsv_h 0.1", "augment.hsv_h", 0.1),
    ("--anchor-t 3", "loss.anchor_t", 3),
    ("--close-mosaic 5", "schedule.close_mosaic", 5),
    ("--deterministic false", "schedule.deterministic", False),
    ("--fraction 0.5", "data.fraction", 0.5),
    ("--precision 32-true", "hardware.precision", "32-true"),
    ("--nbs 32", "optimizer.nominal_batch", 32),
    ("--adam", "optimizer.name", "Adam"),
    ("--linear-lr", "optimizer.cos_lr", False),
    ("--notest", "validation.every_epoch", False),
    ("--cache-images", "data.cache", "ram"),
    ("epochs=7 lr0=0.1", "schedule.epochs", 7),
    ("epochs=7 lr0=0.1", "optimizer.lr0", 0.1),
    ("cache=disk single_cls=True", "data.single_cls", True),
    ("--batch_size 3", "schedule.batch_size", 3),
    ("--out runs/a/b", "output.project", "runs/a"),
    ("--out runs/a/b/", "output.name", "b"),
    ("--out d --exist-ok", "output.name", "d"),
]


@pytest.mark.parametrize(("flags", "key", "value"), FLAGS)
def test_a_flag_reaches_its_setting(
    typed: Callable[..., TrainConfig | str], flags: str, key: str, value: object
) -> None:
    config = typed(f"--data d.yaml {flags}")
    assert isinstance(config, TrainConfig), config
    section, name = key.split(".")
    assert getattr(getattr(config, section), name) == value
    assert config.data.path == "d.yaml"


def documented_defaults() -> list[tuple[str, str]]:
    """Return each setting of the table in docs/training.md, and the default that it states."""
    words = {}
    for names, values in re.findall(r"^\| ((?:`\w+\.\w+`(?:, )?)+) \| ([^|]+?) \|", PAGE, re.MULTILINE):
        keys = re.findall(r"`(.+?)`", names)
        defaults = values.split(", ") if len(keys) > 1 and "," in values else [values] * len(keys)
        # A default with spaces describes a value that is chosen later.
        pairs = zip(keys, defaults, strict=True)
        words |= {key: "none" if value == "chosen" or " " in value else value for key, value in pairs}
    # The momentum of the warm-up depends on the recipe, and a data set has no default.
    return [(key, words[key]) for key in setting_names() if key not in ("data.path", "optimizer.warmup_momentum")]


@pytest.mark.parametrize(("key", "default"), documented_defaults())
def test_documented_defaults_are_the_defaults(typed: Callable[..., TrainConfig | str], key: str, default: str) -> None:
    config = typed(f"--data d.yaml --set {key}={default}")
    assert isinstance(config, TrainConfig), config
    assert config == typed("--data d.yaml")


def test_later_sources_override_earlier_ones(typed: Callable[..., TrainConfig | str], tmp_path: Path) -> None:
    (tmp_path / "hyp.yaml").write_text("label_smoothing: 0.1\nbox: 0.1\nmosaic: 0.5\n")
    plain = typed("--data d.yaml")
    config = typed("--set loss.box=0.3 --data d.yaml --hyp hyp.yaml --label-smoothing 0.2 --set loss.box=0.4")
    assert isinstance(config, TrainConfig)
    assert isinstance(plain, TrainConfig)
    # Default, then file, then flag, then --set; the last --set counts.
    assert (plain.augment.mosaic, config.augment.mosaic) == (1.0, 0.5)
    assert config.loss.label_smoothing == 0.2
    assert config.loss.box == 0.4
    assert config.loss.cls == plain.loss.cls
    # Zero is a value, which overrides the file.
    zero = typed("--data d.yaml --hyp hyp.yaml --label-smoothing 0")
    assert isinstance(zero, TrainConfig)
    assert zero.loss.label_smoothing == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "no data set is given; give --data data.yaml"),
        ("--data nowhere.yaml", "nowhere.yaml: data set not found"),
        ("--data d --weights nowhere.pt", "nowhere.pt: weights file not found"),
        ("--data d --epochs 0", "`schedule.epochs` must be greater than or equal to 1, got 0"),
        ("--data d --batch-size 0", "`schedule.batch_size` must be greater than or equal to 1, got 0"),
        ("--data d --set optimizer.lr=1", "unknown setting 'optimizer.lr'; did you mean"),
        ("--data d --set mosaic=1", "did you mean 'augment.mosaic'?"),
        (
            "--data d --set optimizer.lr0",
            "`--set` must be KEY=VALUE, got 'optimizer.lr0'; write --set optimizer.lr0=VALUE",
        ),
        (
            "--data d --freeze some",
            "`model.freeze` must be a number of rows such as 10, row numbers such as 0,3,5, or base, got 'some'",
        ),
        (
            "--data d --freeze -3",
            "`model.freeze` must be a number of rows such as 10, row numbers such as 0,3,5, or base, got '-3'",
        ),
        (
            "--data d --freeze ,",
            "`model.freeze` must be a number of rows such as 10, row numbers such as 0,3,5, or base, got ','",
        ),
        (
            "--data d --freeze 0,-1",
            "`model.freeze` must be a number of rows such as 10, row numbers such as 0,3,5, or base, got '0,-1'",
        ),
        (
            "--data d --freeze 1000000000000",
            "`model.freeze` must be a number of rows such as 10, row numbers such as 0,3,5, or base, got '1000000",
        ),
        ("--data d --optimizer Lion", "`optimizer.name` must be 'auto', 'SGD', 'Adam' or 'AdamW', got 'Lion'"),
        ("--data d --hyp none.yaml", "none.yaml: hyperparameter file not found"),
        ("--data d --epoch 3", "attendet train has no option --epoch; did you mean --epochs?"),
        ("--data d --batchsize 3", "attendet train has no option --batchsize; did you mean --batch-size?"),
        ("--data d --batch-size 4 8", "`--batch-size` takes one value, got 4 8"),
        ("--data d --imgsz 320 640", "`--imgsz` takes one value, got 320 640; give the longer side only"),
        ("--data d --evolve", "attendet train does not support --evolve; compare settings with attendet study run"),
        ("--data d --model yolov5s", "give --cfg for a model file or bundled name, --weights for trained weights"),
        ("--data d --lr0", "`--lr0` needs a value"),
        ("--data d --out d", "d: already exists"),
        ("--data d --out e --name f", "--name cannot be combined with --out; --out names the folder completely"),
        ("--data d --out e --project f", "--project cannot be combined with --out"),
        ("d.yaml", "unexpected argument d.yaml; see attendet train --help"),
        ("--resume --epochs 3", "--epochs cannot be combined with --resume; a resumed run keeps its own settings"),
        ("--resume exp --seed 0", "--seed cannot be combined with --resume"),
        ("--resume exp --hyp h.yaml", "--hyp cannot be combined with --resume"),
        ("--resume exp --set a.b=1", "--set cannot be combined with --resume"),
        ("--resume exp --lr0 0.1", "--set cannot be combined with --resume"),
        ("--resume exp --project runs", "--project cannot be combined with --resume"),
        ("--resume exp --out runs/a", "--out cannot be combined with --resume"),
        ("--resume --project runs", "no interrupted run found in runs; name its folder: --resume RUN"),
        ("--resume", "no interrupted run found in runs/train"),
        ("--resume nowhere --data moved.yaml", "run record not found; name the folder of a training run"),
    ],
)
def test_mistakes_are_reported_in_one_line(typed: Callable[..., TrainConfig | str], flags: str, message: str) -> None:
    error = typed(flags)
    assert isinstance(error, str)
    assert error.startswith("attendet: ")
    assert message in error
    assert error.count("\n") == 1


def test_a_run_to_resume_can_be_named_by_its_weights(typed: Callable[..., TrainConfig | str], tmp_path: Path) -> None:
    (tmp_path / "e" / "weights").mkdir(parents=True)
    (tmp_path / "e" / "weights" / "last.safetensors").touch()
    assert str(typed("--resume e/weights/last.safetensors")).startswith("attendet: e/run.json: ")


def test_ctrl_c_ends_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    data, model = write_set(tmp_path / "set"), tmp_path / "small.yaml"
    model.write_text(MODEL)
    flags = f"--data {data} --cfg {model} --imgsz 64 --epochs 900 --batch-size 4 --workers 1 --device cpu --noval"
    run = tmp_path / "runs" / "train" / "exp"
    code, out, err = run_and_interrupt(
        ["train", *flags.split()], tmp_path, when=(run / "checkpoint" / "last.ckpt").exists
    )
    assert code == 130, err
    assert out == ""
    assert "Traceback" not in err
    assert "Warning" not in err
    assert err.splitlines()[-1] == "interrupted: continue from the last completed epoch with --resume"
    assert (run / "weights" / "last.safetensors").is_file()
    assert json.loads((run / "run.json").read_text())["finished"] is False
    assert [path.name for path in (run / "checkpoint").iterdir()] == ["last.ckpt"]
