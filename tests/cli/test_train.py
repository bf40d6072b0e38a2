"""`attendet train` as a user types it: every flag reaches its setting, and nothing that is typed is lost."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from attendet.cli.train import with_values
from attendet.training import runner as engine
from attendet.training.config import TrainConfig, setting_names
from tests.helpers.command import CommandResult, run_and_interrupt
from tests.helpers.small_training import MODEL, write_set

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


class Began(Exception):  # noqa: N818
    """Stands for the run, which is tested elsewhere."""


@pytest.fixture
def typed(attendet: Callable[..., CommandResult], monkeypatch: pytest.MonkeyPatch) -> Callable[..., TrainConfig | str]:
    """Return the configuration that a command line asks for, or what it is refused with."""
    taken: list[TrainConfig] = []

    def begin(config: TrainConfig, *_: object, **__: object) -> None:
        taken.append(config)
        raise Began

    monkeypatch.setattr(engine, "train", begin)

    def call(text: str) -> TrainConfig | str:
        try:
            done = attendet("train", *shlex.split(text))
        except Began:
            return taken[-1]
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
]


@pytest.mark.parametrize(("flags", "key", "value"), FLAGS)
def test_a_flag_reaches_its_setting(
    typed: Callable[..., TrainConfig | str], flags: str, key: str, value: object
) -> None:
    config = typed(f"--data d.yaml {flags}")
    assert isinstance(config, TrainConfig), config
    room, name = key.split(".")
    assert getattr(getattr(config, room), name) == value
    assert config.data.path == "d.yaml"


def told() -> list[tuple[str, str]]:
    """Return each setting of the page's table, and the word that gives it what it is unless set."""
    words = {}
    for names, values in re.findall(r"^\| ((?:`\w+\.\w+`(?:, )?)+) \| ([^|]+?) \|", PAGE, re.MULTILINE):
        keys = re.findall(r"`(.+?)`", names)
        usual = values.split(", ") if len(keys) > 1 and "," in values else [values] * len(keys)
        # What is chosen later is told in words.
        pairs = zip(keys, usual, strict=True)
        words |= {key: "none" if value == "chosen" or " " in value else value for key, value in pairs}
    # The recipe alone knows the momentum of every warm-up; a data set is always given.
    return [(key, words[key]) for key in setting_names() if key not in ("data.path", "optimizer.warmup_momentum")]


@pytest.mark.parametrize(("key", "word"), told())
def test_what_the_page_says_of_a_setting_can_be_typed_and_is_so(
    typed: Callable[..., TrainConfig | str], key: str, word: str
) -> None:
    config = typed(f"--data d.yaml --set {key}={word}")
    assert isinstance(config, TrainConfig), config
    assert config == typed("--data d.yaml")


def test_later_sources_win(typed: Callable[..., TrainConfig | str], tmp_path: Path) -> None:
    (tmp_path / "hyp.yaml").write_text("label_smoothing: 0.1\nbox: 0.1\nmosaic: 0.5\n")
    plain = typed("--data d.yaml")
    config = typed("--set loss.box=0.3 --data d.yaml --hyp hyp.yaml --label-smoothing 0.2 --set loss.box=0.4")
    assert isinstance(config, TrainConfig)
    assert isinstance(plain, TrainConfig)
    # Default, then file, then flag, then --set, of which the last.
    assert (plain.augment.mosaic, config.augment.mosaic) == (1.0, 0.5)
    assert config.loss.label_smoothing == 0.2
    assert config.loss.box == 0.4
    assert config.loss.cls == plain.loss.cls
    # Zero is a value: it takes back what the file says.
    zero = typed("--data d.yaml --hyp hyp.yaml --label-smoothing 0")
    assert isinstance(zero, TrainConfig)
    assert zero.loss.label_smoothing == 0


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("", "there is no data set; give --data data.yaml"),
        ("--data d --epochs 0", "schedule.epochs is 0"),
        ("--data d --batch-size 0", "schedule.batch_size is 0"),
        ("--data d --set optimizer.lr=1", "there is no setting 'optimizer.lr'; did you mean"),
        ("--data d --set mosaic=1", "did you mean 'augment.mosaic'?"),
        ("--data d --set optimizer.lr0", "--set optimizer.lr0 has no value"),
        ("--data d --freeze some", "model.freeze is 'some'; write 10 for the first ten rows"),
        ("--data d --freeze -3", "model.freeze is '-3'; write 10 for the first ten rows"),
        ("--data d --freeze ,", "model.freeze is ','; write 10 for the first ten rows"),
        ("--data d --freeze 0,-1", "model.freeze is '0,-1'; write 10 for the first ten rows"),
        ("--data d --freeze 1000000000000", "model.freeze is '1000000000000'; write 10"),
        ("--data d --optimizer Lion", "optimizer.name is 'Lion'"),
        ("--data d --hyp none.yaml", "none.yaml"),
        ("--data d --epoch 3", "--epochs"),
        ("--data d --batchsize 3", "--batch-size"),
        ("--resume --epochs 3", "--epochs beside --resume; a resumed run goes on with its own settings"),
        ("--resume exp --seed 0", "--seed beside --resume"),
        ("--resume exp --hyp h.yaml", "--hyp beside --resume"),
        ("--resume exp --set a.b=1", "--set beside --resume"),
        ("--resume exp --project runs", "--project beside --resume"),
        ("--resume --project runs", "there is no interrupted run in runs"),
        ("--resume", "there is no interrupted run in runs/train"),
        ("--resume nowhere", "there is no run here"),
    ],
)
def test_what_is_refused(typed: Callable[..., TrainConfig | str], flags: str, message: str) -> None:
    told = typed(flags)
    assert isinstance(told, str)
    assert message in told
    assert "Traceback" not in told


def test_options_that_stand_bare() -> None:
    assert with_values(["--resume"]) == ["--resume", "latest"]
    assert with_values(["--cache", "--resume", "x", "--cache"]) == ["--cache", "ram", "--resume", "x", "--cache", "ram"]
    assert with_values(["--cache=disk", "--name", "--cache"]) == ["--cache=disk", "--name", "--cache", "ram"]


def test_ctrl_c_ends_a_run_that_can_go_on(tmp_path: Path) -> None:
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
    assert err.splitlines()[-1] == "interrupted: --resume goes on from the last whole epoch"
    assert (run / "weights" / "last.safetensors").is_file()
    assert json.loads((run / "run.json").read_text())["finished"] is False
    assert [path.name for path in (run / "checkpoint").iterdir()] == ["last.ckpt"]
