"""What a run would find in its images, told before it begins: nothing is downloaded, and few images are decoded."""

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch

from claf_engine.config import DataConfig
from claf_engine.config.sources import ON_DISK, TORCHVISION, path_of
from claf_engine.data.dataset import fitted, require_sizes, stratified_order
from claf_engine.data.items import Catalogue
from claf_engine.data.loading import catalogue_steps
from claf_engine.data.reading import choose_form, decode_steps, survey_steps
from claf_engine.data.statistics import ChannelStatistics, channel_statistics
from claf_engine.events.ticks import Pulse
from claf_engine.terms.errors import DataError

BRACE = "{"
"""In the pattern of several files, which is no path."""
SAMPLE = 500
"""Training images that are decoded."""


@dataclass(frozen=True)
class Preview:
    """What there is of a source.

    Attributes:
        class_names: in the order of the labels.
        num_train: images that would be trained on, validated with and tested on.
        shape: channels, height and width that most images have, or are to get.
        statistics: of the channels of some training images.
        num_sampled: how many.
        notices: what was skipped or decided.
    """

    class_names: tuple[str, ...]
    num_train: int
    num_validation: int
    num_test: int
    shape: tuple[int, int, int]
    statistics: ChannelStatistics
    num_sampled: int
    notices: tuple[str, ...]


def preview_steps(config: DataConfig) -> Generator[Pulse, None, Preview | None]:
    """Look at a source on disk; None for one that is drawn or a plugin's, or is not there (yet).

    Raises:
        DataError: it is not what it should be, or smaller than what is asked for.
    """
    if config.source.startswith(ON_DISK) and BRACE not in config.source and not path_of(config.source).exists():
        return None
    try:
        found = yield from catalogue_steps(config.model_copy(update={"download": False}))
    except DataError:
        if config.source.startswith(TORCHVISION) and config.download:
            return None
        raise
    if found is None:
        return None
    own = found.validation
    config, told = fitted(config, len(found.train), len(found.test), holds_out=own is None)
    require_sizes(config, len(found.train), len(found.test), holds_out=own is None)
    num_validation = config.num_validation if own is None else min(config.num_validation, len(own))
    num_left = len(found.train) - (num_validation if own is None else 0)
    sample = _sampled(found)
    survey = yield from survey_steps(sample)
    form = choose_form(sample, survey, config)
    decoded = yield from decode_steps(sample, survey, form)
    return Preview(
        class_names=found.class_names,
        num_train=num_left if config.num_train is None else config.num_train,
        num_validation=num_validation,
        num_test=len(found.test) if config.num_test is None else config.num_test,
        shape=form.shape,
        statistics=channel_statistics(decoded.images["train"]),
        num_sampled=len(sample.train),
        notices=(*found.notices, *told),
    )


def _sampled(found: Catalogue) -> Catalogue:
    """The same catalogue with a few of its training images and nothing else."""
    order = stratified_order(found.train.labels, torch.Generator())
    nothing = found.test.chosen(order[:0])
    return replace(found, train=found.train.chosen(order[:SAMPLE]), test=nothing, validation=None)
