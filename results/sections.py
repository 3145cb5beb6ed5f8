"""The sections of `docs/results.md`, each lines of Markdown made from the evidence."""

from collections.abc import Mapping

from claf_engine.reproduce.markdown import UNKNOWN, percent
from claf_engine.reproduce.tables import WITH_CONTRAST, WITHOUT_CONTRAST
from results import choose, held_out
from results.answers import answers
from results.charts import frontier
from results.evidence import ON_GPU, RECIPE, RELEASED, TABLE1, Evidence, Record, labels_of_runs, measured_rows, row_of
from results.markdown import listed, pending, prose, table
from results.pictures import CLAIM, COST, CURVES, DISSOCIATION, FIGURE1, costs, curve_points
from results.rows import effect_table, method_table, pair_table, tally_of_pairs

EQUAL = "--scale small --compute equal --data folder:PATH"
ONE_CORE = "--set runtime.threads=1 --set runtime.precision=bf16"
CURVE = "claf-tui eval RUN --eps 0:16/255:2/255 --json > RUNS/curves/RUN.json"
NO_BALL = (
    'Columns without "in pixels" are of no epsilon-ball: normalised values were clamped to [0, 1] '
    "([what that does](attacks.md#attack-spaces))."
)
REPRODUCE = "claf-tui reproduce"
NUM_TRAIN = 50_000
"""Images of CIFAR-10 that the paper trains on."""
DRAWN_AT = (0, 2, 4, 8, 12, 16)
"""Radii, in 255ths, of the table below the curves."""


def opening(evidence: Evidence) -> list[str]:
    """What was asked, and the answer."""
    asked = (
        "Does CLAF ([arXiv 2203.08959](https://arxiv.org/abs/2203.08959)) hold, and what beats it? Asked with this "
        "project's own `reproduce`, `eval` and `audit`, on CIFAR-10 (JPEG), a lossy copy: figures compare with each "
        "other, not with published ones. The answer:"
    )
    read = (
        "Figures are accuracy in percent on test images, ± half of the 95 % interval by the number of images; "
        "differences are in points, first minus second, with their 95 % interval. ≈ marks what is no more than noise."
    )
    numbered = [line for number, sentence in enumerate(answers(evidence), 1) for line in prose(sentence, f"{number}. ")]
    return ["# The evidence", "", *prose(asked), "", *numbered, "", *prose(read)]


def table1(evidence: Evidence) -> list[str]:
    """Table 1 in both spaces, its pairs, and Figure 1's twin."""
    lines = ["## Table 1, small", ""]
    for name, title, more in (
        (TABLE1, "### In the epsilon-ball", ""),
        (RELEASED, "### In the released code's space", " --space released-code"),
    ):
        found = _filled(evidence, name)
        lines += [title, ""]
        if name == RELEASED:
            lines += [
                'Columns without "in pixels" are of no epsilon-ball: normalised values were clamped to [0, 1]',
                "([what that does](attacks.md#attack-spaces)).",
                "",
            ]
        command = f"{REPRODUCE} table1 {EQUAL}{more}"
        lines += [*(method_table(found) if found else pending("no row of this table is finished", command)), ""]
    return [*lines, *_pairs(_filled(evidence, TABLE1)), *_picture(evidence, TABLE1, FIGURE1, "Table 1 as bars")]


def _pairs(found: Record | None) -> list[str]:
    lines = ["### Which differences are more than noise", ""]
    if found is None or not found["pairs"]:
        return [*lines, "Not run yet: pairs need two finished rows of the table above.", ""]
    return [*lines, tally_of_pairs(found), "", *pair_table(found), ""]


def curves(evidence: Evidence) -> list[str]:
    """Accuracy against epsilon."""
    lines = ["## Robustness curves", ""]
    if not evidence.curves:
        return [*lines, *pending("no curve is measured", CURVE)]
    labels, rows = labels_of_runs(evidence), []
    for run, record in evidence.curves.items():
        shares = {round(epsilon, 3): share for epsilon, share in curve_points(record)}
        told = [labels.get(run, UNKNOWN), run, str(record["num_examples"])]
        rows.append([*told, *(percent(shares.get(each)) for each in DRAWN_AT)])
    heads = ["row", "run", "images", *(f"{each}/255" for each in DRAWN_AT)]
    return [*lines, _image("robustness curves", CURVES), "", *table(heads, rows)]


def dissociation(evidence: Evidence) -> list[str]:
    """What an epoch of the encoder costs the attack classifier, and what retraining brings back."""
    lines = ["## Dissociation", ""]
    if not evidence.dissociation:
        return [*lines, *pending("no CLAF run is finished", f"{REPRODUCE} table1 {EQUAL}")]
    rows = [_dissociated(record) for record in evidence.dissociation.values()]
    heads = ["run", "passes of retraining", "retrained", "after the encoder's epoch, not retrained", "lost", "epochs"]
    told = (
        "The classifier that the attack goes through, on attacked validation images: just retrained, and once more "
        "when the encoder has trained on for an epoch without it. Means over epochs; what is lost is the dissociation."
    )
    return [
        *lines,
        *prose(told),
        "",
        _image("dissociation", DISSOCIATION),
        "",
        *table(heads, rows),
    ]


