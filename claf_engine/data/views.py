"""Random augmentation in batches, on the device; every image draws its own parameters.

The recipe is SimCLR's and SupContrast's: random resized crop, horizontal flip, colour jitter, grayscale. Single
operations agree with `torchvision.transforms.v2.functional`, whose random transforms draw one set of parameters for a
whole batch and therefore cannot be used here.

Images have three channels or one; on gray ones hue, saturation and the dropping of colour change nothing.

All randomness is drawn up front, as many numbers as the shape and the settings say, so that streams stay aligned
between runs whatever the images hold. Where several processes share a batch, each draws for all of it and takes what
its own images get. Nothing here is differentiated.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.compute.world import Part
from claf_engine.config import ViewsConfig

RATIOS = (3 / 4, 4 / 3)
"""Width / height of a crop before it is stretched back; the range of `torchvision.transforms.RandomResizedCrop`."""
LUMA = (0.2989, 0.587, 0.114)
"""Red, green and blue in a gray, as torchvision weighs them."""

_MAX_SHIFT = 4
_CROP_DRAWS, _COLOUR_DRAWS = 5, 9
_NUM_JITTERS = 4


@dataclass(frozen=True)
class Jitter:
    """Colour parameters, one row per image.

    Attributes:
        factors: (N, 3) of brightness, contrast and saturation; 1 leaves the image alone.
        order: (N, 3) a permutation of (0, 1, 2) per image: which of these three comes first, second, third.
        turns: (N,) hue shift in turns, in [-0.5, 0.5]; 0 leaves the image alone.
    """

    factors: Tensor
    order: Tensor
    turns: Tensor

    def __getitem__(self, rows: slice) -> "Jitter":
        return Jitter(self.factors[rows], self.order[rows], self.turns[rows])


@torch.no_grad()
def make_views(
    images: Tensor, config: ViewsConfig, num_views: int, generator: torch.Generator, part: Part | None = None
) -> Tensor:
    """Augment every image several times, independently.

    The order of the four colour operations is random per image. For speed the place of hue, the costly one, is dealt
    out evenly: each quarter of a random permutation of the batch has it first, second, third or last, so that one image
    has it anywhere with equal odds while no image pays for it more than once.

    Args:
        images: (B, C, H, W) fp32 in [0, 1]; not modified.
        config: ranges and probabilities.
        num_views: V, views of each image.
        generator: on the images' device; the number of draws depends on the shape and the settings alone.
        part: of the batch that these images are; by default all of it.

    Returns:
        (B, V, C, H, W) in [0, 1].
    """
    count = (len(images) if part is None else part.total) * num_views
    deal = torch.randperm(count, generator=generator, device=images.device)
    draws = torch.rand((count, _CROP_DRAWS + _COLOUR_DRAWS), generator=generator, device=images.device)
    edges = [count * place // _NUM_JITTERS for place in range(_NUM_JITTERS + 1)]
    if part is not None and not part.is_whole:
        deal, draws, edges = _own_deal(deal, draws, edges, (num_views, part))
    boxes, flips = _draw_crops(draws[:, :_CROP_DRAWS], config, images.shape)
    jitter, gray = _draw_colours(draws[:, _CROP_DRAWS:], config)
    # The views are built in dealt order, where images with hue in the same place are neighbours.
    dealt = resample(images.index_select(0, deal // num_views), boxes, flips)
    for place in range(_NUM_JITTERS):
        rows = slice(edges[place], edges[place + 1])
        jittered = apply_jitter(dealt[rows], jitter[rows], place) if config.jitter else dealt[rows]
        dealt[rows] = drop_colour(jittered, gray[rows]) if config.grayscale else jittered
    return dealt.index_select(0, deal.argsort()).view(len(images), num_views, *images.shape[1:])


@torch.no_grad()
def crop_and_flip(images: Tensor, config: ViewsConfig, generator: torch.Generator, part: Part | None = None) -> Tensor:
    """Random resized crop and horizontal flip only.

    Args:
        images: (B, C, H, W) fp32 in [0, 1]; not modified.
        config: crop scale and flip probability.
        generator: on the images' device; the number of draws depends on B alone.
        part: of the batch that these images are; by default all of it.

    Returns:
        (B, C, H, W) in [0, 1].
    """
    draws = _draw(images, _CROP_DRAWS, generator, part)
    boxes, flips = _draw_crops(draws, config, images.shape)
    return resample(images, boxes, flips)


def shift_and_flip(images: Tensor, config: ViewsConfig, generator: torch.Generator, part: Part | None = None) -> Tensor:
    """Move each image by up to four whole pixels, black moving in, and mirror it: the usual supervised view.

    Args:
        images: (B, C, H, W) fp32 in [0, 1]; not modified.
        config: flip probability.
        generator: on the images' device; the number of draws depends on B alone.
        part: of the batch that these images are; by default all of it.

    Returns:
        (B, C, H, W), every value a pixel of the image or 0.
    """
    size, (height, width) = len(images), images.shape[-2:]
    draws = _draw(images, 3, generator, part)
    down, right = (draws[:, :2] * (2 * _MAX_SHIFT + 1)).long().clamp(max=2 * _MAX_SHIFT).unbind(1)
    rows = torch.arange(height, device=images.device) + down[:, None]
    columns = torch.arange(width, device=images.device) + right[:, None]
    columns = torch.where(draws[:, 2:] < config.flip, columns.flip(1), columns)
    padded = F.pad(images, [_MAX_SHIFT] * 4)
    image = torch.arange(size, device=images.device)
    return padded[image[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


VIEW_OF = {"shift": shift_and_flip, "crop": crop_and_flip}
"""The supervised views, by their name in the settings; "image" is none."""


def resample(images: Tensor, boxes: Tensor, flips: Tensor) -> Tensor:
    """Cut a box out of each image and stretch it, bilinearly, over the whole frame; mirror it where asked.

    Args:
        images: (N, C, H, W).
        boxes: (N, 4) left, top, width, height as fractions of the frame, inside [0, 1]; not rounded to pixels.
        flips: (N,) bool.

    Returns:
        (N, C, H, W), every value a convex combination of pixels.
    """
    left, top, width, height = boxes.unsqueeze(2).unbind(1)
    across = _centres(images.shape[3], images) * torch.where(flips[:, None], -width, width) + (2 * left + width - 1)
    down = _centres(images.shape[2], images) * height + (2 * top + height - 1)
    # A box has sides along the axes, so that x depends on the column alone and y on the row.
    shape = (len(images), *images.shape[2:])
    grid = torch.stack((across[:, None, :].expand(shape), down[:, :, None].expand(shape)), 3)
    stretched = F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return stretched.clamp_(0, 1)


def apply_jitter(images: Tensor, jitter: Jitter, hue_place: int) -> Tensor:
    """Brightness, contrast, saturation and hue, in an order of its own for each image except for the place of hue.

    Args:
        images: (N, C, H, W) in [0, 1].
        jitter: N rows of parameters.
        hue_place: 0 to 3, after how many of the other operations hue comes.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    for step in range(_NUM_JITTERS - 1):
        if step == hue_place:
            images = shift_hue(images, jitter.turns)
        operation = jitter.order[:, step]
        images = scale_colour(images, jitter.factors.gather(1, operation[:, None])[:, 0], operation)
    return shift_hue(images, jitter.turns) if hue_place == _NUM_JITTERS - 1 else images


