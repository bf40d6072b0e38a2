"""Everything a run needs before its first step: images, network, recipe, loaders, and what drives them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from torch import nn

from attendet.data.loading.data_module import DetectionData, LoaderConfig
from attendet.data.loading.sampler import image_weights
from attendet.data.reading.data_source import open_data, read_split
from attendet.data.reading.label_checks import drop_invalid
from attendet.data.records import Split
from attendet.errors import DataError, Location, OptionError
from attendet.models.bundled import bundled_names
from attendet.models.detector import Detector
from attendet.training.attention_monitor import require_attention
from attendet.training.config import TrainConfig
from attendet.training.data_fraction import share_of
from attendet.training.hardware import accelerator_of, precision_of, processes_of
from attendet.training.network import Network, fit_to_data, open_network
from attendet.training.recipe import TrainingRecipe, choose_recipe
from attendet.training.reporter import Reporter
from attendet.training.resource_errors import quiet
from attendet.training.run_folder import RunFolder
from attendet.utils.text import plural

SHOWN_PROBLEMS = 3


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step.

    Attributes:
        config: With the image size that the network takes.
        splits: `train` and `val`, as training takes them.
        network: The network and what is known of it.
        recipe: How its weights are moved.
        notes: What a reader should know.
    """

    config: TrainConfig
    splits: dict[str, Split]
    network: Network
    recipe: TrainingRecipe
    notes: tuple[str, ...]


def prepare(config: TrainConfig, reporter: Reporter) -> Prepared:
    """Read the data, build the network and choose the recipe; nothing is written.

    Raises:
        AttendetError: If something is missing or does not fit.
    """
    if config.output.tensorboard and not find_spec("tensorboard"):
        raise OptionError("TensorBoard is not installed", remedy="pip install 'attendet[tensorboard]'")
    splits = {name: read_images(config, name, reporter) for name in ("train", "val")}
    notes = [note for split in splits.values() for note in _problems(split)]
    if splits["train"].records.crowd.all():
        raise DataError("no training image has an object", where=Location(config.data.path), remedy="check the labels")
    network = open_network(config, splits["train"].names)
    if config.output.watch_attention:
        require_attention(network.detector)
    stride = int(max(network.detector.strides))
    size = -(-config.schedule.imgsz // stride) * stride
    if size != config.schedule.imgsz:
        notes.append(f"images of {size} pixels: {config.schedule.imgsz} is no multiple of the largest stride, {stride}")
    schedule = config.schedule.model_copy(update={"imgsz": size})
    config = with_absolute_paths(config.model_copy(update={"schedule": schedule}))
    notes += [*network.notes, *fit_to_data(network, splits["train"].records, config)]
    steps = -(-len(splits["train"].records) // schedule.batch_size)
    recipe = choose_recipe(config.optimizer, schedule, steps, trained=network.trained)
    for line in (*notes, *recipe.reasons):
        reporter.say(line)
    return Prepared(config, splits, network, recipe, tuple(notes))


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return a configuration whose paths are absolute, so that its run can be measured and resumed from anywhere."""
    data = config.data.model_copy(update={"path": str(Path(config.data.path).resolve())})
    paths = {"cfg": config.model.cfg, "weights": config.model.weights}
    if config.model.cfg in bundled_names():
        del paths["cfg"]
    found = {name: str(Path(path).resolve()) for name, path in paths.items() if path}
    return config.model_copy(update={"data": data, "model": config.model.model_copy(update=found)})


def read_images(config: TrainConfig, name: str, reporter: Reporter) -> Split:
    """Return a split as a run takes it, `train` with the share of its images that the run is given.

    Raises:
        DataError: If it cannot be read.
    """
    source = open_data(config.data.path, config.data.format)
    split = read_split(source, name, progress=lambda done, total: reporter.scanned(f"reading {name}", done, total))
    split = drop_invalid(split, single_class=config.data.single_cls)
    return share_of(split, config.data.fraction, config.schedule.seed) if name == "train" else split


def make_trainer(prepared: Prepared) -> Trainer:
    """Return what drives a run.

    Raises:
        OptionError: If the devices are not there, or do not suit the batches.
    """
    config = prepared.config
    accelerator, devices = accelerator_of(config.hardware)
    precision = precision_of(config.hardware, accelerator)
    processes = processes_of(devices, config.hardware.num_nodes)
    schedule = config.schedule
    if schedule.batch_size % processes:
        nearest = max(1, round(schedule.batch_size / processes)) * processes
        raise OptionError(
            f"{schedule.batch_size} images a batch do not divide by {processes} processes",
            remedy=f"try --batch-size {nearest}",
        )
    fewest = min(len(split.records) for split in prepared.splits.values())
    if processes > fewest:
        raise OptionError(f"{processes} processes would share {plural(fewest, 'image')}", remedy="use fewer devices")
    if config.hardware.sync_bn and accelerator != "cuda":
        raise OptionError("--sync-bn needs CUDA", remedy="leave it out")
    if schedule.batch_size == processes and not (config.hardware.sync_bn and processes > 1):
        _require_no_norm_over_images(prepared.network.detector, processes)
    with quiet():
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
        )


def make_data(prepared: Prepared, folder: RunFolder, reporter: Reporter) -> DetectionData:
    """Return the loaders of a run; nothing is decoded yet."""
    config = prepared.config
    _, devices = accelerator_of(config.hardware)
    loading = LoaderConfig(
        size=config.schedule.imgsz,
        stride=int(max(prepared.network.detector.strides)),
        batch_size=config.schedule.batch_size,
        seed=config.schedule.seed,
        cache=config.data.cache,
        workers=config.data.workers,
        rect=config.data.rect,
        mosaic_epochs=config.schedule.epochs - config.schedule.close_mosaic,
        folder=folder.path.parent,
        processes=processes_of(devices, nodes=1),
    )
    splits = prepared.splits
    data = DetectionData(
        splits["train"],
        splits["val"],
        loading,
        config.augment,
        progress=lambda done, total: reporter.scanned("decoding images", done, total),
    )
    if config.data.image_weights:
        classes = len(splits["train"].names)
        data.weigh_images(image_weights(splits["train"].records, classes, np.zeros(classes)))
    return data


def _require_no_norm_over_images(detector: Detector, processes: int) -> None:
    """Refuse batches of one image for a network that compares the images of a batch, unless that part is frozen."""
    for row, held in enumerate(detector.model):
        norms = (module for module in held.modules() if isinstance(module, nn.BatchNorm1d))
        if any(parameter.requires_grad for norm in norms for parameter in norm.parameters()):
            raise OptionError(
                f"row {row} normalizes over the images of a batch, and a process gets only one",
                remedy=f"give --batch-size {2 * processes} or more, where memory is short with a smaller --imgsz",
            )


def _problems(split: Split) -> list[str]:
    """Tell once what was left out, and where to look for more."""
    errors = [problem for problem in split.problems if problem.kind.is_error]
    told = [f"{split.name}: {plural(len(split.records), 'image')}, {plural(len(split.records.classes), 'object')}"]
    if split.skipped:
        told.append(f"{split.name}: {plural(split.skipped, 'image')} left out that cannot be read")
    if errors:
        first = "; ".join(str(problem) for problem in errors[:SHOWN_PROBLEMS])
        count = sum(count for kind, count in split.counts().items() if kind.is_error)
        told.append(f"{split.name}: {plural(count, 'error')}, see `attendet data check`: {first}")
    return told
