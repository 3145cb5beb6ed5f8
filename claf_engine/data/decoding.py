"""One image to pixels: which decoders may see a file, how large it may be, which way is up, and in which form."""

import struct
import zlib
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

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


Raw = Path | bytes | Image.Image
"""An image before it is decoded: its file, what a file of it would hold, or opened by somebody else."""
GRAY_MODES = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class Form:
    """What all images of a source are brought to.

    Attributes:
        width: in pixels.
        height: the same.
        channels: 1 gray, 3 colour.
        is_cut: an image of another format is cut to this one from its middle, instead of being stretched to it.
    """

    width: int
    height: int
    channels: int = 3
    is_cut: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class Measured:
    """Width and height of an upright image, in pixels, and whether it is stored in gray."""

    width: int
    height: int
    is_gray: bool


@dataclass(frozen=True)
class Pixels:
    """A decoded image.

    Attributes:
        levels: (C, H, W) uint8.
        was_transparent: transparency was dropped.
        was_turned: it was brought upright.
    """

    levels: NDArray[np.uint8]
    was_transparent: bool
    was_turned: bool


@dataclass(frozen=True)
class Unusable:
    """An image that cannot be used; `reason` goes on from its name, `sentence` says all with the fix."""

    name: str
    reason: str
    sentence: str


def measure(raw: Raw, name: str) -> Measured | Unusable:
    """Read the header of an image; a complaint calls it by its name."""
    try:
        with _opened(raw) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                reason = f"has {width}x{height} pixels, more than {MAX_PIXELS:,}"
                return Unusable(name, reason, f"image {name} {reason}; make it smaller or remove it")
            if _orientation(image) in _SIDEWAYS:
                width, height = height, width
            return Measured(width, height, image.mode in GRAY_MODES)
    except _BROKEN:
        return _unreadable(name)


def decode(raw: Raw, name: str, form: Form) -> Pixels | Unusable:
    """Read an image upright, in the given form; only call it for one that could be measured."""
    try:
        with _opened(raw) as image:
            if image.mode[0] in "IF":
                reason = "has more than 8 bits per channel"
                return Unusable(name, reason, f"image {name} {reason}; save it as 8-bit PNG or JPEG")
            if image.width * image.height > MAX_PIXELS:  # it was replaced meanwhile
                return _unreadable(name)
            turn = _UPRIGHT.get(_orientation(image))
            # Pillow warns about palettes with transparency unless they pass through RGBA.
            layered = image.convert("RGBA") if image.has_transparency_data else image
            transparent = layered.mode == "RGBA" and np.asarray(layered)[..., 3].min() < 255
            plain = layered.convert("RGB" if form.channels == 3 else "L")
    except _BROKEN:
        return _unreadable(name)
    if turn is not None:
        plain = plain.transpose(turn)
    size = (form.width, form.height)
    if plain.size != size and form.is_cut:
        plain = ImageOps.fit(plain, size, Image.Resampling.BILINEAR)
    elif plain.size != size:
        plain = plain.resize(size, Image.Resampling.BILINEAR)
    levels = np.array(plain).reshape(form.height, form.width, form.channels).transpose(2, 0, 1)
    return Pixels(np.ascontiguousarray(levels), bool(transparent), turn is not None)


def _opened(raw: Raw) -> AbstractContextManager[Image.Image]:
    if isinstance(raw, Image.Image):
        return nullcontext(raw)
    return Image.open(raw if isinstance(raw, Path) else BytesIO(raw), formats=FORMATS)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; an unreadable one is upright, as viewers show it."""
    if image.format == "PNG" and "exif" not in image.info:
        return 1  # else Pillow decodes all pixels to look for it behind them
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return 1


def _unreadable(name: str) -> Unusable:
    return Unusable(name, "is unreadable", f"cannot read the image {name}; replace or remove it")
