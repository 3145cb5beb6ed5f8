"""The built-in source: drawn shapes that show in minutes what adversarial robustness is about.

Each 32x32 image carries its class twice:

- a large drawn shape of strong contrast, in a random place, size, angle and colour, on a random background: a feature
  that survives any perturbation of 8/255;
- a faint fixed pattern of high spatial frequency, 4/255 in amplitude and different for each class: perfectly
  predictive, easily learned, and erased or forged by a perturbation of 8/255.

Ordinary training leans on the second, so it is accurate until it is attacked; robust training has to find the first
(the "robust and non-robust features" of Ilyas et al. 2019, in miniature).
"""

import math
from collections.abc import Callable, Generator

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.compute.device import make_generator
from claf_engine.compute.seeding import derive_seed
from claf_engine.config import DataConfig
from claf_engine.data.dataset import Source, Split
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

SIZE = 32
"""Height and width of an image, in pixels."""
PATTERN_LEVELS = 4
"""Amplitude of the class-coded pattern, in levels of 255."""
COLOUR_RANGE = (8, 247)
"""Levels of everything but the pattern, which therefore is never clipped."""
POOL_SIZE, TEST_SIZE = 5000, 1000
MAX_IMAGES = 200_000

_CHUNK = 500
_RADIUS = (9.0, 13.0)
_MAX_SHIFT = 3.0
_MAX_ANGLE = math.radians(20)
_DARK, _LIGHT = (40.0, 95.0), (160.0, 215.0)
_TINT = 40.0
_TEXTURE = 12.0

Sdf = Callable[[Tensor, Tensor], Tensor]


def _box(x: Tensor, y: Tensor, half_width: float, half_height: float) -> Tensor:
    return torch.maximum(x.abs() - half_width, y.abs() - half_height)


def _half_planes(x: Tensor, y: Tensor, sides: int, inner_radius: float) -> Tensor:
    """Distances (sides, ...) to the lines around a regular polygon that points up."""
    angles = [-math.pi / 2 + (2 * side + 1) * math.pi / sides for side in range(sides)]
    return torch.stack([x * math.cos(angle) + y * math.sin(angle) - inner_radius for angle in angles])


def _disc(x: Tensor, y: Tensor) -> Tensor:
    return torch.hypot(x, y) - 0.9


def _ring(x: Tensor, y: Tensor) -> Tensor:
    return (torch.hypot(x, y) - 0.72).abs() - 0.24


def _square(x: Tensor, y: Tensor) -> Tensor:
    return _box(x, y, 0.8, 0.8)


def _triangle(x: Tensor, y: Tensor) -> Tensor:
    return _half_planes(x, y - 0.2, 3, 0.55).amax(0)


def _cross(x: Tensor, y: Tensor) -> Tensor:
    return torch.minimum(_box(x, y, 1.0, 0.32), _box(x, y, 0.32, 1.0))


def _star(x: Tensor, y: Tensor) -> Tensor:
    # Inside a pentagram, at most one of the five lines is crossed.
    return _half_planes(x, y, 5, 0.4).topk(2, dim=0).values[1]


def _heart(x: Tensor, y: Tensor) -> Tensor:
    side = 0.52
    right, left = (x - y + 0.15) * math.sqrt(0.5), (-x - y + 0.15) * math.sqrt(0.5)
    lobes = torch.minimum(torch.hypot(right - side, left), torch.hypot(right, left - side)) - side
    return torch.minimum(lobes, _box(right, left, side, side))


def _crescent(x: Tensor, y: Tensor) -> Tensor:
    return torch.maximum(torch.hypot(x, y) - 1.0, 0.78 - torch.hypot(x - 0.48, y))


def _arrow(x: Tensor, y: Tensor) -> Tensor:
    head = torch.maximum(x.abs() * 0.75 - (y + 1.0) * 0.66, y)
    return torch.minimum(head, _box(x, y - 0.45, 0.28, 0.55))


def _bars(x: Tensor, y: Tensor) -> Tensor:
    nearest = torch.minimum(x.abs(), (x.abs() - 0.75).abs())
    return torch.maximum(nearest - 0.22, y.abs() - 0.95)


SHAPES: dict[str, Sdf] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "heart": _heart,
    "crescent": _crescent,
    "arrow": _arrow,
    "bars": _bars,
}
"""Class name to signed distance, negative inside: of (x, y) with y down, in units of the shape's radius."""


def shapes_source(config: DataConfig) -> Generator[Pulse, None, Source]:
    """Draw the pool and, from an independent stream, the test split.

    Without `num_train` the pool has 5,000 images, with it as many as are asked for; 1,000 test images by default.

    Raises:
        DataError: more images are asked for than fit in memory.
    """
    pool_size = POOL_SIZE if config.num_train is None else config.num_train + config.num_validation
    test_size = config.num_test or TEST_SIZE
    if max(pool_size, test_size) > MAX_IMAGES:
        raise DataError(
            f"shapes draws at most {MAX_IMAGES} images a split, {max(pool_size, test_size)} are asked for; lower "
            "data.num_train, data.num_validation or data.num_test"
        )
    pool = yield from draw_shapes(pool_size, _stream(config, "pool"), "drawing training shapes")
    test = yield from draw_shapes(test_size, _stream(config, "test"), "drawing test shapes")
    return Source(name="shapes", class_names=tuple(SHAPES), pool=pool, test=test)


