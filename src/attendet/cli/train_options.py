"""The options of `attendet train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from attendet.cli.options import OUTPUT

# Headings of the help page.
DATA, SCHEDULE, OPTIMIZATION, ATTENTION, HARDWARE = (
    "Data and model",
    "Schedule",
    "Optimization",
    "Attention",
    "Hardware",
)

Data: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DATA", help="A data.yaml, a folder, or a COCO json.", rich_help_panel=DATA),
]
Cfg: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL",
        help="Model file, or name of a bundled model such as yolov5s_CBAM. [default: that of --weights]",
        rich_help_panel=DATA,
    ),
]
Weights: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="Weights to start from: folder of a run, .safetensors file, or .pt file of YOLO.",
        rich_help_panel=DATA,
    ),
]
Cache: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="[ram|disk|none|auto]",
        help="Where decoded images are kept; --cache alone is --cache ram. [default: auto]",
        rich_help_panel=DATA,
    ),
]
Rect: TypeAlias = Annotated[
    bool,
    typer.Option("--rect", help="Batch images of similar shape, without mosaic.", rich_help_panel=DATA),
]
SingleCls: TypeAlias = Annotated[
    bool, typer.Option("--single-cls", help="Treat all classes as one.", rich_help_panel=DATA)
]
ImageWeights: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--image-weights", help="Draw images of rare or poorly detected classes more often.", rich_help_panel=DATA
    ),
]
Workers: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Processes that load and augment images.", rich_help_panel=DATA)
]
Epochs: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", help="Passes over the training images. [default: 300]", rich_help_panel=SCHEDULE),
]
BatchSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--batch-size",
        "--batch",
        metavar="N",
        help="Images per step over all processes. [default: 16]",
        rich_help_panel=SCHEDULE,
    ),
]
Imgsz: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--imgsz",
        "--img",
        "--img-size",
        metavar="PIXELS",
        help="Side of the square training images. [default: 640]",
        rich_help_panel=SCHEDULE,
    ),
]
MultiScale: TypeAlias = Annotated[
    bool,
    typer.Option("--multi-scale", help="Vary the image size of each batch by up to 50%.", rich_help_panel=SCHEDULE),
]
Patience: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS",
        help="Stop after this many epochs without improvement; 0 never stops. [default: 100]",
        rich_help_panel=SCHEDULE,
    ),
]
Noval: TypeAlias = Annotated[
    bool, typer.Option("--noval", help="Validate after the last epoch only.", rich_help_panel=SCHEDULE)
]
Seed: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="N", help="Seed for all random number generators. [default: 0]", rich_help_panel=SCHEDULE),
]
Resume: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="[RUN]",
        help="Resume an interrupted run: its folder, or the latest run if no value is given. --data names moved data.",
        rich_help_panel=SCHEDULE,
    ),
]
Optimizer: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="[auto|SGD|Adam|AdamW]", help="Optimizer. [default: auto]", rich_help_panel=OPTIMIZATION),
]
CosLr: TypeAlias = Annotated[
    bool,
    typer.Option("--cos-lr", help="Decrease the learning rate along a cosine.", rich_help_panel=OPTIMIZATION),
]
LabelSmoothing: TypeAlias = Annotated[
    float | None,
    typer.Option(metavar="0-1", help="Epsilon of the class targets.", rich_help_panel=OPTIMIZATION),
]
Freeze: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ROWS",
        help="Rows that are not trained: 10 for the first ten, 0 3 5 for these three, base for all but attention.",
        rich_help_panel=OPTIMIZATION,
    ),
]
Noautoanchor: TypeAlias = Annotated[
    bool,
    typer.Option("--noautoanchor", help="Do not fit the anchors to the data.", rich_help_panel=OPTIMIZATION),
]
Hyp: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Hyperparameter file of YOLOv5 or YOLOv8.", rich_help_panel=OPTIMIZATION),
]
Settings: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Any setting by its key. Hyperparameters are flags, too: --lr0 0.01 is --set optimizer.lr0=0.01.",
        rich_help_panel=OPTIMIZATION,
    ),
]
Attention: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME@PLACE",
        help="Attach an attention module, such as cbam@neck; several are allowed.",
        rich_help_panel=ATTENTION,
    ),
]
Yes: TypeAlias = Annotated[
    bool,
    typer.Option("--yes", help="Attach attention at more than 30 places without asking.", rich_help_panel=ATTENTION),
]
Start: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="[paper|identity]",
        help="Initialization of attention. [default: identity if weights are given, else paper]",
        rich_help_panel=ATTENTION,
    ),
]
Release: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS",
        help="Train attention first, and release the other rows one by one within this many epochs.",
        rich_help_panel=ATTENTION,
    ),
]
Dialect: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="How attention rows of the model file are read: auto, or the name of a dialect.",
        rich_help_panel=ATTENTION,
    ),
]
Like: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|N",
        help="What a fork printed when it built the model file (a text file, or the total number of parameters), or "
        "its checkpoint: read attention rows so that the parameter counts agree.",
        rich_help_panel=ATTENTION,
    ),
]
WatchAttention: TypeAlias = Annotated[
    int | None,
    typer.Option(
        metavar="EPOCHS",
        help="Record statistics of the attention every this many epochs.",
        rich_help_panel=ATTENTION,
    ),
]
Device: TypeAlias = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="auto, cpu, cuda, 0, or 0,1. [default: auto]", rich_help_panel=HARDWARE),
]
Devices: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Processes on this machine.", rich_help_panel=HARDWARE)
]
NumNodes: TypeAlias = Annotated[
    int | None, typer.Option(metavar="N", help="Number of machines. [default: 1]", rich_help_panel=HARDWARE)
]
SyncBn: TypeAlias = Annotated[
    bool,
    typer.Option("--sync-bn", help="Synchronize batch norms between processes.", rich_help_panel=HARDWARE),
]
Out: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder of the run. [default: runs/train/exp, exp2, ...]", rich_help_panel=OUTPUT),
]
Project: TypeAlias = Annotated[
    str | None, typer.Option(metavar="DIR", help="Folder of all runs.", rich_help_panel=OUTPUT)
]
Name: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Name of the run in --project; a number is added if it exists.", rich_help_panel=OUTPUT
    ),
]
ExistOk: TypeAlias = Annotated[
    bool, typer.Option("--exist-ok", help="Write into the folder even if it exists.", rich_help_panel=OUTPUT)
]
SavePeriod: TypeAlias = Annotated[
    int | None,
    typer.Option(metavar="EPOCHS", help="Keep the weights every this many epochs.", rich_help_panel=OUTPUT),
]
Nosave: TypeAlias = Annotated[
    bool, typer.Option("--nosave", help="Write the last weights at the end only.", rich_help_panel=OUTPUT)
]
Tensorboard: TypeAlias = Annotated[
    bool, typer.Option("--tensorboard", help="Also write curves for TensorBoard.", rich_help_panel=OUTPUT)
]
