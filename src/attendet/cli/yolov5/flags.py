"""Flags of YOLOv5 and of the `yolo` command that attendet names differently or does not have."""

from __future__ import annotations

from collections.abc import Mapping

# Values of options that YOLOv5's users also write without one.
DEFAULT_VALUES: Mapping[str, str] = {"--cache": "ram", "--resume": "latest"}

# Flags that other options replace, by verb.
REPLACED_FLAGS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "train": {
        "--adam": ("--optimizer", "Adam"),
        "--cache-images": ("--cache", "ram"),
        "--linear-lr": ("--set", "optimizer.cos_lr=false"),
        "--notest": ("--noval",),
    },
}

# Settings of training that have no option of their own.
_SETTINGS = (
    *("optimizer.lr0", "optimizer.lrf", "optimizer.momentum", "optimizer.weight_decay", "optimizer.nominal_batch"),
    *("optimizer.warmup_epochs", "optimizer.warmup_momentum", "optimizer.warmup_bias_lr", "optimizer.ema_decay"),
    *("optimizer.ema_ramp", "optimizer.clip_norm", "optimizer.attention_rate", "optimizer.base_rate"),
    *("augment.hsv_h", "augment.hsv_s", "augment.hsv_v", "augment.degrees", "augment.translate", "augment.scale"),
    *("augment.shear", "augment.perspective", "augment.flipud", "augment.fliplr", "augment.mosaic", "augment.mixup"),
    *("loss.box", "loss.cls", "loss.cls_pw", "loss.obj", "loss.obj_pw", "loss.anchor_t", "loss.fl_gamma"),
    "loss.dfl",
    *("schedule.close_mosaic", "schedule.deterministic", "data.fraction", "hardware.precision"),
)
# The flags that set them: `--weight-decay 0.001` is `--set optimizer.weight_decay=0.001`.
SETTING_FLAGS: Mapping[str, Mapping[str, str]] = {
    "train": {
        **{f"--{key.split('.')[1].replace('_', '-')}": key for key in _SETTINGS},
        "--nbs": "optimizer.nominal_batch",
    },
}

_NO_UPLOAD = "attendet logs to no online service; --tensorboard writes curves to the run's folder"
_NO_OPENCV_DNN = "leave it out: weights run in PyTorch"
_NO_TEST_TIME_AUGMENTATION = "test-time augmentation is not implemented; try another --imgsz"
_ALWAYS_PLOTS = "leave it out: plots are always drawn, into the folder pictures of the run"
_NO_WINDOW = "no window is opened; look at the annotated images in the run's folder"
_NO_LABEL_FILES = "--save-json writes all detections; attendet predict --save-txt writes label files"
_ONLY_DETECTION = "leave it out: the command is the mode, and all models are detectors"

# Flags that attendet does not have, by verb, and what to do instead.
UNSUPPORTED_FLAGS: Mapping[str, Mapping[str, str]] = {
    "train": {
        "--amp": "give --precision 16-mixed, bf16-mixed, or 32-true",
        "--anchors": "set anchors: 3 in the model file",
        "--artifact-alias": _NO_UPLOAD,
        "--bbox-interval": _NO_UPLOAD,
        "--bucket": "copy the run's folder after training",
        "--copy-paste": "it needs polygons, which are not read; leave it out",
        "--entity": _NO_UPLOAD,
        "--evolve": "compare settings with attendet study run, and attention modules with attendet study search",
        "--iou-t": "leave it out: it has no effect in training",
        "--local-rank": "start the processes with torchrun, or with --devices",
        "--log-artifacts": _NO_UPLOAD,
        "--log-imgs": _NO_UPLOAD,
        "--mode": _ONLY_DETECTION,
        "--model": "give --cfg for a model file or bundled name, --weights for trained weights",
        "--ndjson-console": "read results.csv and run.json in the run's folder",
        "--ndjson-file": "read results.csv and run.json in the run's folder",
        "--noplots": _ALWAYS_PLOTS,
        "--plots": _ALWAYS_PLOTS,
        "--pretrained": "give --weights FILE",
        "--quad": "leave it out; --multi-scale varies the size of the images",
        "--task": _ONLY_DETECTION,
        "--upload-dataset": _NO_UPLOAD,
    },
    "val": {
        "--augment": _NO_TEST_TIME_AUGMENTATION,
        "--dnn": _NO_OPENCV_DNN,
        "--mode": _ONLY_DETECTION,
        "--plots": "give --out DIR: plots are drawn whenever results are written",
        "--save-conf": _NO_LABEL_FILES,
        "--save-hybrid": _NO_LABEL_FILES,
        "--save-txt": _NO_LABEL_FILES,
        "--single-cls": "leave it out: weights that were trained with --single-cls are validated with one class",
        "--verbose": "leave it out: results are always listed by class",
        "--workers": "leave it out: the number of processes that load images is chosen automatically",
    },
    "predict": {
        "--augment": _NO_TEST_TIME_AUGMENTATION,
        "--dnn": _NO_OPENCV_DNN,
        "--mode": _ONLY_DETECTION,
        "--save-format": "--save-txt writes YOLO labels, --save-csv writes corners in pixels",
        "--show": _NO_WINDOW,
        "--task": _ONLY_DETECTION,
        "--update": "attendet weights convert writes a file without the optimizer",
        "--view-img": _NO_WINDOW,
        "--visualize": "attendet explain shows attention maps and class activation maps",
    },
    "explain": {
        "--save": "leave it out: figures are always written",
        "--view-img": "no window is opened; look at index.html in the written folder",
    },
}

# Verbs by the names of YOLOv5's scripts and of the `yolo` command.
VERBS: Mapping[str, str] = {
    "detect": "predict",
    "inspect": "weights inspect",
    "search": "study search",
    "test": "val",
    "validate": "val",
}
