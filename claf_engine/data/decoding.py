"""One image file to pixels: which decoders may see it, how large it may be, and which way is up."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
"""The decoders that may see a file, whatever its name says: one of Pillow's others (EPS) starts a program."""
MAX_PIXELS = 2**25
"""Of one image, looked at before it is decoded: 96 MiB as RGB, in each of up to eight threads."""

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What brings an image upright, for each EXIF orientation but 1, which is upright (EXIF 2.3, 4.6.4 A)."""
_SIDEWAYS = (5, 6, 7, 8)
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)
"""What Pillow raises for damaged files."""


@dataclass(frozen=True)
class Measured:
    """Width and height of an upright image, in pixels."""

    width: int
    height: int


@dataclass(frozen=True)
class Pixels:
    """A decoded image.

    Attributes:
        rgb: (H, W, 3) uint8.
        was_transparent: transparency was dropped.
        was_turned: it was brought upright.
    """

    rgb: NDArray[np.uint8]
    was_transparent: bool
    was_turned: bool


@dataclass(frozen=True)
class Unusable:
    """A file that is no image that can be used; `reason` goes on from its name, `sentence` says all with the fix."""

    file: Path
    reason: str
    sentence: str


def measure(file: Path) -> Measured | Unusable:
    """Read the header of an image file."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                reason = f"has {width}x{height} pixels, more than {MAX_PIXELS:,}"
                return Unusable(file, reason, f"image {file} {reason}; make it smaller or remove it")
            return Measured(height, width) if _orientation(image) in _SIDEWAYS else Measured(width, height)
    except _BROKEN:
        return _unreadable(file)


def decode(file: Path, size: tuple[int, int]) -> Pixels | Unusable:
    """Read an image file upright, at the given width and height; only call it for a file that could be measured."""
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.mode[0] in "IF":
                reason = "has more than 8 bits per channel"
                return Unusable(file, reason, f"image {file} {reason}; save it as 8-bit PNG or JPEG")
            if image.width * image.height > MAX_PIXELS:  # it was replaced meanwhile
                return _unreadable(file)
            turn = _UPRIGHT.get(_orientation(image))
            # Pillow warns about palettes with transparency unless they pass through RGBA.
            layered = image.convert("RGBA") if image.has_transparency_data else image
            transparent = layered.mode == "RGBA" and np.asarray(layered)[..., 3].min() < 255
            rgb = layered.convert("RGB")
    except _BROKEN:
        return _unreadable(file)
    if turn is not None:
        rgb = rgb.transpose(turn)
    if rgb.size != size:
        rgb = rgb.resize(size, Image.Resampling.BILINEAR)
    return Pixels(np.array(rgb), bool(transparent), turn is not None)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; an unreadable one is upright, as viewers show it."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # else Pillow decodes all pixels to look for it behind them
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1


def _unreadable(file: Path) -> Unusable:
    return Unusable(file, "is unreadable", f"cannot read the image {file}; replace or remove it")
