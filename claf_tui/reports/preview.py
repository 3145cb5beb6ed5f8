"""What a run would find in its images, in lines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from claf_engine.config.sources import ON_DISK
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:
    from claf_engine.data.preview import Preview

SHOWN = 5
"""Class names that are listed."""


def preview_lines(source: str, preview: "Preview | None") -> Iterator[str]:
    """Number and form of the images of a source, its classes, and the statistics of its channels.

    Without a preview the source is drawn, or a plugin's, or not there yet.
    """
    if preview is None:
        is_missing = source.startswith(ON_DISK)
        told = "not there (yet), and a run needs them" if is_missing else "known when the run begins"
        yield f"images of {safe(source, 400)}: {told}"
        return
    names, more = preview.class_names[:SHOWN], ", ..." if len(preview.class_names) > SHOWN else ""
    yield (
        f"images of {safe(source, 400)}: {figures.count(preview.num_train)} to train on, "
        f"{figures.count(preview.num_validation)} to validate with, {figures.count(preview.num_test)} to test on"
    )
    yield f"{figures.count(len(preview.class_names))} classes: {safe(', '.join(names), 400)}{more}"
    channels, height, width = preview.shape
    found = preview.statistics
    mean, std = (", ".join(f"{value:.4f}" for value in values) for values in (found.mean, found.std))
    yield f"{width}x{height} pixels, {'gray' if channels == 1 else 'in colour'}"
    yield f"channel means {mean} and deviations {std}, of {figures.count(preview.num_sampled)} training images"
    yield from (safe(notice, 1000) for notice in preview.notices)