def _dissociated(record: Record) -> list[str]:
    told = record["dissociation"]
    fitted, moved = (sum(item[key] for item in told) / len(told) for key in ("fitted", "moved"))
    passes = f"{record['classifier_epochs']}, {record['classifier_start']}"
    return [record["run"], passes, percent(fitted), percent(moved), f"{100 * (fitted - moved):+.1f}", str(len(told))]


def released(evidence: Evidence) -> list[str]:
    """The released-code effect in one figure."""
    lines = ["## The released-code effect", ""]
    picture = _picture(evidence, RELEASED, CLAIM, "claimed, and kept in the ball")
    if not picture:
        command = f"{REPRODUCE} table1 {EQUAL} --space released-code"
        return [*lines, *pending("no row in the released code's space is finished", command)]
    return [
        *lines,
        "Networks that were trained in the released code's space, measured there and in the ball:",
        "",
        *picture,
    ]


def cost(evidence: Evidence) -> list[str]:
    """Cost against robustness."""
    lines, marks = ["## Cost against robustness", ""], costs(evidence)
    if not marks:
        return [*lines, *pending("no row of Table 1 is measured in the ball", f"{REPRODUCE} table1 {EQUAL}")]
    best = [mark.label for mark in frontier(marks)]
    rows = [
        [mark.label, f"{mark.cost:.4g}", percent(mark.share), "yes" if mark.label in best else ""] for mark in marks
    ]
    return [
        *lines,
        "A unit is a forward pass of the encoder; a backward pass to the images counts 1, a full one 2.",
        "",
        _image("cost against robustness", COST),
        "",
        *table(["row", "units an image", "kept", "on the frontier"], rows),
    ]


def ablations(evidence: Evidence) -> list[str]:
    """Tables 2 to 6."""
    asked = (
        "Does the sign of each effect reproduce? The first row of each table less the second; of Table 3, more steps "
        "less the fewest."
    )
    command = f"    {REPRODUCE} table2 {EQUAL} # likewise table3 to table6"
    return ["## Tables 2 to 6", "", *prose(asked), "", *effect_table(evidence), "", command]


def recipe(evidence: Evidence) -> list[str]:
    """The search, what was frozen, and the recipe with and without its contrastive term."""
    lines = ["## A recipe that is better", "", "### The search", ""]
    if evidence.search:
        candidates = [choose.Candidate(**record) for record in evidence.search]
        lines += [
            "Chosen by validation images alone, short runs of one seed:",
            "",
            *choose.as_table(candidates).splitlines(),
        ]
    else:
        lines += pending("no candidate has been compared", "python -m results.choose RUNS")
    lines += _held_out(evidence)
    lines += ["", "### The recipe against AT and TRADES, with its contrastive term and without", ""]
    found = _filled(evidence, RECIPE)
    if found is None:
        return [*lines, *pending("the recipe has no finished row", f"{REPRODUCE} robust {EQUAL} --seeds 3")]
    lines += [*method_table(found), "", *_frozen(evidence, found)]
    return [*lines, *([tally_of_pairs(found), "", *pair_table(found)] if found["pairs"] else [])]


def _held_out(evidence: Evidence) -> list[str]:
    """Candidates on more images than a probe has, beside the methods that they are to beat."""
    records = [held_out.HeldOut(**record) for record in evidence.held_out]
    if not records:
        return []
    told = (
        f"A thousand images tell apart only what differs by three points. So candidates were compared once more, in "
        f"pairs with {records[0].name}, on {len(records[0].survivors):,} images that no run was trained on "
        f"(`python -m results.held_out AT=RUN TRADES=RUN RUN...`): validation images and further training images."
    )
    return ["", *prose(told), "", *held_out.as_table(records).splitlines()]


def on_gpu(evidence: Evidence) -> list[str]:
    """The recipe and its baselines at full width."""
    lines, found = ["## ResNet-18 at full width, on a GPU", ""], _filled(evidence, ON_GPU)
    if found is None:
        return [*lines, *pending("no GPU was at hand", "results/on_gpu.sh DATA RUNS # ten minutes; again: it goes on")]
    told = f"On {found['machine']}, all rows in one go (`results/on_gpu.sh`)."
    return [*lines, *prose(told), "", *method_table(found), "", *([*pair_table(found), ""] if found["pairs"] else [])]


def _frozen(evidence: Evidence, found: Record) -> list[str]:
    """The settings in which our rows differ from AT's, as their runs keep them."""
    base, rows = _settings(evidence, row_of(found, "AT")), []
    for label in (WITHOUT_CONTRAST, WITH_CONTRAST):
        own = _settings(evidence, row_of(found, label))
        changes = [f"`{key} = {own[key]}`" for key in own if base and own[key] != base.get(key) and _tells(key)]
        rows += [f"- {label}: {', '.join(changes)}"] if changes else []
    return ["Frozen before any test image was asked, these settings differ from AT's:", "", *rows, ""] if rows else []


def _tells(key: str) -> bool:
    return not key.startswith(choose.APART)


