"""Arguments in YOLOv5's notations."""

import argparse
import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendet.cli.yolov5.argument_rewriting import DeclaredOptions, rewrite_arguments
from attendet.errors import OptionError

TRAIN = DeclaredOptions(
    "train",
    flags=frozenset(["--rect", "--noval", "--cos-lr"]),
    single=frozenset(
        ["--data", "--epochs", "--batch-size", "--cache", "--resume", "--optimizer", "--imgsz", "--device"]
    ),
    lists=frozenset(["--freeze", "--set", "--attention"]),
)
PREDICT = DeclaredOptions(
    "predict",
    flags=frozenset(["--half", "--save-txt", "--agnostic-nms"]),
    single=frozenset(["--weights", "--conf", "--imgsz", "--img", "--device", "--batch-size"]),
    lists=frozenset(["--classes", "--source"]),
    has_arguments=True,
)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ""),
        ("--data a.yaml --rect", "--data a.yaml --rect"),
        ("--data=a.yaml", "--data a.yaml"),
        ("--batch_size 4", "--batch-size 4"),
        ("--freeze 0 1 4 --rect", "--freeze 0 --freeze 1 --freeze 4 --rect"),
        ("--attention cbam@neck se@head --epochs 3", "--attention cbam@neck --attention se@head --epochs 3"),
        ("--set a.b=1 c.d=2 epochs=3", "--set a.b=1 --set c.d=2 --epochs 3"),
        ("--cache", "--cache ram"),
        ("--cache --resume runs/a --rect", "--cache ram --resume runs/a --rect"),
        ("--resume", "--resume latest"),
        ("--freeze -3", "--freeze -3"),
        ("--adam", "--optimizer Adam"),
        ("--linear-lr", "--set optimizer.cos_lr=false"),
        ("--notest", "--noval"),
        ("--lr0 0.01 --weight-decay=1e-4", "--set optimizer.lr0=0.01 --set optimizer.weight_decay=1e-4"),
        ("--hsv_h 0", "--set augment.hsv_h=0"),
        ("--nbs 64", "--set optimizer.nominal_batch=64"),
        ("epochs=3 batch_size=4 lr0=0.01", "--epochs 3 --batch-size 4 --set optimizer.lr0=0.01"),
        ("rect=True cos_lr=false", "--rect"),
        ("--imgsz 640 640", "--imgsz 640"),
    ],
)
def test_training_arguments(typed: str, expected: str) -> None:
    assert rewrite_arguments(typed.split(), TRAIN) == expected.split()


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("w.pt photos 0", "w.pt photos 0"),
        ("w.pt --classes 0 1 photos", "w.pt --classes 0 --classes 1 photos"),
        ("w.pt --classes cat photos", "w.pt --classes cat photos"),
        ("w.pt --device cpu 0", "w.pt --device cpu 0"),
        ("w.pt --half 0", "w.pt --half 0"),
        ("w.pt - --half", "w.pt - --half"),
        ("w.pt -- --half conf=1", "w.pt -- --half conf=1"),
        ("--source 0 --weights w.pt", "--source 0 --weights w.pt"),
        ("w.pt conf=0.5 save_txt=True photos", "w.pt --conf 0.5 --save-txt photos"),
        ("w.pt lens=wide.jpg", "w.pt lens=wide.jpg"),
        ("w.pt --img 320 320 photos", "w.pt --img 320 photos"),
    ],
)
def test_prediction_arguments(typed: str, expected: str) -> None:
    assert rewrite_arguments(typed.split(), PREDICT) == expected.split()


def test_a_file_that_looks_like_a_setting_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "conf=0.5").touch()
    assert rewrite_arguments(["w.pt", "conf=0.5"], PREDICT) == ["w.pt", "conf=0.5"]


@pytest.mark.parametrize(
    ("declared", "typed", "message"),
    [
        (TRAIN, "--batch-size 4 8", "`--batch-size` takes one value, got 4 8; give one of them"),
        (TRAIN, "--batch_size 4 8", "`--batch_size` takes one value, got 4 8; give one of them"),
        (TRAIN, "--data a.yaml b.yaml", "`--data` takes one value, got a.yaml b.yaml; give one of them"),
        (TRAIN, "--lr0 0.1 0.2", "`--lr0` takes one value, got 0.1 0.2; give one of them"),
        (TRAIN, "--device 0 1", "`--device` takes one value, got 0 1; write --device 0,1"),
        (
            PREDICT,
            "w.pt photos --imgsz 320 640",
            "`--imgsz` takes one value, got 320 640; give the longer side only: images keep their aspect ratio",
        ),
        (
            PREDICT,
            "w.pt --conf 0.3 0",
            "`--conf` takes one value, got 0.3 0; give one of them; a camera's number goes after --source",
        ),
        (TRAIN, "--data", "`--data` needs a value; write --data VALUE"),
        (TRAIN, "--data --rect", "`--data` needs a value; write --data VALUE"),
        (TRAIN, "--rect=maybe", "`--rect` must be True or False, got 'maybe'; write --rect alone"),
        (TRAIN, "--epoch 3", "attendet train has no option --epoch; did you mean --epochs?"),
        (TRAIN, "epoch=3", "attendet train has no option --epoch; did you mean --epochs?"),
        (TRAIN, "--xyzzy", "attendet train has no option --xyzzy; see attendet train --help"),
        (PREDICT, "--savetxt", "attendet predict has no option --savetxt; did you mean --save-txt?"),
        (
            PREDICT,
            "--view-img",
            "attendet predict does not support --view-img; no window is opened; look at the annotated images in ",
        ),
        (TRAIN, "--local_rank 0", "attendet train does not support --local_rank; start the processes with torchrun"),
    ],
)
def test_mistakes(declared: DeclaredOptions, typed: str, message: str) -> None:
    with pytest.raises(OptionError) as raised:
        rewrite_arguments(typed.split(), declared)
    assert str(raised.value).startswith(message)


NUMBERS = st.integers(0, 99).map(str)


@given(st.lists(NUMBERS, min_size=1), st.lists(st.sampled_from(["a.jpg", "photos", "dog"])), st.lists(NUMBERS))
def test_lists_of_numbers_are_split_as_by_argparse(classes: list[str], images: list[str], more: list[str]) -> None:
    flags = ["--classes", *classes, "--half", *(["--classes", *more] if more else [])]
    parser = argparse.ArgumentParser()
    parser.add_argument("--classes", nargs="+", action="extend")
    parser.add_argument("--half", action="store_true")
    expected = parser.parse_args(flags).classes
    rewritten = rewrite_arguments(["w.pt", *images, *flags], PREDICT)
    values = [value for flag, value in itertools.pairwise(rewritten) if flag == "--classes"]
    assert values == expected
    assert rewritten[: len(images) + 1] == ["w.pt", *images]
