from .benchmark_rows import Benchmark as Benchmark
from .benchmark_rows import BenchmarkRow as BenchmarkRow
from .chart import draw_benchmark as draw_benchmark
from .example_pass import example_of as example_of
from .latency import Durations as Durations
from .latency import measure_interleaved as measure_interleaved
from .measuring import Contender as Contender
from .measuring import measure_latency as measure_latency
from .measuring import measure_subject as measure_subject
from .measuring import open_contenders as open_contenders
from .measuring import torch_threads as torch_threads
from .process_memory import measure_peak_memory as measure_peak_memory
from .variant_files import VariantFile as VariantFile
from .variant_files import write_variants as write_variants
from .variants import Variant as Variant
from .variants import choose_variants as choose_variants

__all__ = [
    "Benchmark",
    "BenchmarkRow",
    "Contender",
    "Durations",
    "Variant",
    "VariantFile",
    "choose_variants",
    "draw_benchmark",
    "example_of",
    "measure_interleaved",
    "measure_latency",
    "measure_peak_memory",
    "measure_subject",
    "open_contenders",
    "torch_threads",
    "write_variants",
]
