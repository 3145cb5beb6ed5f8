"""A robustness card for people: card.md. No torch."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from claf_engine.evaluation.detection_text import detection_sentences

UNKNOWN = "–"
GLYPHS = {"passes": "✔", "warns": "!", "fails": "✘", "not-run": "○"}
NO_BALL = (
    "Attacked in the released code's space: normalised values clamped to [0, 1]. The figures are **not** accuracy in "
    "an epsilon-ball."
)
UPPER_BOUND = "An attack gives an upper bound: a stronger one can only lower it."
SETTINGS = (
    ("run", "run"),
    ("method", "method"),
    ("checkpoint", "checkpoint"),
    ("classifier", "classifier"),
    ("data", "data"),
    ("seed", "seed"),
    ("images at a time", "batch_size"),
    ("device", "device"),
    ("budget", "budget"),
    ("weights are", "weights"),
    ("weights (SHA-256)", "weights_sha256"),
    ("configuration (SHA-256)", "config_sha256"),
    ("edited while it trained", "edited"),
    ("date", "date"),
    ("command", "command"),
)


def as_markdown(card: Mapping[str, Any]) -> str:
    """A card as a page: the verdict, the worst case, the diagnostics, every attack, and how to repeat it."""
    worst = card["worst_case"]
    parts = [f"# Robustness card: {plain_text(card['run'])}, {plain_text(card['classifier'])} classifier", ""]
    parts += [f"**{_headline(card)}**", "", worst_sentence(card), ""]
    parts += [union_sentence(card["union"]), ""] if "union" in card else []
    parts += [] if worst["is_epsilon_ball"] else [NO_BALL, ""]
    parts += [f"**{plain_text(worst['notice'])}**", ""] if worst.get("notice") else []
    parts += [UPPER_BOUND, "", "## Diagnostics", "", *_diagnostics(card["diagnostics"])]
    parts += ["", "## Attacks", "", *_attacks(card["attacks"])]
    if isinstance(card.get("detector"), Mapping):
        sentences = detection_sentences(card["detector"])
        parts += ["", "## Detector", "", *(f"- {plain_text(sentence)}" for sentence in sentences)]
    parts += ["", "## How to repeat it", ""]
    parts += [f"- {title}: {plain_text(card[key])}" for title, key in SETTINGS if card.get(key) not in {None, ""}]
    parts += [f"- versions: {plain_text(', '.join(f'{name} {version}' for name, version in card['versions'].items()))}"]
    parts += ["", *(f"- {plain_text(notice)}" for notice in card["notices"])] if card["notices"] else []
    return "\n".join([*parts, ""])


def worst_sentence(card: Mapping[str, Any]) -> str:
    """The figure that counts with its interval, in one sentence."""
    worst, natural = card["worst_case"], card["natural"]
    what = "worst case per example over" if worst["is_per_example"] else "lowest figure of"
    how_many = f"{worst['num_attacks']} attack{'' if worst['num_attacks'] == 1 else 's'}"
    how_many += ", any point of which decides," if worst.get("decides") == "any" else ""
    return (
        f"Robust accuracy at {worst['epsilon']} ({worst['norm']}, {worst['space']} space): {_percent(worst)}, {what} "
        f"{how_many} on {card['num_examples']} test images; natural accuracy {_percent(natural)}."
    )


def union_sentence(union: Mapping[str, Any]) -> str:
    """The worst case over several balls with its interval, in one sentence."""
    balls = ", ".join(plain_text(f"{ball['norm']} {ball['epsilon']}") for ball in union["balls"])
    share = _percent({"accuracy": union["robust_accuracy"], "interval": union["interval"]})
    return f"Worst case per example over all of {balls}: {share}."


def tally(diagnostics: Iterable[Mapping[str, Any]]) -> str:
    """How many diagnostics ended how, and which were not run: "12 pass, 1 fails, 2 not run (square, transfer)"."""
    names: dict[str, list[str]] = {}
    for item in diagnostics:
        names.setdefault(str(item["verdict"]), []).append(str(item["name"]))
    shown = [f"{len(names[verdict])} {verdict}" for verdict in ("passes", "warns", "fails") if verdict in names]
    if skipped := names.get("not-run"):
        shown.append(f"{len(skipped)} not run ({', '.join(skipped)})")
    return ", ".join(shown)


def _headline(card: Mapping[str, Any]) -> str:
    if not card["diagnostics"]:
        return "Evaluated; no diagnostics were run: `claf-tui audit` runs them."
    return f"Audit {card['verdict']}: {tally(card['diagnostics'])}."


def _diagnostics(diagnostics: Sequence[Mapping[str, Any]]) -> list[str]:
    if not diagnostics:
        return ["None were run."]
    rows = [
        [
            f"{GLYPHS.get(item['verdict'], '')} {item['verdict']}",
            f"{plain_text(item['title'])} (`{plain_text(item['name'])}`)",
            plain_text(item["figure"]),
            plain_text(item["threshold"]),
            plain_text(item["source"]),
        ]
        for item in diagnostics
    ]
    explained = [f"- `{item['name']}`: {plain_text(item['meaning'])}" for item in diagnostics if _is_alarm(item)]
    table = _table(["verdict", "what must hold", "figure", "threshold", "source"], rows)
    return [*table, "", "What does not pass means:", "", *explained] if explained else table


def _is_alarm(diagnostic: Mapping[str, Any]) -> bool:
    return diagnostic["verdict"] in {"warns", "fails"}


def _attacks(attacks: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        [
            plain_text(item["label"]),
            *(plain_text(item[key]) for key in ("space", "epsilon", "steps", "step_size", "restarts", "precision")),
            f"{100 * item['robust_accuracy']:.1f}{' !' if item.get('notice') else ''}",
            f"{_levels(item['largest_distance'])}, mean {_levels(item['mean_distance'])}",
            "yes" if item["counts"] else "no",
        ]
        for item in attacks
    ]
    heads = ["attack", "space", "epsilon", "steps", "step size", "restarts", "precision", "accuracy (%)", "moved"]
    notices = dict.fromkeys(str(item["notice"]) for item in attacks if item.get("notice"))
    told = [f"- ! {plain_text(notice)}" for notice in notices]
    return [*_table([*heads, "in the worst case"], rows), *([""] if told else []), *told]


def _percent(figure: Mapping[str, Any]) -> str:
    low, high = figure["interval"]
    return f"{100 * figure['accuracy']:.1f} % (95 % interval {100 * low:.1f} to {100 * high:.1f})"


def _levels(distance: float | None) -> str:
    return UNKNOWN if distance is None else f"{255 * distance:.1f}/255"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def plain_text(value: object) -> str:
    """Foreign text as one cell: no pipes, no markup, no line breaks."""
    text = UNKNOWN if value is None else str(value)
    return "".join(char if char.isprintable() and char not in "|<>`" else "\ufffd" for char in text)[:400]