def _settings(evidence: Evidence, row: Record | None) -> Mapping[str, object]:
    runs = [] if row is None else [seed["run"] for seed in row["runs"]]
    return next((evidence.settings[run] for run in runs if run in evidence.settings), {})


def limits(evidence: Evidence) -> list[str]:
    """What was shown, and what was not."""
    found = [each for each in evidence.tables.values() if measured_rows(each)]
    rows = [row for each in found for row in measured_rows(each)]
    seeds = listed([str(each) for each in sorted({len(row["runs"]) for row in rows})])
    seen = (
        f"{len(rows)} rows of {len(found)} tables have figures, each of {seeds} seed(s); {len(evidence.cards)} "
        "robustness cards lie in `results/cards`."
    )
    waiting = f"{len(evidence.unfinished)} run(s) wait in `results/unfinished` to go on elsewhere."
    items = (
        seen if rows else "No row is finished yet, so nothing is shown yet.",
        waiting if evidence.unfinished else "No run waits in `results/unfinished` to go on elsewhere.",
        "The network is small, the training images are fewer than the paper's and JPEG took something of them; whether "
        "the order holds for ResNet-18 on all of CIFAR-10 is not shown.",
        "An attack gives an upper bound. AutoAttack and the audit may both miss what a better one finds.",
        "Intervals of one seed count the choice of test images, not that of seeds; where there are several, the table "
        "gives their spread.",
        "Equal compute counts arithmetic. Few long epochs and many short ones cost the same here, and need not take "
        "the same time on another machine.",
    )
    heads = ["## What was shown, and what was not", ""]
    return [*heads, *(line for item in items for line in prose(item, "- "))]


def rerun(evidence: Evidence) -> list[str]:
    """The commands, and hours at the paper's scale."""
    return [
        "## How to run it again",
        "",
        "Here, each run on one core, resumable by the same command; then measured and collected:",
        "",
        f"    {REPRODUCE} table1 {EQUAL} {ONE_CORE}",
        f"    {REPRODUCE} table1 {EQUAL} {ONE_CORE} --space released-code",
        f"    {REPRODUCE} table2 {EQUAL} {ONE_CORE} # to table6",
        f"    {CURVE}",
        "    python -m results.collect RUNS && python -m results.page",
        "",
        "Unfinished runs go on elsewhere:",
        "",
        "    python -m results.collect RUNS --restore --data folder:PATH",
        "    claf-tui train --resume RUN",
        "",
        "### At the paper's scale, on a GPU",
        "",
        f"    {REPRODUCE} table1 --scale paper --seeds 3 --data cifar10",
        "",
        *_hours_table(evidence),
    ]


def _hours_table(evidence: Evidence) -> list[str]:
    """Estimated hours of each recipe at the paper's scale."""
    if not evidence.paper_units or not evidence.rates:
        return ["Not run yet: hours need `python -m results.collect RUNS` and a measured rate."]
    rate = evidence.rates[0]
    speed = rate["images_per_second"] * rate["units_per_image"]
    assumed = (
        f"Estimated, one seed, on one {rate['machine']}: units times {NUM_TRAIN:,} images, at {speed:,} units a "
        f"second, which is what {rate['what']} was measured at ({rate['images_per_second']:,} images a second of "
        f"{rate['units_per_image']} units; [where](performance.md#on-a-gpu)). It assumes that all of training runs "
        "at that rate, and counts no probe, no test attack and no audit, so it is the least. "
        "Nobody has made these runs yet."
    )
    units = {**evidence.paper_units, "all": sum(evidence.paper_units.values())}
    rows = [[name, f"{each:,.0f}", f"{each * NUM_TRAIN / speed / 3600:.2g}"] for name, each in units.items()]
    return [*prose(assumed), "", *table(["recipe", "units an image", "hours"], rows)]


def making(_: Evidence) -> list[str]:
    """How the page is made."""
    made = (
        "`python -m results.page` writes this page and its charts from the files below `results/` alone, and `--check` "
        "compares; the test `results/test_page` does so too. `python -m results.collect RUNS` brings the files up to "
        "date: `tables/` (what `reproduce` wrote), `cards/`, `configs/`, `curves/`, `dissociation/`, "
        "`paper_units.json` and `unfinished/`. `search.json` is of `python -m results.choose`, `held_out.json` of "
        "`python -m results.held_out`, and `rates.json` is copied by hand from "
        "[performance.md](performance.md#on-a-gpu). No file holds a path of the machine that made it."
    )
    return ["## How this page is made", "", *prose(made)]


SECTIONS = (opening, table1, curves, dissociation, released, cost, ablations, recipe, on_gpu, limits, rerun, making)


def _filled(evidence: Evidence, name: str) -> Record | None:
    """A table of which a row has figures."""
    found = evidence.tables.get(name)
    return found if found is not None and measured_rows(found) else None


def _picture(evidence: Evidence, table_name: str, picture: str, title: str) -> list[str]:
    return [_image(title, picture)] if _filled(evidence, table_name) else []


def _image(title: str, picture: str) -> str:
    return f"![{title}](results-{picture}.svg)"
