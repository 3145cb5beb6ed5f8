"""What `claf-tui eval` shows a person: how the figures came about, the figures, and what they do not mean. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from claf_engine.evaluation.detection_text import detection_sentences
from claf_tui.words import figures
from claf_tui.words.attack_words import (
    ANY,
    ANY_POINT,
    LAST,
    LINF,
    NO_BALL,
    PIXEL,
    UNION,
    deciding_text,
    notice_of,
    radius_text,
)
from claf_tui.words.safe_text import safe

Figure = Mapping[str, Any]
"""One robust figure as a JSON object."""

NAMES = {"autoattack": "AutoAttack"}
HEADINGS = {"step_size": "step size", "knowledge": "attacker"}
SETTINGS = ("attack", "knowledge", "norm", "space", "steps", "step_size", "restarts", "seed", "precision")
"""What tells figures apart besides the radius: a column each where it differs, else named once above the table."""
ATTACKERS = (
    "natural accuracy is with the defence; an oblivious attack does not know of it, an adaptive one climbs through it "
    "as far as it can; the lower figure counts"
)
ANY_DECIDES = f"{ANY_POINT}: broken by the first misclassified point; most papers judge the last alone, which is weaker"
ADAPTIVE_ONLY = "natural accuracy is with the defence; AutoAttack crafts and judges with one model, so it is adaptive"


WATCHED = (
    "natural accuracy is of images that are classified rightly and not rejected; under attack those count for which "
    "the attacker found no image that fools the classifier and is not rejected; the oblivious one does not know of the "
    "detector, the adaptive one keeps it quiet; the lower figure counts"
)


def evaluation_tables(record: Mapping[str, Any]) -> list[RenderableType]:
    """An evaluation's record: what a reader needs to repeat it, the figures, and sentences of what they are not.

    Raises:
        CurveError: the record has a curve that cannot be read.
    """
    robust = record["robust"]
    sentences = [Text(sentence, style="yellow") for sentence in no_ball_sentences(robust)]
    guards = [WATCHED] if "detector" in record else _defence_sentences(robust)
    sentences += [Text(sentence, style="dim") for sentence in (*_point_sentences(robust), *guards)]
    if "curve" in record:
        from claf_tui.reports.curve import curve_tables  # it draws, with numpy, which a list of runs does not wait for

        return [_facts(record), *curve_tables(record), *sentences]
    sentences += [Text(f"detector: {safe(text, 400)}") for text in detector_sentences(record)]
    sentences += [Text(sentence) for sentence in (*union_sentences(record), *class_sentences(record))]
    return [_facts(record), _accuracies(record), *sentences]


def class_sentences(record: Mapping[str, Any]) -> list[str]:
    """The worst class of each accuracy, in one line; nothing where classes were not told apart."""
    classes = [item for item in record.get("classes") or () if item["num_examples"]]
    if not classes:
        return []
    told = [("natural", [item["natural_accuracy"] for item in classes])]
    for number, item in enumerate(record["robust"]):
        told.append((radius_of(item), [each["robust_accuracy"][number] for each in classes]))
    worst = [
        f"{name} {figures.percent(min(shares))} ({safe(classes[shares.index(min(shares))]['name'], 20)})"
        for name, shares in told
    ]
    return [f"worst class: {', '.join(worst)}; --json has all of them"]


def detector_sentences(record: Mapping[str, Any]) -> list[str]:
    """What the detector beside the classifier did; nothing where there was none."""
    detector = record.get("detector")
    return detection_sentences(detector) if isinstance(detector, Mapping) else []


def no_ball_sentences(robust: Iterable[Figure]) -> list[str]:
    """Say of figures that are not accuracy in an epsilon-ball how far images were moved; nothing where all are."""
    outside = [item for item in robust if item.get("space", PIXEL) != PIXEL]
    if not outside:
        return []
    sentence = f"{NO_BALL}: not accuracy in an epsilon-ball; {safe(outside[0]['space'], 20)} space clamps images"
    largest = [item["largest_distance"] for item in outside if _is_number(item.get("largest_distance"))]
    means = [item["mean_distance"] for item in outside if _is_number(item.get("mean_distance"))]
    if largest:
        sentence += f" and moved them up to {figures.levels(max(largest))}"
    if means:
        sentence += f", {figures.levels(sum(means) / len(means))} on average"
    return [sentence]


def radius_of(item: Figure) -> str:
    """A figure's radius with its norm, and with marks where there is no ball or the figure cannot be right."""
    norm, space, decides = item.get("norm", LINF), item.get("space", PIXEL), item.get("decides", LAST)
    return radius_text(item["epsilon"], norm, space, decides, notice_of(item))


