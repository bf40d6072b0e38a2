"""The detections of an image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Detections:
    """The detections of an image, the most confident first.

    Attributes:
        xyxy: (n, 4) x1, y1, x2, y2 in pixels of the image, inside of it.
        confidence: (n,) scores, 0-1.
        class_id: (n,) indices of the classes.
        class_name: Name of the class of each detection.
    """

    xyxy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    class_id: NDArray[np.int64]
    class_name: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.xyxy)

    def to_list(self) -> list[dict[str, Any]]:
        """Return one dictionary of plain values per detection, ready for JSON.

        Example:
            >>> box, half, first = np.array([[1, 2, 3, 4]], np.float32), np.array([0.5], np.float32), np.array([0])
            >>> Detections(box, half, first, ("cat",)).to_list()
            [{'class_id': 0, 'name': 'cat', 'confidence': 0.5, 'box': [1.0, 2.0, 3.0, 4.0]}]
        """
        columns = zip(
            self.class_id.tolist(), self.class_name, self.confidence.tolist(), self.xyxy.tolist(), strict=True
        )
        return [
            {"class_id": index, "name": name, "confidence": confidence, "box": box}
            for index, name, confidence, box in columns
        ]
