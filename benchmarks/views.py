"""How fast are batched random views, against kornia's, and against torchvision's one image after the other?

SimCLR's recipe: random resized crop of 20 to 100 % of the area, horizontal flip, colour jitter in 80 % of the views and
grayscale in 20 %, two views of each image. Every side starts from the same uint8 images in memory (or on the device)
and ends with fp32 views in [0, 1]. Every view draws parameters of its own, with one exception in kornia's favour: its
jitter takes its four operations in one order for the whole batch. Every side keeps freed memory as the engine does, so
that what is compared is not how often the kernel maps pages.

kornia crops in two ways, by slicing or by resampling; both are measured and the ratio `kornia` is against the faster.
torchvision augments a whole batch with one set of parameters, so that its transforms get single images, as a data
loader without worker processes would. Ratios are their seconds over ours.

Before anything is timed, views of smooth images are compared: each side's stay in [0, 1] and have about the same mean
and spread.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import kornia.augmentation as kornia
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.common import Measured, Side, Work, alternate, parser, show, write
from claf_engine.compute.device import keep_freed_memory, make_generator
from claf_engine.config import ViewsConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import make_views

OURS, KORNIA, TORCHVISION = "ours", "kornia", "torchvision"
KORNIA_SIDES = {"kornia, slicing": "slice", "kornia, resampling": "resample"}
SIDES = (OURS, *KORNIA_SIDES, TORCHVISION)
NUM_VIEWS, SEED = 2, 5
NUM_COMPARED, TOLERANCE = 1024, 0.02
RECIPE = ViewsConfig()
JITTER = (RECIPE.brightness, RECIPE.contrast, RECIPE.saturation, RECIPE.hue)

Make = Callable[[Tensor], Tensor]
"""Images (B, 3, S, S) uint8 to two views of each, (2 * B, 3, S, S) fp32."""


@dataclass(frozen=True)
class Task:
    """What all sides do; picklable."""

    batch: int
    size: int
    device: str


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print the table and write the JSON file."""
    made = parser(__doc__)
    made.add_argument("--batch", type=int, default=256, help="images, of which two views each are made (default 256)")
    made.add_argument("--size", type=int, default=32, help="pixels of a side of the images (default 32)")
    arguments = made.parse_args(argv)
    task = Task(arguments.batch, arguments.size, arguments.device)
    told = {side: describe(maker(side, task)(smooth_images(task))) for side in SIDES}
    require_alike(told)
    measured = alternate([Side(side, prepare, (side, task)) for side in SIDES], arguments.repeats, task.device)
    ratios = _ratios({one.name: one.median for one in measured})
    title = f"Two random views of each of {task.batch} images of {task.size}x{task.size} pixels"
    show(title, ("side", "per view", "ours is faster by"), _table(measured, task), task.device)
    sides = {one.name: one.plain() | told[one.name] for one in measured}
    write(arguments.json, {"ratios": ratios, "sides": sides}, task.device)


def prepare(side: str, task: Task) -> Work:
    """Two views of every image of a batch of noise; the time does not depend on what images show."""
    keep_freed_memory()
    images = torch.randint(256, (task.batch, 3, task.size, task.size), dtype=torch.uint8).to(task.device)
    make = maker(side, task)

    def work() -> None:
        with torch.no_grad():
            make(images)

    return work


def maker(side: str, task: Task) -> Make:
    """How a side makes views."""
    if side == OURS:
        generator = make_generator(torch.device(task.device), SEED)
        return lambda images: make_views(to_pixels(images), RECIPE, NUM_VIEWS, generator).flatten(0, 1)
    if side == TORCHVISION:
        return _torchvisions(task)
    return _kornias(task, KORNIA_SIDES[side])


def smooth_images(task: Task) -> Tensor:
    """Images (N, 3, S, S) uint8 of smooth colours, for which it matters little where exactly they are cut."""
    generator = torch.Generator().manual_seed(SEED)
    coarse = torch.rand((NUM_COMPARED, 3, 3, 3), generator=generator)
    images = F.interpolate(coarse, (task.size, task.size), mode="bilinear", align_corners=False)
    return (images * 255).round().to(torch.uint8).to(task.device)


def describe(views: Tensor) -> dict[str, float]:
    """Range, mean and standard deviation of all values, and the mean spread of colours within a pixel."""
    return {
        "least": views.min().item(),
        "greatest": views.max().item(),
        "mean": views.mean().item(),
        "deviation": views.std().item(),
        "colourfulness": (views.amax(1) - views.amin(1)).mean().item(),
    }


def require_alike(told: dict[str, dict[str, float]]) -> None:
    """Raise RuntimeError unless all views are images whose statistics are about those of ours."""
    for side, figures in told.items():
        if figures["least"] < 0 or figures["greatest"] > 1:
            raise RuntimeError(f"views of {side} leave [0, 1]: {figures}")
        for name in ("mean", "deviation", "colourfulness"):
            if not abs(figures[name] - told[OURS][name]) < TOLERANCE:
                raise RuntimeError(f"views of {side} are other images than ours: {figures}, not {told[OURS]}")


def _kornias(task: Task, cropping: str) -> Make:
    crop = kornia.RandomResizedCrop(
        (task.size, task.size), scale=RECIPE.crop_scale, align_corners=False, cropping_mode=cropping
    )
    pipeline = nn.Sequential(
        crop,
        kornia.RandomHorizontalFlip(p=RECIPE.flip),
        kornia.ColorJitter(*JITTER, p=RECIPE.jitter),
        kornia.RandomGrayscale(p=RECIPE.grayscale),
    )

    def make(images: Tensor) -> Tensor:
        views: Tensor = pipeline(to_pixels(images).repeat_interleave(NUM_VIEWS, 0))
        return views

    return make


def _torchvisions(task: Task) -> Make:
    transform = v2.Compose(
        [
            v2.RandomResizedCrop(task.size, scale=RECIPE.crop_scale),
            v2.RandomHorizontalFlip(RECIPE.flip),
            v2.RandomApply([v2.ColorJitter(*JITTER)], RECIPE.jitter),
            v2.RandomGrayscale(RECIPE.grayscale),
            v2.ToDtype(torch.float32, scale=True),
        ]
    )
    return lambda images: torch.stack([transform(image) for image in images for _ in range(NUM_VIEWS)])


def _ratios(seconds: dict[str, float]) -> dict[str, float]:
    return {
        KORNIA: min(seconds[side] for side in KORNIA_SIDES) / seconds[OURS],
        TORCHVISION: seconds[TORCHVISION] / seconds[OURS],
    }


def _table(measured: Sequence[Measured], task: Task) -> list[tuple[Any, ...]]:
    ours = next(one.median for one in measured if one.name == OURS)
    num_views = task.batch * NUM_VIEWS
    return [
        (one.name, f"{one.median / num_views * 1e6:.1f} us", "" if one.name == OURS else f"{one.median / ours:.1f}x")
        for one in measured
    ]


if __name__ == "__main__":
    main()