def scale_colour(images: Tensor, factors: Tensor, operation: Tensor) -> Tensor:
    """Blend each image with black (brightness), its mean gray (contrast) or its own gray (saturation).

    All three are `factor * image + (1 - factor) * other`, clamped, so one pass serves a mixed batch.

    Args:
        images: (N, C, H, W) in [0, 1].
        factors: (N,) nonnegative; 1 leaves the image alone.
        operation: (N,) int64, 0 brightness, 1 contrast, 2 saturation.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    gray = to_gray(images)
    rest = (1 - factors).view(-1, 1, 1, 1)
    is_contrast, is_saturation = ((operation == number).view(-1, 1, 1, 1) for number in (1, 2))
    other = (gray * (rest * is_saturation)).add_(gray.mean((2, 3), keepdim=True) * (rest * is_contrast))
    return torch.addcmul(other, images, factors.view(-1, 1, 1, 1)).clamp_(0, 1)


def shift_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue of each image in HSV space, keeping saturation and value.

    Args:
        images: (N, C, H, W) in [0, 1].
        turns: (N,) in [-0.5, 0.5]; a third of a turn takes red to green.

    Returns:
        (N, C, H, W) in [0, 1].
    """
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    value = images.amax(1)
    chroma = value - images.amin(1)
    # Gray pixels have no chroma and differences of zero, which any finite scale leaves at zero.
    scale = chroma.clamp(min=torch.finfo(chroma.dtype).tiny).reciprocal_()
    # Hue in sixths of a turn, by which channel is the greatest.
    of_red, of_green, of_blue = (green - blue).mul_(scale), (blue - red).mul_(scale), (red - green).mul_(scale)
    of_rest = of_blue.add_(4).lerp_(of_green.add_(2), _indicate_equal(value, green))
    hue = of_rest.lerp_(of_red, _indicate_equal(value, red)).add_(turns.view(-1, 1, 1) * 6)
    # A channel falls from the value to the minimum with its distance from its own place on the wheel; no rounding can
    # take it out of that range.
    shifted = torch.empty_like(images)
    for channel, place in enumerate((5, 3, 1)):
        around = hue + place
        around.sub_(around.div(6).floor_(), alpha=6)
        rise = around.sub_(2).abs_().sub_(2).clamp_(-1, 0)
        torch.addcmul(value, rise, chroma, out=shifted[:, channel])
    return shifted


