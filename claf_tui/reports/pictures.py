"""Images as PNG data that lies in a page itself. Pure."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from claf_tui.reports.html import Markup, tag
from claf_tui.state.album import BROKEN, SURVIVES, Page
from claf_tui.words import figures

Levels = NDArray[np.uint8]

MAX_SHOWN = 12
MIDDLE = 128
"""The grey that stands for no change."""
STRONGEST = 16
FATES = {SURVIVES: ("✔", "good", "right even when attacked"), BROKEN: ("✘", "bad", "broken by the attack")}
WRONG = ("·", "dim", "wrong without an attack")


@dataclass(frozen=True)
class Amplified:
    """A change between images, made visible: grey where nothing changed; `factor` is how much stronger it is shown."""

    pictures: Levels
    factor: int


def amplified(clean: Levels, attacked: Levels) -> Amplified:
    """The change of images (P, C, H, W), so many times as strong as fits into 256 levels, up to 16 times."""
    change = attacked.astype(np.int16) - clean.astype(np.int16)
    largest = int(np.abs(change).max(initial=0))
    factor = max(1, min(STRONGEST, (MIDDLE - 1) // largest)) if largest else 1
    return Amplified((MIDDLE + factor * change).clip(0, 255).astype(np.uint8), factor)


def picture(levels: Levels, told: str) -> Markup:
    """One image (C, H, W) of levels 0 to 255 as an element of a page; `told` is read out to who cannot see it."""
    height, width = levels.shape[1:]
    image = Image.fromarray(levels[0] if levels.shape[0] == 1 else np.ascontiguousarray(levels.transpose(1, 2, 0)))
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return tag(
        "img", src=Markup(f"data:image/png;base64,{data}"), alt=told, width=width, height=height, class_="pixels"
    )


def example_grid(page: Page) -> Markup:
    """Clean image, change and attacked image of a probe, each with what the classifier says of it."""
    count = min(MAX_SHOWN, len(page.clean.pictures))
    changes = amplified(page.clean.pictures[:count], page.probed.pictures[:count])
    heads = ("", *(tag("b", name) for name in ("clean", f"change × {changes.factor}", "attacked")))
    columns = [tag("div", *(tag("div", head) for head in heads), class_="example heads")]
    for number in range(count):
        label = page.name(int(page.clean.labels[number]))
        glyph, tone, told = FATES.get(int(page.fates[number]), WRONG)
        before, after = page.probed.before, page.probed.after
        said = [
            f"{page.name(int(answers.classes[number]))} {figures.percent(float(answers.confidences[number]), 0)}"
            for answers in (before, after)
        ]
        columns.append(
            tag(
                "div",
                tag("div", tag("span", glyph, class_=tone, title=told), f" {label}"),
                tag("div", picture(page.clean.pictures[number], f"{label}, clean"), tag("small", said[0])),
                tag("div", picture(changes.pictures[number], f"change of {label}")),
                tag("div", picture(page.probed.pictures[number], f"{label}, attacked"), tag("small", said[1])),
                class_="example",
            )
        )
    return tag("div", *columns, class_="examples")
