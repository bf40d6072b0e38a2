"""Prepare a run before its first step: read the data, build the model, choose the recipe, and create the trainer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from torch import nn

from attendet.data.loading.data_module import DetectionData, LoaderConfig
from attendet.data.loading.sampler import image_weights
from attendet.data.reading import data_source
from attendet.data.reading.label_checks import drop_invalid, require_labels
from attendet.data.records import ImageRecords, Split
from attendet.data.remarks import image_remarks
from attendet.errors import DataError, Location, OptionError
from attendet.models.detector import Detector
from attendet.models.yaml.lookup import find_bundled
from attendet.training.attention_monitor import require_attention
from attendet.training.checkpoint_io import DirectCheckpointIO
from attendet.training.config import TrainConfig
from attendet.training.hardware import count_processes, resolve_accelerator, resolve_precision
from attendet.training.recipe import TrainingRecipe, choose_recipe
from attendet.training.reporter import Reporter
from attendet.training.resource_errors import quiet_lightning
from attendet.training.run_folder import RunFolder
from attendet.training.training_model import TrainingModel, build_training_model, fit_head_to_data
from attendet.utils.fonts import font_advice
from attendet.utils.text import plural

_MAX_PROBLEMS = 3
# A random stream of its own: the seed of the run is also used for the order of the images.
_FRACTION_STREAM = 0x66726163


@dataclass(frozen=True)
class PreparedRun:
    """The parts of a run before its first step.

    Attributes:
        config: The configuration, with absolute paths and the image size rounded up to a multiple of the stride.
        splits: The training and validation images, under "train" and "val".
        model: The detector and its origin.
        recipe: The optimizer settings.
        notes: Sentences about the data, the weights, and the anchors.
    """

    config: TrainConfig
    splits: dict[str, Split]
    model: TrainingModel
    recipe: TrainingRecipe
    notes: tuple[str, ...]


def prepare_run(config: TrainConfig, reporter: Reporter) -> PreparedRun:
    """Read the data, build the model, and choose the recipe; no file is written.

    Args:
        config: The configuration of the run.
        reporter: Receives the notes and the progress of reading the data.

    Raises:
        AttendetError: If the data, the model file, or the weights cannot be used.
    """
    if config.output.tensorboard and not find_spec("tensorboard"):
        raise OptionError("TensorBoard is not installed", remedy="pip install 'attendet[tensorboard]'")
    splits = {name: read_run_split(config, name, reporter) for name in ("train", "val")}
    notes = [note for split in splits.values() for note in _split_notes(split)]
    if splits["train"].records.crowd.all():
        raise DataError(
            "no training image has an object", where=Location(config.data.path), remedy=str(splits["train"].labels)
        )
    model = build_training_model(config, splits["train"].names)
    if config.output.watch_attention:
        require_attention(model.detector)
    stride = int(max(model.detector.strides))
    imgsz = -(-config.schedule.imgsz // stride) * stride
    if imgsz != config.schedule.imgsz:
        notes.append(f"imgsz rounded up from {config.schedule.imgsz} to {imgsz}, a multiple of the stride {stride}")
    schedule = config.schedule.model_copy(update={"imgsz": imgsz})
    # The run keeps the number of bits, so that it scales images like this even if the data set changes.
    data = config.data.model_copy(update={"bit_depth": splits["train"].records.bit_depth})
    config = with_absolute_paths(config.model_copy(update={"schedule": schedule, "data": data}))
    notes += [*model.notes, *fit_head_to_data(model, splits["train"].records, config)]
    steps = -(-len(splits["train"].records) // schedule.batch_size)
    recipe = choose_recipe(config.optimizer, schedule, steps, pretrained=model.pretrained)
    advice = font_advice(splits["train"].names)
    notes += [advice] if advice else []
    for line in (*notes, *recipe.reasons):
        reporter.log(line)
    return PreparedRun(config, splits, model, recipe, tuple(notes))


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return a configuration with absolute paths, so that its run can be validated and resumed from any folder."""
    data = config.data.model_copy(update={"path": str(Path(config.data.path).resolve())})
    paths = {"cfg": config.model.cfg, "weights": config.model.weights}
    if config.model.like and Path(config.model.like).exists():
        paths["like"] = config.model.like
    bundled = find_bundled(config.model.cfg) if config.model.cfg else None
    absolute = {name: str(Path(path).resolve()) for name, path in paths.items() if path}
    if bundled is not None:
        absolute["cfg"] = bundled
    return config.model_copy(update={"data": data, "model": config.model.model_copy(update=absolute)})


def read_run_split(config: TrainConfig, name: str, reporter: Reporter) -> Split:
    """Return a split as a run uses it: without invalid labels, and "train" reduced to its fraction of the images.

    Args:
        config: The configuration of the run.
        name: "train", "val", or "test".
        reporter: Receives the progress of reading.

    Raises:
        DataError: If the data set cannot be read.
    """
    source = data_source.open(config.data.path, config.data.format, config.data.bit_depth)
    split = source.read(name, progress=lambda done, total: reporter.on_data_progress(f"reading {name}", done, total))
    require_labels(split)
    split = drop_invalid(split, single_class=config.data.single_cls)
    return select_fraction(split, config.data.fraction, config.schedule.seed) if name == "train" else split


