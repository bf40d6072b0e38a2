"""Limits on input that several packages share.

Files and images come from strangers. A limit refuses hostile or broken input before it costs memory or time, and is far
above the needs of real data. A limit that only one module uses is a constant of that module.
"""

from __future__ import annotations

MAX_IMGSZ = 8192
"""Largest side, in pixels, of the square that images are scaled to."""

MAX_IMAGE_PIXELS = 150_000_000
"""Most pixels (width times height) of an image file."""

MAX_IMAGE_BYTES = 700 * 1024 * 1024
"""Most bytes of memory that decoding an image file takes, and that all threads of a process take together."""

MAX_FRAME_PIXELS = 2**26
"""Most pixels (width times height) of a video frame: a decoder holds several frames at once."""

MAX_CLASSES = 100_000
"""Most classes of a data set or model."""

MAX_KEY_LENGTH = 500
"""Most characters in a key of a state dict."""

MAX_LINE_LENGTH = 65_536
"""Most characters in a line that names a source of images."""

MAX_JSON_BYTES = 8 * 1024 * 1024
"""Largest JSON file that attendet reads back, such as the record of a run or of a study."""
