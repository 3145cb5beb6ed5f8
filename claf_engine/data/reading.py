"""From a catalogue of images to a source: all of one form, in memory or streamed; what was changed is told."""

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from claf_engine.compute.cores import usable_cores
from claf_engine.config import DataConfig
from claf_engine.config.sources import MAX_SIDE, MIN_SIDE
from claf_engine.data.arrow_files import Table
from claf_engine.data.cache import CacheKey, Decoded, cached_bytes, load_cache, save_cache
from claf_engine.data.dataset import Source, Split
from claf_engine.data.decoding import Form, Measured, Pixels, Unusable, decode, measure
from claf_engine.data.items import Catalogue, Chosen, Items, Opened, Part
from claf_engine.data.statistics import channel_statistics
from claf_engine.data.streamed import Reader, Streamed
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

MAX_NAMED = 10
"""Images that a refusal names."""

_BATCH = 128
_WORKERS = min(8, usable_cores())


@dataclass
class Survey:
    """What the headers of all images say.

    Attributes:
        sizes: how many images of each part have which width and height.
        num_gray: of each part.
        unusable: those that have no header.
    """

    sizes: dict[str, Counter[tuple[int, int]]] = field(default_factory=dict)
    num_gray: Counter[str] = field(default_factory=Counter)
    unusable: list[Unusable] = field(default_factory=list)

    @property
    def leading(self) -> str:
        """The part that decides about the form: the training images, where there are some."""
        return "train" if self.sizes["train"] else "test"


@dataclass
class _Changes:
    """How many images decoding changed, and how."""

    num_transparent: int = 0
    num_turned: int = 0


def read_steps(catalogue: Catalogue, config: DataConfig, room: float) -> Generator[Pulse, None, Source]:
    """Decode all images of a catalogue, unless they are in the cache or have to be streamed.

    Args:
        catalogue: the images.
        config: the form that is wanted of them.
        room: bytes that the decoded images may take in memory; where they take more, they are streamed.

    Raises:
        DataError: images cannot be used; the message names up to ten of them.
    """
    key = CacheKey.of(catalogue, config)
    notices: list[str] = []
    if key is not None and cached_bytes(key) <= room:
        yield Pulse("reading the image cache", 0, len(catalogue))
        decoded, notices = load_cache(key)
        if decoded is not None:
            return _source(catalogue, decoded, notices)
    survey = yield from survey_steps(catalogue)
    form = choose_form(catalogue, survey, config)
    if len(catalogue) * torch.Size(form.shape).numel() > room:
        return (yield from _streamed_steps(catalogue, survey, form, config))
    decoded = yield from decode_steps(catalogue, survey, form)
    if key is not None:
        notices += save_cache(key, decoded)
    return _source(catalogue, decoded, notices)


def survey_steps(catalogue: Catalogue) -> Generator[Pulse, None, Survey]:
    """Read the header of every image.

    Raises:
        DataError: no image that decides about the form has one.
    """
    survey = Survey()
    with ThreadPoolExecutor(_WORKERS) as workers:
        for name, part in catalogue.parts.items():
            sizes = survey.sizes[name] = Counter()
            for batch in _batches(part):
                yield Pulse(f"measuring {name} images", batch.start, len(part))
                for found in workers.map(_measured, _opened(part.items, batch)):
                    if isinstance(found, Unusable):
                        survey.unusable.append(found)
                    else:
                        sizes[found.width, found.height] += 1
                        survey.num_gray[name] += found.is_gray
    if not survey.sizes["train" if len(catalogue.train) else "test"]:
        raise _refusal(catalogue, survey.unusable)
    return survey


def choose_form(catalogue: Catalogue, survey: Survey, config: DataConfig) -> Form:
    """The form that is asked for, or else the most frequent size, and gray where all images are that decide about it.

    Raises:
        DataError: the most frequent size is none that a network takes.
    """
    leading = survey.sizes[survey.leading]
    is_gray = survey.num_gray[survey.leading] == leading.total()
    channels = config.channels or (1 if is_gray else 3)
    if config.image_size is not None:
        return Form(config.image_size, config.image_size, channels, is_cut=True)
    size = max(leading, key=lambda one: (leading[one], one[0] * one[1], one))
    if min(size) < MIN_SIDE or max(size) > MAX_SIDE:
        raise DataError(
            f"most images in {catalogue.place} are {size[0]}x{size[1]} pixels, and sides must be {MIN_SIDE} to "
            f"{MAX_SIDE}; resize them, for example with --set data.image_size=32"
        )
    return Form(size[0], size[1], channels)


def decode_steps(catalogue: Catalogue, survey: Survey, form: Form) -> Generator[Pulse, None, Decoded]:
    """Bring every image to one form.

    Raises:
        DataError: some cannot be used.
    """
    unusable, changes = survey.unusable, _Changes()
    broken = {bad.name for bad in unusable}
    images: dict[str, Tensor] = {}
    with ThreadPoolExecutor(_WORKERS) as workers:
        for name, part in catalogue.parts.items():
            images[name] = torch.empty((len(part), *form.shape), dtype=torch.uint8)
            for batch in _batches(part):
                yield Pulse(f"decoding {name} images", batch.start, len(part))
                wanted = [index for index in batch if part.items.name(index) not in broken]
                found = workers.map(partial(_decoded, form), _opened(part.items, wanted))
                for index, pixels in zip(wanted, found, strict=True):
                    if isinstance(pixels, Unusable):
                        unusable.append(pixels)
                        continue
                    images[name][index] = torch.from_numpy(pixels.levels)
                    changes.num_transparent += pixels.was_transparent
                    changes.num_turned += pixels.was_turned
    if unusable:
        raise _refusal(catalogue, unusable)
    notices = (*_form_notices(catalogue, survey, form), *_change_notices(catalogue, changes))
    return Decoded(images, (*notices, *_gray_notices(catalogue, images[survey.leading])))


