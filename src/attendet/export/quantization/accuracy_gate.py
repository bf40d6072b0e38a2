"""The test that a quantized file has to pass: its mAP is nearly that of the network."""

from __future__ import annotations

from dataclasses import dataclass

MAX_LOSS = 0.02
"""Largest loss of mAP50-95 (0-1) that a quantized file may have."""

# Metrics are sums of many floats; a loss of exactly the limit is not beyond it.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class QuantizationOutcome:
    """The quality of a network before and after its file was quantized, on the same images.

    Attributes:
        map_before: mAP50-95 (0-1) in float32.
        map_after: mAP50-95 (0-1) of the quantized file.
        images: Number of images that were measured.

    Example:
        >>> outcome = QuantizationOutcome(0.378, 0.368, images=87)
        >>> round(outcome.loss, 3), outcome.passes()
        (0.01, True)
        >>> print(QuantizationOutcome(0.378, 0.001, images=87))
        mAP50-95 0.378 in float32, 0.001 in int8 on 87 images: 37.7 points lost, more than 2.0
    """

    map_before: float
    map_after: float
    images: int

    @property
    def loss(self) -> float:
        """Loss of mAP50-95; negative if the quantized file is better."""
        return self.map_before - self.map_after

    def passes(self, limit: float = MAX_LOSS) -> bool:
        """Return whether the loss is at most `limit` (0-1)."""
        # NaN does not pass.
        return self.loss <= limit + _ROUNDING

    def __str__(self) -> str:
        """Name both values, the loss in points, and the limit if it is exceeded."""
        change = f"{abs(100 * self.loss):.1f} points {'lost' if self.loss >= 0 else 'gained'}"
        excess = "" if self.passes() else f", more than {100 * MAX_LOSS:.1f}"
        return (
            f"mAP50-95 {self.map_before:.3f} in float32, {self.map_after:.3f} in int8 on {self.images} images: "
            f"{change}{excess}"
        )

    def to_dict(self) -> dict[str, float | int | bool]:
        """Return the values, the loss, and whether it passes, ready for JSON."""
        return {
            "map50_95_before": self.map_before,
            "map50_95_after": self.map_after,
            "loss": self.loss,
            "images": self.images,
            "passes": self.passes(),
        }
