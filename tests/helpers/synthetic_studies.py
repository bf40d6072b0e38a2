"""Records of studies whose true effects are known."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from attendet.study.design.design_file import parse_design
from attendet.study.design.grid import Cell, run_grid
from attendet.study.design.schema import StudyDesign
from attendet.study.folder import StudyFolder
from attendet.study.records import ArmCosts, CellRecord, ClassScores, CostRecord, DetectionScores, Latency, StudyRecord
from attendet.study.runs.cell_records import failed_record
from attendet.utils.records import write_record

EPOCHS = 20
PARAMETERS = {"baseline": 1_767_976, "cbam": 1_776_266, "control": 1_776_200, "larger": 7_027_720}


def design(arms: str, seeds: str = "8", fractions: str = "[1]", metric: str = "map50_95") -> StudyDesign:
    """Return a design whose arms are written in YAML."""
    return parse_design(
        f"{{name: synthetic, model: yolov5n, data: data.yaml, seeds: {seeds}, fractions: {fractions}, "
        f"metric: {metric}, arms: {arms}}}"
    )


def record(cell: Cell, level: float, generator: np.random.Generator, epochs: int = EPOCHS) -> CellRecord:
    """Return a finished run whose last three epochs have a mean mAP50-95 of `level`."""
    progress = 1 - np.exp(-np.arange(1, epochs + 1) / 4)
    noise = generator.normal(0, 0.004, epochs)
    noise[-3:] -= noise[-3:].mean()
    scores = level * progress / progress[-3:].mean() + noise
    losses = 0.2 * (1.2 - progress)
    history = {
        "epoch": [*map(float, range(1, epochs + 1))],
        "metrics/mAP_0.5:0.95": scores.tolist(),
        "metrics/mAP_0.5": (1.6 * scores).tolist(),
        "metrics/precision": (1.5 * scores).tolist(),
        "metrics/recall": (1.4 * scores).tolist(),
        **{f"train/{name}_loss": losses.tolist() for name in ("box", "obj", "cls")},
        **{f"val/{name}_loss": (losses + 0.01).tolist() for name in ("box", "obj", "cls")},
    }
    best = float(scores.max())
    return CellRecord(
        key=cell.key,
        arm=cell.arm,
        seed=cell.seed,
        fraction=cell.fraction,
        status="finished",
        history=history,
        best_epoch=int(scores.argmax()) + 1,
        best=measured(best),
        train=measured(min(1.0, best + 0.06 + float(generator.normal(0, 0.01)))),
        parameters=PARAMETERS.get(cell.arm, 1_770_000),
        gflops=PARAMETERS.get(cell.arm, 1_770_000) / 1.7e6,
        images={"train": round(205 * cell.fraction), "val": 87},
        seconds={"total": 300.0, "training": 200.0 + PARAMETERS.get(cell.arm, 0) / 1e5 + float(generator.normal(0, 3))},
        device="CPU",
        versions={"torch": "2.15.0"},
        initialization={"model.0.conv": f"larger{cell.seed}" if cell.arm == "larger" else f"seed{cell.seed}"},
        order=f"seed{cell.seed}-{cell.fraction}",
    )


def measured(level: float) -> DetectionScores:
    """Return scores with an mAP50-95 of `level`."""
    classes = tuple(
        ClassScores(
            name=name,
            images=80,
            objects=count,
            precision=0.7,
            recall=0.8,
            f1=0.75,
            ap50=min(1.0, 1.6 * level * share),
            ap50_95=level * share,
        )
        for name, count, share in (("RBC", 967, 1.0), ("WBC", 87, 1.3), ("Platelets", 83, 0.7))
    )
    return DetectionScores(
        map50_95=level,
        map50=min(1.0, 1.6 * level),
        map75=level,
        map_small=0.4 * level,
        map_medium=0.8 * level,
        map_large=None,
        precision=0.7,
        recall=0.8,
        f1=0.75,
        confidence=0.4,
        per_class=classes,
    )


def write_study(
    folder: Path,
    planned: StudyDesign,
    effects: Mapping[str, float],
    *,
    noise: float = 0.005,
    missing: tuple[str, ...] = (),
    failed: tuple[str, ...] = (),
    data: str = "fingerprint",
) -> StudyFolder:
    """Write a study whose score is the sum of an effect of the arm, an effect of the seed, and noise.

    Args:
        folder: Folder of the study.
        planned: Design of the study.
        effects: Effect of each arm in mAP50-95 (default: 0).
        noise: Standard deviation of the noise of each run.
        missing: Names of cells without a record.
        failed: Names of cells that failed.
        data: Fingerprint of the images.
    """
    generator = np.random.default_rng(7)
    study = StudyFolder(folder)
    cells = run_grid(planned, data, folder)
    write_record(study.study, StudyRecord(design=planned, data=data, cells=tuple(cells)))
    of_seed = dict(zip(planned.seeds, generator.normal(0, 0.02, len(planned.seeds)), strict=True))
    for cell in cells:
        level = 0.45 * cell.fraction**0.3 + of_seed[cell.seed] + effects.get(cell.arm, 0.0)
        finished = record(cell, level + generator.normal(0, noise), generator)
        if cell.name in failed:
            write_record(study.cell(cell.key), failed_record(cell, "there is too little memory for 16 images"))
        elif cell.name not in missing:
            write_record(study.cell(cell.key), finished)
    write_record(study.costs, costs(planned))
    return study


def costs(planned: StudyDesign) -> CostRecord:
    """Return costs of all arms."""
    return CostRecord(
        device="CPU (2 threads)",
        imgsz=320,
        arms={
            name: ArmCosts(
                parameters=PARAMETERS.get(name, 1_770_000),
                gflops=1.03 if name != "larger" else 4.1,
                activation_bytes=40_000_000,
                peak_bytes=300_000_000,
                latency=tuple(
                    Latency(batch=batch, median_ms=time, low_ms=0.95 * time, high_ms=1.1 * time, rounds=50)
                    for batch, time in ((1, 12.0 + 0.8 * number), (16, 150.0 + 11 * number))
                ),
            )
            for number, name in enumerate(planned.arms)
        },
    )