def new_table(*headings: str, show_header: bool = True) -> Table:
    """A table in the style of all of ours, without rows."""
    table = Table(box=SIMPLE_HEAD, show_header=show_header, pad_edge=False, caption_justify="left")
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def cells_of(*values: object) -> list[str]:
    """Foreign values as clean text for a table."""
    return [safe(value, 200) for value in values]


def _facts(record: Mapping[str, Any]) -> Table:
    """How the figures came about, as far as it is the same for all of them."""
    robust = record["robust"]
    shared = {key: value for key in SETTINGS if (value := _shared(robust, key)) is not None}
    name = str(shared.get("attack", ""))
    settings = [f"{HEADINGS.get(key, key)} {safe(shared[key], 20)}" for key in SETTINGS[4:8] if key in shared]
    space = [safe(shared[key], 20) for key in ("space", "norm") if key in shared]
    images = f"{figures.count(record['num_examples'])} test images" if _is_number(record.get("num_examples")) else ""
    defence = [safe(value, 40) for value in (record.get("defence", "none"),) if value != "none"]
    rows = {
        "checkpoint": safe(record.get("checkpoint"), 400),
        "classifier": safe(record.get("classifier", figures.UNKNOWN)),
        "weights are": safe(record.get("weights", ""), 40),
        "weights_sha256": safe(record.get("weights_sha256"), 64),
        "measured on": _listed(record.get("data"), images, shared.get("precision"), record.get("device")),
        "attack": _listed(NAMES.get(name, safe(name, 20).upper()), *settings),
        "crafted on": _crafted(robust),
        "decides": ", ".join(dict.fromkeys(deciding_text(item.get("decides", LAST)) for item in robust)),
        "space": _listed(*space),
        "defence": _listed(*defence, shared.get("knowledge") if defence else None),
        "standing": safe(record.get("audit", "unaudited"), 20),
    }
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in rows.items():
        if text:
            table.add_row(label, Text(text))
    return table


def _accuracies(record: Mapping[str, Any]) -> Table:
    """Accuracy at each radius, what differs between the attacks, and how far they moved images."""
    robust = record["robust"]
    differing = [key for key in SETTINGS if any(key in item for item in robust) and _shared(robust, key) is None]
    if all(item.get("step_size") == item["epsilon"] for item in robust):
        differing = [key for key in differing if key != "step_size"]
    is_measured = any(_is_number(item.get("largest_distance")) for item in robust)
    has_ball = all(item.get("space", PIXEL) == PIXEL for item in robust)
    distances = ["largest_distance", *([] if has_ball else ["mean_distance"])] if is_measured else []
    table = new_table("epsilon")
    table.add_column("accuracy", justify="right", style="bold")
    for key in differing:
        table.add_column(HEADINGS.get(key, key), overflow="fold")
    for heading, _ in zip(("moved" if has_ball else "moved up to", "mean"), distances, strict=False):
        table.add_column(heading, justify="right")
    table.add_row("natural", figures.percent(record["natural_accuracy"]))
    for item in robust:
        table.add_row(
            radius_of(item),
            figures.percent(item["robust_accuracy"]),
            *cells_of(*(item.get(key, "") for key in differing)),
            *(figures.levels(item[key]) if _is_number(item.get(key)) else figures.UNKNOWN for key in distances),
        )
    if "union" in record:
        table.add_row(UNION, figures.percent(record["union"]["robust_accuracy"]))
    return table


def union_sentences(record: Mapping[str, Any]) -> list[str]:
    """The worst case over several balls with its interval; nothing where there is one norm."""
    if "union" not in record:
        return []
    low, high = record["union"]["interval"]
    return [
        f"{UNION}: worst case per example, {figures.percent(record['union']['robust_accuracy'])} with a 95 % interval "
        f"from {figures.percent(low)} to {figures.percent(high)}"
    ]


def _point_sentences(robust: Sequence[Figure]) -> list[str]:
    return [ANY_DECIDES] if any(item.get("decides") == ANY for item in robust) else []


def _defence_sentences(robust: Sequence[Figure]) -> list[str]:
    attackers = {item.get("knowledge") for item in robust if item.get("defence", "none") != "none"}
    if not attackers:
        return []
    return [ATTACKERS if "oblivious" in attackers else ADAPTIVE_ONLY]


def _crafted(robust: Sequence[Figure]) -> str:
    """What one perturbation for all images was crafted on; empty where each image had its own."""
    count = _shared(robust, "num_crafted")
    return f"{figures.count(count)} training images, one perturbation for all test images" if _is_number(count) else ""


def _shared(robust: Sequence[Figure], key: str) -> Any:
    """The value that all figures have, or None."""
    values = {str(item.get(key)) for item in robust}
    return robust[0].get(key) if len(values) == 1 else None


def _listed(*words: object) -> str:
    return ", ".join(safe(word, 200) for word in words if word)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
