from .decoding_memory import decoding_bytes as decoding_bytes
from .display import rgb_pixels as rgb_pixels
from .image_formats import IMAGE_SUFFIXES as IMAGE_SUFFIXES
from .jpeg2000 import jpeg2000_tiles as jpeg2000_tiles
from .jpeg_structure import jpeg_frame as jpeg_frame
from .memory_budget import MemoryBudget as MemoryBudget
from .pillow_warnings import PillowWarningFilter as PillowWarningFilter
from .portable_map import read_portable_map as read_portable_map
from .sixteen_bits import smallest_bit_depth as smallest_bit_depth
from .sixteen_bits import to_eight_bits as to_eight_bits
from .tiff_tags import check_tiff_tags as check_tiff_tags
from .unfinished_jpeg import finished_jpeg as finished_jpeg

__all__ = [
    "IMAGE_SUFFIXES",
    "MemoryBudget",
    "PillowWarningFilter",
    "check_tiff_tags",
    "decoding_bytes",
    "finished_jpeg",
    "jpeg2000_tiles",
    "jpeg_frame",
    "read_portable_map",
    "rgb_pixels",
    "smallest_bit_depth",
    "to_eight_bits",
]
