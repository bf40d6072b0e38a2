"""Compare a ResNet classifier with and without attention, from the same initial weights, on a folder of images.

    python examples/classify.py FOLDER [--epochs 5] [--weights resnet18.pth] [--attention cbam] [--at residual-branch]

FOLDER contains `train/CLASS/*.jpg` and `val/CLASS/*.jpg`. Without `--weights`, both networks start from the same random
weights. A single run of each is not evidence: run several seeds and compare the differences with their spread.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18
from torchvision.transforms import v2

import attendet


class Classifier(LightningModule):
    """Training and validation of a classifier: images (N, 3, H, W) → logits (N, classes)."""

    def __init__(self, network: nn.Module, learning_rate: float) -> None:
        super().__init__()
        self.network, self.learning_rate = network, learning_rate

    def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
        """Return the cross-entropy of a batch."""
        images, classes = batch
        return cross_entropy(self.network(images), classes)

    def validation_step(self, batch: tuple[Tensor, Tensor], _: int) -> None:
        """Log the loss and the accuracy."""
        images, classes = batch
        logits = self.network(images)
        metrics = {"loss": cross_entropy(logits, classes), "accuracy": (logits.argmax(1) == classes).float().mean()}
        self.log_dict(metrics, on_step=False, on_epoch=True, batch_size=len(images))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the AdamW optimizer."""
        return torch.optim.AdamW(self.parameters(), self.learning_rate)


def loader(folder: Path, size: int, batch_size: int, *, training: bool) -> DataLoader:
    """Return a data loader for one split."""
    resize = (
        [v2.RandomResizedCrop(size, scale=(0.5, 1.0)), v2.RandomHorizontalFlip()]
        if training
        else [v2.Resize((size, size))]
    )
    normalize = v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    transform = v2.Compose([v2.ToImage(), *resize, v2.ToDtype(torch.float32, scale=True), normalize])
    return DataLoader(ImageFolder(folder, transform), batch_size, shuffle=training)


def train_and_validate(network: nn.Module, options: argparse.Namespace) -> tuple[dict[str, float], dict[str, float]]:
    """Train a network, and return the validation loss and accuracy before and after training."""
    seed_everything(options.seed, verbose=False)
    train = loader(options.folder / "train", options.size, options.batch_size, training=True)
    val = loader(options.folder / "val", options.size, options.batch_size, training=False)
    trainer = Trainer(
        max_epochs=options.epochs,
        accelerator=options.device,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    task = Classifier(network, options.learning_rate)
    before = dict(trainer.validate(task, val, verbose=False)[0])
    trainer.fit(task, train, val)
    return before, dict(trainer.validate(task, val, verbose=False)[0])


def main() -> None:
    """Train the baseline, then the same network with attention."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", type=Path, help="state dict of torchvision's resnet18, with any number of classes")
    parser.add_argument("--attention", default="cbam")
    parser.add_argument("--at", default="residual-branch")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--size", type=int, default=64, help="side of the images in pixels")
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    # Small data sets load fast enough in the main process, but Lightning warns about it.
    warnings.filterwarnings("ignore", ".*does not have many workers.*")
    warnings.filterwarnings("ignore", ".*smaller than the logging interval.*")

    classes = len(ImageFolder(options.folder / "train").classes)
    for name in ("baseline", options.attention):
        torch.manual_seed(options.seed)
        network = resnet18(num_classes=classes)
        if options.weights:
            print(attendet.load_weights(network, options.weights))
        if name != "baseline":
            attendet.attach(
                network, options.attention, options.at, example=torch.zeros(1, 3, options.size, options.size)
            )
            print(attendet.describe(network))
        before, after = train_and_validate(network, options)
        for time, metrics in (("before training", before), (f"after {options.epochs} epochs", after)):
            print(f"{name} {time}: accuracy {metrics['accuracy']:.3f}, loss {metrics['loss']:.6f}")


if __name__ == "__main__":
    main()