def _source(catalogue: Catalogue, decoded: Decoded, notices: list[str]) -> Source:
    splits = {name: Split(decoded.images[name], part.labels) for name, part in catalogue.parts.items()}
    return _source_of(catalogue, splits, (*decoded.notices, *notices))


def _streamed_steps(
    catalogue: Catalogue, survey: Survey, form: Form, config: DataConfig
) -> Generator[Pulse, None, Source]:
    """The source without its pixels.

    Raises:
        DataError: images have no header.
    """
    if survey.unusable:
        raise _refusal(catalogue, survey.unusable)
    splits = {}
    for name, part in catalogue.parts.items():
        reader = Reader((yield from _quick_steps(part.items)), form)
        rows = torch.arange(len(part))
        splits[name] = Split(Streamed(reader, rows, torch.device("cpu"), config.workers), part.labels)
    size = len(catalogue) * torch.Size(form.shape).numel() / 2**20
    told = (
        f"The {len(catalogue)} images of {catalogue.place}, {size:,.0f} MiB, are read as they are needed, "
        f"{'without reading' if not config.workers else 'and'} ahead of time (data.workers={config.workers})."
    )
    return _source_of(catalogue, splits, (*_form_notices(catalogue, survey, form), told))


def _quick_steps(items: Items) -> Generator[Pulse, None, Items]:
    """The same items where each of them is read without others."""
    if isinstance(items, Chosen):
        return Chosen((yield from _quick_steps(items.items)), items.rows)
    return (yield from items.unpacked_steps()) if isinstance(items, Table) else items


def _source_of(catalogue: Catalogue, splits: dict[str, Split], notices: tuple[str, ...]) -> Source:
    return Source(
        name=catalogue.source,
        class_names=catalogue.class_names,
        pool=splits["train"],
        test=splits["test"],
        validation=splits.get("validation"),
        notices=(*catalogue.notices, *notices),
    )


def _measured(opened: Opened) -> Measured | Unusable:
    return measure(opened.raw, opened.name)


def _decoded(form: Form, opened: Opened) -> Pixels | Unusable:
    return decode(opened.raw, opened.name, form)


def _opened(items: Items, indices: Iterable[int]) -> Iterator[Opened]:
    """Items one after the other in the thread that asks: data sets of others may not bear more than one."""
    return (Opened(items.raw(index), items.name(index)) for index in indices)


def _batches(part: Part) -> Iterable[range]:
    return (range(first, min(first + _BATCH, len(part))) for first in range(0, len(part), _BATCH))


def _refusal(catalogue: Catalogue, unusable: list[Unusable]) -> DataError:
    """Name every image that cannot be used, up to `MAX_NAMED`."""
    if len(unusable) == 1:
        return DataError(unusable[0].sentence)
    named = ", ".join(f"{bad.name.removeprefix(f'{catalogue.place}/')} {bad.reason}" for bad in unusable[:MAX_NAMED])
    more = f", and {len(unusable) - MAX_NAMED} more" if len(unusable) > MAX_NAMED else ""
    return DataError(
        f"{len(unusable)} images of {catalogue.place} cannot be used: {named}{more}; replace or remove them"
    )


def _form_notices(catalogue: Catalogue, survey: Survey, form: Form) -> list[str]:
    """What all images have to be brought to, as their headers tell."""
    total, size = len(catalogue), (form.width, form.height)
    num_resized = total - sum(sizes[size] for sizes in survey.sizes.values())
    num_gray = survey.num_gray.total()
    notices = []
    if num_resized and form.is_cut:
        notices.append(
            f"Cut {num_resized} of {total} images of {catalogue.place} from their middle and resized them to "
            f"{form.width}x{form.height} (data.image_size)."
        )
    elif num_resized:
        notices.append(
            f"Resized {num_resized} of {total} images to {form.width}x{form.height}, the most common size in "
            f"{catalogue.place}."
        )
    if form.channels == 1 and num_gray < total:
        notices.append(f"Took {total - num_gray} of {total} images of {catalogue.place} in gray that are coloured.")
    if form.channels == 3 and num_gray:
        notices.append(
            f"Took {num_gray} of {total} images of {catalogue.place} with three equal channels: they are gray."
        )
    return notices


def _change_notices(catalogue: Catalogue, changes: _Changes) -> list[str]:
    notices = []
    if changes.num_transparent:
        notices.append(
            f"Dropped the transparency of {changes.num_transparent} of {len(catalogue)} images in {catalogue.place}."
        )
    if changes.num_turned:
        notices.append(
            f"Turned {changes.num_turned} of {len(catalogue)} images in {catalogue.place} upright, as their EXIF "
            "orientation says."
        )
    return notices


def _gray_notices(catalogue: Catalogue, images: Tensor) -> list[str]:
    """Say that all training images are gray in three channels, and with which statistics."""
    if images.shape[1] == 1 or not all(bool((one == images[:, :1]).all()) for one in (images[:, 1:2], images[:, 2:])):
        return []
    found = channel_statistics(images[:, :1])
    return [
        f"All training images of {catalogue.place} are gray: their three channels are equal, with mean "
        f"{found.mean[0]:.3f} and standard deviation {found.std[0]:.3f} of pixels in [0, 1]."
    ]
