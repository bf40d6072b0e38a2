"""Arguments and options that several verbs share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer

Model: TypeAlias = Annotated[str, typer.Argument(help="A model file, or a bundled name such as yolov5s_CBAM.")]
DialectName: TypeAlias = Annotated[
    str, typer.Option("--dialect", help="How attention rows are read: auto, or a family of forks.")
]
ImageSize: TypeAlias = Annotated[
    int | None,
    typer.Option("--imgsz", "--img", "--img-size", help="Longer side in pixels; training's if left out.", min=32),
]
Device: TypeAlias = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, or a GPU's number.")]
AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