def select_fraction(split: Split, fraction: float, seed: int) -> Split:
    """Return a split with a fraction of its images, in their original order.

    The images are the first ones of a random permutation that depends only on their number and the seed. Therefore the
    images of a smaller fraction are a subset of the images of a larger fraction.

    Args:
        split: All images.
        fraction: The fraction, above 0 and up to 1; at least one image is kept.
        seed: Seed of the permutation.

    Example:
        >>> from attendet.data.records import ImageRecord
        >>> split = Split("train", ("pear",), ImageRecords([ImageRecord(Path(f"{n}.jpg"), 9, 9) for n in range(8)]))
        >>> half, quarter = select_fraction(split, 0.5, seed=0), select_fraction(split, 0.25, seed=0)
        >>> len(half.records), {image.image for image in quarter.records} < {image.image for image in half.records}
        (4, True)
    """
    images = len(split.records)
    count = max(1, round(fraction * images))
    if count == images:
        return split
    selected = sorted(np.random.default_rng([_FRACTION_STREAM, seed]).permutation(images)[:count].tolist())
    digests = tuple(split.digests[number] for number in selected) if split.digests else ()
    return replace(split, records=ImageRecords(split.records[number] for number in selected), digests=digests)


def create_trainer(prepared: PreparedRun) -> Trainer:
    """Return the Lightning trainer of a run.

    Raises:
        OptionError: If a device does not exist, or the batch size does not fit the number of processes.
    """
    config = prepared.config
    accelerator, devices = resolve_accelerator(config.hardware)
    precision = resolve_precision(config.hardware, accelerator)
    processes = count_processes(devices, config.hardware.num_nodes)
    schedule = config.schedule
    if schedule.batch_size % processes:
        nearest = max(1, round(schedule.batch_size / processes)) * processes
        raise OptionError(
            f"`batch_size` must be divisible by the number of processes ({processes}), got {schedule.batch_size}",
            remedy=f"try --batch-size {nearest}",
        )
    images = min(len(split.records) for split in prepared.splits.values())
    if processes > images:
        raise OptionError(f"every process needs an image, got {processes} processes for {plural(images, 'image')}")
    if config.hardware.sync_bn and accelerator != "cuda":
        raise OptionError("`sync_bn` needs CUDA", remedy="remove --sync-bn")
    if schedule.batch_size == processes and not (config.hardware.sync_bn and processes > 1):
        _require_no_norm_over_images(prepared.model.detector, processes)
    with quiet_lightning():
        return Trainer(
            accelerator=accelerator,
            devices=devices,
            num_nodes=config.hardware.num_nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision=precision,
            sync_batchnorm=config.hardware.sync_bn,
            max_epochs=schedule.epochs,
            accumulate_grad_batches=prepared.recipe.accumulate,
            gradient_clip_val=config.optimizer.clip_norm,
            check_val_every_n_epoch=1 if config.validation.every_epoch else schedule.epochs,
            deterministic="warn" if schedule.deterministic else False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            plugins=DirectCheckpointIO(),
        )


def create_data_module(prepared: PreparedRun, folder: RunFolder, reporter: Reporter) -> DetectionData:
    """Return the data module of a run, which creates its data loaders; no image is decoded yet."""
    config = prepared.config
    _, devices = resolve_accelerator(config.hardware)
    loading = LoaderConfig(
        imgsz=config.schedule.imgsz,
        stride=int(max(prepared.model.detector.strides)),
        batch_size=config.schedule.batch_size,
        seed=config.schedule.seed,
        cache=config.data.cache,
        workers=config.data.workers,
        rect=config.data.rect,
        mosaic_epochs=config.schedule.epochs - config.schedule.close_mosaic,
        cache_folder=folder.path.parent,
        local_processes=count_processes(devices, nodes=1),
        canvas=config.validation.canvas,
    )
    splits = prepared.splits
    data = DetectionData(
        splits["train"],
        splits["val"],
        loading,
        config.augment,
        progress=lambda done, total: reporter.on_data_progress("decoding images", done, total),
    )
    if config.data.image_weights:
        num_classes = len(splits["train"].names)
        data.weigh_images(image_weights(splits["train"].records, num_classes, np.zeros(num_classes)))
    return data


def _require_no_norm_over_images(detector: Detector, processes: int) -> None:
    """Refuse batches of one image for a detector with a trainable norm over the images of a batch."""
    for row, module in enumerate(detector.model):
        norms = (child for child in module.modules() if isinstance(child, nn.BatchNorm1d))
        if any(parameter.requires_grad for norm in norms for parameter in norm.parameters()):
            raise OptionError(
                f"row {row} normalizes over the images of a batch, but a process gets only one image",
                remedy=f"use --batch-size {2 * processes} or more, with a smaller --imgsz if memory is short",
            )


def _split_notes(split: Split) -> list[str]:
    """Return sentences about the size of a split, its skipped images, and its invalid labels."""
    errors = [problem for problem in split.problems if problem.kind.is_error]
    notes = [f"{split.name}: {plural(len(split.records), 'image')}, {plural(len(split.records.classes), 'object')}"]
    notes.append(f"{split.name}: {split.labels}")
    notes += [f"{split.name}: {remark}" for remark in image_remarks(split)]
    if split.skipped:
        notes.append(f"{split.name}: {plural(split.skipped, 'image')} left out; see `attendet data check`")
    if errors:
        first = "; ".join(str(problem) for problem in errors[:_MAX_PROBLEMS])
        count = sum(count for kind, count in split.count_problems().items() if kind.is_error)
        notes.append(f"{split.name}: {plural(count, 'error')}, see `attendet data check`: {first}")
    return notes
