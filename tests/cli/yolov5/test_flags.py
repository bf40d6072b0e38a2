"""Every flag that users of YOLOv5 type is understood, or answered in one line with what to do instead."""

from collections.abc import Callable

import pytest

from attendet.cli.train_settings import NEGATIONS, SETTINGS
from attendet.cli.yolov5.flags import REPLACED_FLAGS, SETTING_FLAGS, UNSUPPORTED_FLAGS
from attendet.training.config import setting_names
from tests.helpers.command import CommandResult, declared_flags

# The options of train.py, val.py, and detect.py, as their --help lists them, and names from older versions.
YOLOV5 = {
    "train": (
        "--weights --cfg --data --hyp --epochs --batch-size --batch --imgsz --img --img-size --rect --resume --nosave "
        "--noval --notest --noautoanchor --noplots --evolve --bucket --cache --cache-images --image-weights --device "
        "--multi-scale --single-cls --optimizer --adam --linear-lr --sync-bn --workers --project --name --exist-ok "
        "--quad --cos-lr --label-smoothing --patience --freeze --save-period --seed --local_rank --entity "
        "--upload_dataset --bbox_interval --artifact_alias"
    ),
    "val": (
        "--data --weights --batch-size --imgsz --img --img-size --conf-thres --iou-thres --max-det --task --device "
        "--workers --single-cls --augment --verbose --save-txt --save-hybrid --save-conf --save-json --project --name "
        "--exist-ok --half --dnn"
    ),
    "predict": (
        "--weights --source --data --imgsz --img --img-size --conf-thres --iou-thres --max-det --device --view-img "
        "--save-txt --save-format --save-csv --save-conf --save-crop --nosave --classes --agnostic-nms --augment "
        "--visualize --update --project --name --exist-ok --line-thickness --hide-labels --hide-conf --half --dnn "
        "--vid-stride"
    ),
}
# Arguments of the `yolo` command that have the same meaning.
YOLO_COMMAND = {
    "train": "model epochs batch imgsz lr0 lrf momentum weight_decay warmup_epochs box cls mosaic fliplr close_mosaic "
    "fraction seed deterministic cos_lr amp nbs pretrained freeze patience device workers project name exist_ok resume",
    "val": "model data imgsz batch conf iou max_det half device split save_json plots",
    "predict": "model source conf iou imgsz max_det half device classes agnostic_nms vid_stride save_txt "
    "save_crop show",
}


def known_flags(verb: str) -> set[str]:
    return declared_flags(verb).union(
        *(table.get(verb, {}) for table in (REPLACED_FLAGS, SETTING_FLAGS, UNSUPPORTED_FLAGS))
    )


@pytest.mark.parametrize("verb", YOLOV5)
def test_every_flag_of_yolov5_has_an_answer(verb: str) -> None:
    typed = [*YOLOV5[verb].split(), *(f"--{name}" for name in YOLO_COMMAND[verb].split())]
    assert {flag for flag in typed if flag.replace("_", "-") not in known_flags(verb)} == set()


@pytest.mark.parametrize("verb", UNSUPPORTED_FLAGS)
def test_unsupported_flags_are_answered_in_one_line(verb: str, attendet: Callable[..., CommandResult]) -> None:
    for flag, remedy in UNSUPPORTED_FLAGS[verb].items():
        assert flag not in declared_flags(verb)
        message = f"attendet: attendet {verb} does not support {flag}; {remedy}\n"
        assert attendet(verb, flag) == CommandResult(2, "", message)
        name = flag.removeprefix("--").replace("-", "_")
        assert attendet(verb, f"{name}=1") == CommandResult(2, "", message.replace(flag, f"--{name}", 1))


def test_flags_that_answers_name_exist() -> None:
    for verb, answers in UNSUPPORTED_FLAGS.items():
        for remedy in answers.values():
            words = remedy.replace(",", " ").replace(";", " ").split()
            other = "predict" if "predict" in words else verb
            assert {word for word in words if word.startswith("--")} <= known_flags(verb) | known_flags(other)


def test_every_setting_of_training_is_a_flag() -> None:
    by_flag = {*SETTINGS.values(), *NEGATIONS.values(), *SETTING_FLAGS["train"].values()}
    missing = set(setting_names()) - by_flag
    # Only --set reaches these: their names mean something else on the command line.
    assert missing == {
        "data.format",
        "data.bit_depth",
        "anchors.min_recall",
        "validation.confidence",
        "validation.iou",
        "validation.max_detections",
        "validation.canvas",
    }
    assert by_flag <= set(setting_names())
    for flag, key in SETTING_FLAGS["train"].items():
        assert flag in ("--nbs", f"--{key.split('.')[1].replace('_', '-')}")
