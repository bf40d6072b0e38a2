"""The size that images have for a runtime."""

from __future__ import annotations

from attendet.data.loading.resizing import ImageSize
from attendet.errors import OptionError
from attendet.runtimes.protocol import Runtime
from attendet.utils.limits import MAX_IMGSZ


def choose_image_size(runtime: Runtime, imgsz: ImageSize | None = None) -> ImageSize:
    """Return the longer side that images are scaled to, or the height and width of all canvases.

    Args:
        runtime: The network.
        imgsz: The size that a user asks for (default: that of training, or of a file that takes one size only).

    Raises:
        OptionError: If it is not possible with this network.
    """
    if imgsz is not None:
        require_image_size(imgsz, int(max(runtime.strides)))
    fixed = runtime.image_size
    if fixed is None:
        return runtime.imgsz if imgsz is None else imgsz
    if imgsz not in (None, fixed) and (imgsz, imgsz) != fixed:
        height, width = fixed
        message = f"`imgsz` must be {height},{width} for a file that takes one size only, got {describe_size(imgsz)}"
        raise OptionError(message, remedy="leave it out, or export the weights without `static`")
    return fixed


def require_image_size(imgsz: ImageSize, stride: int) -> None:
    """Raise an error if an image size is out of range, or if a height or width is not a multiple of the stride.

    Example:
        >>> require_image_size((384, 650), 32)
        Traceback (most recent call last):
            ...
        attendet.errors.OptionError: height and width in `imgsz` must be multiples of 32, got 384,650
    """
    sides = imgsz if isinstance(imgsz, tuple) else (imgsz,)
    if not all(1 <= side <= MAX_IMGSZ for side in sides):
        raise OptionError(f"`imgsz` must be 1 to {MAX_IMGSZ} pixels, got {describe_size(imgsz)}")
    if isinstance(imgsz, tuple) and any(side % stride for side in imgsz):
        raise OptionError(f"height and width in `imgsz` must be multiples of {stride}, got {describe_size(imgsz)}")


def describe_size(imgsz: ImageSize | None) -> str:
    """Return an image size as users write it.

    Example:
        >>> describe_size(640), describe_size((384, 640))
        ('640', '384,640')
    """
    return ",".join(map(str, imgsz)) if isinstance(imgsz, tuple) else str(imgsz)
