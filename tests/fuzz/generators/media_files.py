"""Videos, playlists that name other files and addresses, and lists of images."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from random import Random

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from tests.fuzz.hostile_values import TEXTS, address
from tests.fuzz.mutations import mutate_bytes, sometimes
from tests.helpers.data_sets import write_image

_CODECS = {"mp4": "mpeg4", "avi": "mjpeg", "mkv": "mpeg4", "mpg": "mpeg1video", "ts": "mpeg2video", "mov": "mjpeg"}
_SUFFIXES = (*_CODECS, "webm", "flv", "wmv", "ogv", "3gp")
_SIZES = ((32, 16), (64, 48), (16, 80))


def write_video(random: Random, folder: Path) -> Path:
    """Write a hostile video, or a playlist with the name of a video."""
    path = folder / f"a.{random.choice(_SUFFIXES)}"
    if sometimes(random, 0.2):
        path.write_bytes(_playlist(random))
        return path
    content = _encoded(random.choice(list(_CODECS)), random.choice(_SIZES))
    path.write_bytes(mutate_bytes(random, content, random.choice((0, 1, 3, 10, 40))))
    return path


def write_list(random: Random, folder: Path) -> Path:
    """Write a text file that lists images, with hostile lines."""
    write_image(folder / "a.png", (16, 12))
    write_image(folder / "sub" / "b.png", (16, 12))
    lines = ["a.png", "sub/b.png", "./a.png", "sub"]
    for _ in range(random.choice((1, 2, 5))):
        line = random.choice((*TEXTS, "x" * 70_000, "list.txt", "*.png", "0", "-", f"a.png {random.choice(TEXTS)}"))
        lines.insert(random.randrange(len(lines) + 1), line)
    text = random.choice(("\n", "\r\n", "\r", "\n\n")).join(lines)
    content = text.encode("utf-8", "surrogatepass")
    path = folder / "list.txt"
    path.write_bytes(mutate_bytes(random, content) if sometimes(random, 0.3) else content)
    (folder / "data.yaml").write_text("train: list.txt\nnames: [cat]\n")
    return path


@cache
def _encoded(suffix: str, size: tuple[int, int]) -> bytes:
    """Return a video of six frames of noise."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"a.{suffix}")
        with av.open(str(path), "w") as container:
            stream = container.add_stream(_CODECS[suffix], rate=25)
            if not isinstance(stream, VideoStream):
                raise TypeError(f"{_CODECS[suffix]} is not a video codec")
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p" if _CODECS[suffix] == "mjpeg" else "yuv420p"
            stream.thread_count = 1
            for _ in range(6):
                pixels = generator.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
                container.mux(stream.encode(VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
        return path.read_bytes()


def _playlist(random: Random) -> bytes:
    """Return a file that makes a careless player open another file or an address."""
    target = random.choice((address(), "/etc/passwd", "file:///etc/passwd", f"concat:{address()}|/etc/passwd"))
    texts = (
        f"#EXTM3U\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
        f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:1,\n{target}\n',
        f"ffconcat version 1.0\nfile '{target}'\n",
        f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
        f"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\na=control:{target}\n",
        f'<MPD><Period><BaseURL>{target}</BaseURL><AdaptationSet mimeType="video/mp4"/></Period></MPD>',
        f"<asx version='3.0'><entry><ref href='{target}'/></entry></asx>",
        f"[Reference]\nRef1={target}\n",
        target,
    )
    return random.choice(texts).encode()
