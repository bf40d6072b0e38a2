"""Where the images of a batch and their objects lie on the canvas."""

from __future__ import annotations

import numpy as np
import torch

from attendet.data.dataset import Placed
from attendet.observe.frames import Frame


def frames_of(placed: Placed) -> list[Frame]:
    """Return the frame of each image of a batch; groups of objects are objects."""
    height, width = placed.batch.images.shape[2:]
    frames = []
    for record, letterbox in zip(placed.records, placed.letterboxes, strict=True):
        left, top, right, bottom = letterbox.to_canvas(np.array([[0.0, 0, record.width, record.height]]))[0].tolist()
        boxes = torch.from_numpy(letterbox.to_canvas(record.boxes))
        frames.append(Frame.of(height, width, boxes, (left, top, right, bottom)))
    return frames