def to_gray(images: Tensor) -> Tensor:
    """Map (N, C, H, W) to the luma (N, 1, H, W); gray images are their own."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.unbind(1)
    luma: Tensor = (red * LUMA[0]).add_(green, alpha=LUMA[1]).add_(blue, alpha=LUMA[2])
    return luma.unsqueeze(1)


def drop_colour(images: Tensor, chosen: Tensor) -> Tensor:
    """Replace all channels by the luma where chosen, (N,) bool; shape (N, C, H, W) and range kept."""
    if images.shape[1] == 1:
        return images
    return torch.lerp(images, to_gray(images), chosen.view(-1, 1, 1, 1).to(images.dtype))


def _indicate_equal(first: Tensor, second: Tensor) -> Tensor:
    """1 where two tensors are equal, else 0, as weights for `lerp`.

    At weights of 0 and 1 `lerp` gives one of its ends exactly; on CPUs it is many times faster than `where`, which is
    not vectorised for masks.
    """
    return torch.eq(first, second, out=torch.empty_like(first))


def _centres(size: int, like: Tensor) -> Tensor:
    """Centres of the pixels of one side of the frame, (size,), in units in which the frame reaches from -1 to 1."""
    return torch.linspace(-1, 1, size, dtype=like.dtype, device=like.device) * (size - 1) / size


def _draw(images: Tensor, num_draws: int, generator: torch.Generator, part: Part | None) -> Tensor:
    """Uniform numbers (N, num_draws) for these images, drawn for the whole batch that they are a part of."""
    if part is None or part.is_whole:
        return torch.rand((len(images), num_draws), generator=generator, device=images.device)
    return part.take(torch.rand((part.total, num_draws), generator=generator, device=images.device))


def _own_deal(
    deal: Tensor, draws: Tensor, edges: list[int], taken: tuple[int, Part]
) -> tuple[Tensor, Tensor, list[int]]:
    """What of a deal belongs to the images of one process, in dealt order.

    How many views of it lie in each quarter of the deal is known on the device alone, so that this waits for it.

    Args:
        deal: (N,) views of the whole batch in dealt order.
        draws: (N, D) what each of them draws.
        edges: where the quarters begin, and N.
        taken: views of each image, and the part of the batch.

    Returns:
        The same of the part: views are numbered within it.
    """
    num_views, part = taken
    size = part.world.size
    places = (deal // num_views % size == part.world.rank).nonzero()[:, 0]
    own = deal[places]
    numbered = own // num_views // size * num_views + own % num_views
    own_edges = torch.searchsorted(places, torch.tensor(edges, device=deal.device))
    return numbered, draws[places], own_edges.tolist()


def _draw_crops(draws: Tensor, config: ViewsConfig, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Boxes (N, 4) and flips (N,) from uniform numbers (N, 5).

    torchvision draws area and ratio until the crop fits; here the ratio is drawn from the part of its range that fits
    the area, which needs a fixed number of draws and keeps the area exact.
    """
    aspect = shape[-1] / shape[-2]
    area = config.crop_scale[0] + draws[:, 0] * (config.crop_scale[1] - config.crop_scale[0])
    high = (aspect / area).log().clamp(max=math.log(RATIOS[1]))
    low = (aspect * area).log().clamp(min=math.log(RATIOS[0]))
    ratio = (low + draws[:, 1] * (high - low)).exp() / aspect
    width, height = (area * ratio).sqrt().clamp(max=1), (area / ratio).sqrt().clamp(max=1)
    left, top = draws[:, 2] * (1 - width), draws[:, 3] * (1 - height)
    return torch.stack((left, top, width, height), 1), draws[:, 4] < config.flip


def _draw_colours(draws: Tensor, config: ViewsConfig) -> tuple[Jitter, Tensor]:
    """Jitter parameters and who loses colour (N,) from uniform numbers (N, 9)."""
    jittered = draws[:, 0] < config.jitter
    strengths = (config.brightness, config.contrast, config.saturation)
    changes = [(draws[:, 1 + column] * 2 - 1) * strength for column, strength in enumerate(strengths)]
    factors = torch.where(jittered[:, None], 1 + torch.stack(changes, 1), 1.0)
    turns = torch.where(jittered, (draws[:, 4] * 2 - 1) * config.hue, 0.0)
    return Jitter(factors, draws[:, 5:8].argsort(1), turns), draws[:, 8] < config.grayscale
