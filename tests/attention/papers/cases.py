"""Modules whose papers define their output for features of any number of dimensions."""

from tests.attention.papers import adapters
from tests.attention.papers.comparison import Paper

C = 16

CASES: list[tuple[str, dict[str, object], Paper]] = [
    ("se", {"reduction": 4}, adapters.se),
    ("eca", {}, adapters.eca),
    ("simam", {}, adapters.simam(1e-4, unbiased=False)),
    ("simam", {"variant": "authors"}, adapters.simam(1e-4, unbiased=True)),
    ("cbam", {"reduction": 4, "kernel_size": 3}, adapters.cbam(mean_first=True)),
    ("cbam", {"reduction": 4, "kernel_size": 3, "planes": ["max", "avg"]}, adapters.cbam()),
    ("cbam", {"reduction": 4, "kernel_size": 5, "variant": "biased"}, adapters.cbam(mean_first=True)),
    ("cbam", {"reduction": 4, "kernel_size": 5, "variant": "authors"}, adapters.cbam()),
    ("cbam", {"reduction": 4, "kernel_size": 3, "variant": "timm"}, adapters.cbam(mean_first=True)),
    ("bam", {"reduction": 4, "dilation": 2}, adapters.bam(2, product=False)),
    ("bam", {"reduction": 4, "variant": "authors"}, adapters.bam(4, product=True)),
]
IDS = [f"{name}-{options}" for name, options, _ in CASES]
