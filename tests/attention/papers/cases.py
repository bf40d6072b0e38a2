"""Modules whose papers define their output for features of any number of dimensions."""

from tests.attention.papers import zoo
from tests.attention.papers.comparing import Paper

C = 16

CASES: list[tuple[str, dict[str, object], Paper]] = [
    ("se", {"reduction": 4}, zoo.se),
    ("eca", {}, zoo.eca),
    ("simam", {}, zoo.simam(1e-4, unbiased=False)),
    ("simam", {"variant": "authors"}, zoo.simam(1e-4, unbiased=True)),
    ("cbam", {"reduction": 4, "kernel_size": 3}, zoo.cbam()),
    ("cbam", {"reduction": 4, "kernel_size": 5, "variant": "authors"}, zoo.cbam()),
    ("cbam", {"reduction": 4, "kernel_size": 3, "variant": "timm"}, zoo.cbam(mean_first=True)),
    ("bam", {"reduction": 4, "dilation": 2}, zoo.bam(2, product=False)),
    ("bam", {"reduction": 4, "variant": "authors"}, zoo.bam(4, product=True)),
]
IDS = [f"{name}-{options}" for name, options, _ in CASES]
