"""Arguments and options that several verbs share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeAlias

import typer

# Headings of help pages.
INPUT, DETECTION, COMPUTING, OUTPUT = "Input", "Detections", "Computing", "Output"

Model: TypeAlias = Annotated[
    str, typer.Argument(metavar="MODEL", help="Model file, or name of a bundled model such as yolov5s_CBAM.")
]
Dialect: TypeAlias = Annotated[
    str,
    typer.Option("--dialect", metavar="NAME", help="How attention rows are read: auto, or the name of a dialect."),
]
Like: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--like",
        metavar="FILE|N",
        help="What a fork printed when it built the model (a text file or a log with the table, or the total number of "
        "parameters), or its checkpoint: read attention rows so that the parameter counts agree.",
    ),
]
NumClasses: TypeAlias = Annotated[
    int | None,
    typer.Option("--num-classes", "--nc", metavar="N", help="Number of classes. [default: as in the file]", min=1),
]
WeightsArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="WEIGHTS",
        help="Folder of a run, .safetensors file, .pt file of YOLO, or exported file (.onnx, .xml, .param, .pt2).",
        show_default=False,
    ),
]
WeightsOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--weights", "--model", metavar="WEIGHTS", help="The same as the argument WEIGHTS.", rich_help_panel=INPUT
    ),
]
NetworkArgument: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="Folder of a run, .safetensors file, .pt file of YOLO, or a model file (random weights).",
        show_default=False,
    ),
]
NetworkOption: TypeAlias = Annotated[
    str | None, typer.Option("--weights", metavar="WEIGHTS", help="The same as MODEL.", rich_help_panel=INPUT)
]
SourcesArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE...",
        help="Images, videos, folders, patterns in quotes, lists of paths (.txt), camera numbers, or - for paths from "
        "standard input.",
        show_default=False,
    ),
]
SourcesOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="SOURCE", help="The same as the argument SOURCE.", rich_help_panel=INPUT),
]
SplitName: TypeAlias = Literal["train", "val", "test"]
ImageSize: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--imgsz",
        "--img",
        "--img-size",
        metavar="PIXELS",
        help="Length that the longer side of each image is scaled to. [default: as in training]",
        min=32,
        rich_help_panel=DETECTION,
    ),
]
CanvasSize: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--imgsz",
        "--img",
        "--img-size",
        metavar="PIXELS",
        help="Length that the longer side of each image is scaled to; or HEIGHT,WIDTH that each image is fitted into. "
        "[default: as in training]",
        rich_help_panel=DETECTION,
    ),
]
Confidence: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--conf",
        "--conf-thres",
        metavar="0-1",
        help="Drop detections with a lower confidence. [default: 0.25; val: 0.001]",
        min=0,
        max=1,
        rich_help_panel=DETECTION,
    ),
]
Iou: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--iou",
        "--iou-thres",
        metavar="0-1",
        help="Drop a box whose IoU with a more confident box of its class is higher. [default: that of the model]",
        min=0,
        max=1,
        rich_help_panel=DETECTION,
    ),
]
MaxDetections: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-det",
        "--max-detections",
        metavar="N",
        help="Keep at most N detections per image. [default: that of the model; val, export: 300]",
        min=1,
        rich_help_panel=DETECTION,
    ),
]
BatchSize: TypeAlias = Annotated[
    int,
    typer.Option(
        "--batch-size",
        "--batch",
        metavar="N",
        help="Images that go through the network together.",
        min=1,
        rich_help_panel=COMPUTING,
    ),
]
Device: TypeAlias = Annotated[
    str,
    typer.Option(
        "--device", metavar="DEVICE", help="auto, cpu, cuda, or the number of a GPU.", rich_help_panel=COMPUTING
    ),
]
Half: TypeAlias = Annotated[
    bool, typer.Option("--half", help="Compute in 16 bits; needs a GPU.", rich_help_panel=COMPUTING)
]
Project: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for the folders of all runs.", rich_help_panel=OUTPUT),
]
Name: TypeAlias = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the run's folder in --project; a number is appended if it exists. [default: exp]",
        rich_help_panel=OUTPUT,
    ),
]
ExistOk: TypeAlias = Annotated[
    bool, typer.Option("--exist-ok", help="Write into the folder even if it exists.", rich_help_panel=OUTPUT)
]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print the result as JSON.", rich_help_panel=OUTPUT)]