def draw_shapes(num_images: int, generator: torch.Generator, activity: str) -> Generator[Pulse, None, Split]:
    """Draw images of all classes in turn.

    Args:
        num_images: how many; classes differ by at most one image.
        generator: on the CPU, the source of everything random.
        activity: of the pulses, one before each few hundred images.

    Returns:
        Images (N, 3, 32, 32) uint8 and labels (N,) int64, on the CPU.
    """
    labels = torch.arange(num_images) % len(SHAPES)
    images = torch.empty((num_images, 3, SIZE, SIZE), dtype=torch.uint8)
    for first in range(0, num_images, _CHUNK):
        yield Pulse(activity, first, num_images)
        chunk = slice(first, first + _CHUNK)
        images[chunk] = _draw(labels[chunk], generator)
    return Split(images, labels)


def class_patterns() -> Tensor:
    """The non-robust feature: one pattern per class, (10, 3, 32, 32) int16, within +-PATTERN_LEVELS and of zero mean.

    Each is a plane wave at the Nyquist frequency (rows, columns or both) in one of four colour directions. Two classes
    differ in wave or colour direction, which neither a shift nor a mirror image can confuse.
    """
    row, column = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    lines, columns = 1 - 2 * (row % 2), 1 - 2 * (column % 2)
    waves = (lines, columns, lines * columns)
    colours = ((1, 1, 1), (1, 1, -1), (1, -1, 1), (-1, 1, 1))
    codes = [(wave, colour) for colour in colours for wave in waves][: len(SHAPES)]
    patterns = torch.stack([wave * torch.tensor(colour).view(3, 1, 1) for wave, colour in codes])
    return (patterns * PATTERN_LEVELS).to(torch.int16)


def _draw(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Images (N, 3, 32, 32) uint8 of the given classes."""
    count = len(labels)
    inside = _coverage(labels, torch.rand((count, 4), generator=generator))
    shape_colour, background = _colours(torch.rand((count, 7), generator=generator))
    backdrop = background + _texture(count, generator)
    base = torch.lerp(backdrop, shape_colour, inside).clamp_(*COLOUR_RANGE)
    # Rounded before the pattern is added, so that the pattern arrives in the image to the level.
    return (base.round_().to(torch.int16) + class_patterns()[labels]).to(torch.uint8)


def _coverage(labels: Tensor, draws: Tensor) -> Tensor:
    """How much of each pixel the shape covers, (N, 1, 32, 32) in [0, 1]: antialiased over one pixel."""
    radius = _RADIUS[0] + draws[:, 0] * (_RADIUS[1] - _RADIUS[0])
    shift = (draws[:, 1:3] * 2 - 1) * _MAX_SHIFT
    angle = (draws[:, 3] * 2 - 1) * _MAX_ANGLE
    at = torch.arange(SIZE) - (SIZE - 1) / 2
    x = at.view(1, 1, SIZE) - shift[:, 0].view(-1, 1, 1)
    y = at.view(1, SIZE, 1) - shift[:, 1].view(-1, 1, 1)
    cos, sin = (f(angle).div(radius).view(-1, 1, 1) for f in (torch.cos, torch.sin))
    across, down = x * cos + y * sin, y * cos - x * sin
    distance = torch.empty_like(across)
    for label, shape in enumerate(SHAPES.values()):
        of_class = labels == label
        distance[of_class] = shape(across[of_class], down[of_class])
    return (0.5 - distance * radius.view(-1, 1, 1)).clamp_(0, 1).unsqueeze(1)


def _colours(draws: Tensor) -> tuple[Tensor, Tensor]:
    """A tinted dark and a tinted light colour, either of them the shape's: two times (N, 3, 1, 1), in levels.

    Tints have zero mean over the channels, so that they never close the gap between dark and light.
    """
    dark = _DARK[0] + draws[:, :1] * (_DARK[1] - _DARK[0])
    light = _LIGHT[0] + draws[:, 1:2] * (_LIGHT[1] - _LIGHT[0])
    tints = (draws[:, 2:5] - draws[:, 2:5].mean(1, keepdim=True)) * (2 * _TINT)
    counter_tints = tints.roll(1, dims=1) * (draws[:, 5:6] * 2 - 1)
    shape_is_dark = draws[:, 6:7] < 0.5
    dark, light = dark + tints, light + counter_tints
    shape_colour = torch.where(shape_is_dark, dark, light)
    background = torch.where(shape_is_dark, light, dark)
    return shape_colour.view(-1, 3, 1, 1), background.view(-1, 3, 1, 1)


def _texture(count: int, generator: torch.Generator) -> Tensor:
    """A smooth coloured gradient with blotches, (N, 3, 32, 32) in levels: below the pattern in frequency."""
    corners = torch.rand((count, 3, 2, 2), generator=generator) * 2 - 1
    blotches = torch.rand((count, 3, 6, 6), generator=generator) * 2 - 1
    smooth = [F.interpolate(grid, size=SIZE, mode="bilinear", align_corners=True) for grid in (corners, blotches)]
    return (smooth[0] + smooth[1]) * _TEXTURE


def _stream(config: DataConfig, purpose: str) -> torch.Generator:
    return make_generator(torch.device("cpu"), derive_seed(config.seed, "shapes", purpose))
