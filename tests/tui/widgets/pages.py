"""Pages of examples for the tests of widgets."""

from dataclasses import replace

import numpy as np

from claf_tui.state.album import Page, fates_of
from tests.tui.scripted_examples import clean_examples, probed_examples


def page_of(
    strengths: tuple[float, ...] = (1.0, 0.7, 0.4, 0.25),
    number: int | None = None,
    names: tuple[str, ...] = ("disc", "ring", "square"),
    num_pictures: int = 8,
    side: tuple[int, int] = (32, 32),
) -> Page:
    """A page as `Album` makes it, of probes that an attack of such strengths was made at."""
    clean = clean_examples(num_pictures, side, len(names))
    probes = [
        probed_examples(clean, 100 * (index + 1), strength, 5 * (index + 1)) for index, strength in enumerate(strengths)
    ]
    number = len(probes) - 1 if number is None else number
    history = np.stack([fates_of(clean, probed) for probed in probes], axis=1)
    return Page(clean, probes[number], number, len(probes), probes[-1], probes[0], history, number, names)


def with_change(page: Page, levels: int) -> Page:
    """The same page with pictures that an attack moved by so many levels."""
    moved = (page.clean.pictures.astype(int) + levels).clip(0, 255).astype(np.uint8)
    probed = replace(page.probed, pictures=moved)
    return replace(page, probed=probed, newest=probed)
