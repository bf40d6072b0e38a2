"""A small detector with attention that sees something in real photographs, as training would leave it."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_sample_images

import attendet
from attendet.data.letterbox import resize
from attendet.graph.detector import Detector

NAMES = ("cat", "white dog")


@pytest.fixture(scope="session")
def photographs() -> list[NDArray[np.uint8]]:
    """A temple and a flower, 640x427, red, green, blue."""
    return [np.array(image, np.uint8) for image in load_sample_images().images]


@pytest.fixture(scope="session")
def detector(photographs: list[NDArray[np.uint8]]) -> Detector:
    """Random weights whose norms know the photographs, so that cells, classes and gates get different values."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        detector = attendet.build("yolov5n_CBAM", classes=len(NAMES))
    for norm in detector.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    patches = np.stack([resize(image, 192)[:128, :192] for image in photographs])
    with torch.no_grad():
        detector(torch.from_numpy(patches).permute(0, 3, 1, 2) / 255)
        for level in detector.head.m:
            # Boxes near their anchors, scores far apart.
            level.weight.view(3, -1, level.in_channels)[:, :4].mul_(0.5)
            level.weight.view(3, -1, level.in_channels)[:, 4:].mul_(3)
            level.bias.view(3, -1)[:, 4:] = 0.0
        for parameter in detector.model[9].parameters():
            parameter.mul_(4)
    return detector.train(False)
