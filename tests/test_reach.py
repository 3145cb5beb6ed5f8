"""No figure without its reach: wherever one is shown or kept whose steps cannot cross its ball, it says so.

Each surface is asked twice: for PGD-10 with 2/255 at 16/255, which goes 20/255 of a ball 32/255 wide, and for the
twenty steps of the same length that cross it.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from claf_engine import events as ev
from claf_engine.accuracy.curve_steps import curve_steps
from claf_engine.accuracy.suite import AttackSuite, Distances, figure_of
from claf_engine.audits.bench import Outcome, Recipe
from claf_engine.audits.card import _attack
from claf_engine.data import Split
from claf_engine.evaluation.card_text import as_markdown
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.evaluation.export_config import _robustness
from claf_engine.evaluation.hub_readme import _index
from claf_engine.evaluation.measured_card import evaluation_card
from claf_engine.events import records
from claf_engine.events.ticks import exhaust
from claf_engine.runs import RunSummary
from claf_engine.runs.header import CheckpointInfo
from claf_engine.training.sentinels import _ball
from claf_tui.reports import runs as reports
from claf_tui.reports.evaluation import evaluation_tables
from claf_tui.reports.printers import PlainPrinter
from claf_tui.screens.checkpoints.actions import figure_lines
from claf_tui.screens.checkpoints.columns import robust_heading
from claf_tui.screens.checkpoints.questions import list_title
from claf_tui.state import RunState, reduce
from claf_tui.state.outcome import probed_radius
from claf_tui.widgets import card_sections
from claf_tui.widgets.curves import probe_lines
from claf_tui.widgets.key_figures import accuracy_line
from claf_tui.widgets.outcome import outcome_lines
from claf_tui.widgets.robustness_curve import curve_of
from claf_tui.widgets.tables import probe_table, probe_title
from tests.engine.tiny import FP32
from tests.tui.reports.test_runs import text_of

EPSILON, STEP = Fraction(16, 255), Fraction(2, 255)
SHORT, CROSSING = 10, 20
SENTENCE, MARK = "10 steps of 2/255 do not span the ball", "16/255 !"
SPLIT = Split(torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3)
ABOUT = {"weights_sha256": "0" * 64, "classifier": "attack", "data": "tiny", "run": "r", "method": "at"}


def figure(steps: int) -> ev.RobustFigure:
    return figure_of(AttackSuite((EPSILON,), steps, STEP), EPSILON, 0.5, SPLIT, Distances(16 / 255, 16 / 255, 1))


def probe(steps: int) -> ev.ProbeFinished:
    return ev.ProbeFinished(4, 0, 1, "attack", 0.9, (figure(steps),), 1.0)


def finished(steps: int) -> ev.RunFinished:
    result = ev.TestResult("best", "attack", 0.9, (figure(steps),), selected=True)
    return ev.RunFinished("finished", 4, 1.0, (result,))


def folded(*events: ev.Event) -> RunState:
    state = RunState()
    for event in events:
        state = reduce(state, event)
    return state


def plain_lines(event: ev.Event) -> str:
    lines: list[str] = []
    PlainPrinter(lines.append)(event)
    return "\n".join(lines)


def sentinels(steps: int) -> ev.SentinelsChecked:
    shares = {"one_step": 0.5, "multi_step": 0.5, "cross_entropy": 0.5, "margin": 0.5}
    about: dict[str, Any] = {"natural": 0.9, "radius_zero": 0.9, "largest_distance": 0.0, "num_examples": 6}
    return ev.SentinelsChecked(4, 1, "attack", "16/255", **about, **shares, notice=figure(steps).notice)


def run(steps: int, *, is_old: bool = False) -> RunSummary:
    stored = asdict(figure(steps))
    if is_old:
        del stored["notice"]
    result = {"natural": 0.9, "robust": [stored], "selected": True}
    return RunSummary("20260101-000000-r", Path("/runs/r"), "finished", {"results": [result]})


def checkpoint(steps: int) -> CheckpointInfo:
    probed = {"epsilons": ["16/255"], "steps": steps, "step_size": "2/255", "norm": "linf", "space": "pixel"}
    metrics = {"validation_robust": 0.5}
    return CheckpointInfo(
        Path("x"), "r", 4, "p", 1, metrics, "attack", "0" * 64, 9, (), {"claf.config": {"probe": probed}}
    )


class Entry:
    """A file in the list of checkpoints."""

    def __init__(self, steps: int) -> None:
        self.path, self.info, self.error, self.kept_as = Path("x"), checkpoint(steps), "", ()


def evaluation(steps: int) -> dict[str, Any]:
    robust = [figure_record(figure(steps))]
    return {"natural_accuracy": 0.9, "robust": robust, "num_examples": 6, "checkpoint": "x"}


def curve(steps: int) -> dict[str, Any]:
    model = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    suite = AttackSuite((Fraction(0), Fraction(8, 255), EPSILON), steps, STEP)
    found = exhaust(curve_steps(model, SPLIT, ("a", "b", "c"), suite, FP32))
    assert found.curve is not None
    robust = [figure_record(item) for item in found.robust]
    return {**evaluation(steps), "robust": robust, "curve": json.loads(json.dumps(found.curve.to_record()))}


def card(steps: int) -> dict[str, Any]:
    return evaluation_card(0.9, [figure_record(figure(steps))], 6, ABOUT)


def audited(steps: int) -> dict[str, Any]:
    recipe = Recipe("pgd", "16/255", steps=steps, step_size="2/255", restarts=1)
    survives = torch.ones(6, dtype=torch.bool)
    return _attack(Outcome("PGD", survives, is_in_ball=True, largest_distance=0.1, mean_distance=0.1, recipe=recipe))


def joined(lines: Any) -> str:
    return " ".join(" ".join(line.plain for line in lines).split())


SENTENCES: dict[str, Callable[[int], object]] = {
    "probe event": lambda steps: records.to_record(probe(steps)),
    "end event": lambda steps: records.to_record(finished(steps)),
    "sentinels event": lambda steps: records.to_record(sentinels(steps)),
    "probe in lines": lambda steps: plain_lines(probe(steps)),
    "end in lines": lambda steps: plain_lines(finished(steps)),
    "report of a run": lambda steps: text_of(*reports.run_report(finished(steps), Path("/runs/r"))),
    "title of the probes": lambda steps: probe_title(probe(steps)),
    "probe panel": lambda steps: joined(probe_table(probe(steps), 200)),
    "end panel": lambda steps: joined(outcome_lines(folded(finished(steps)), 200)),
    "runs --json": lambda steps: reports.run_records([run(steps)]),
    "runs --json of an earlier run": lambda steps: reports.run_records([run(steps, is_old=True)]),
    "checkpoint show --json": lambda steps: reports.checkpoint_record(checkpoint(steps), ()),
    "checkpoint show": lambda steps: text_of(*reports.checkpoint_tables(checkpoint(steps), ())),
    "list of checkpoints": lambda steps: list_title([Entry(steps)]).plain,
    "eval --json": evaluation,
    "evaluation in the browser": lambda steps: joined(figure_lines(json.dumps(evaluation(steps)), 200)),
    "curve --json": lambda steps: curve(steps)["curve"]["points"][2],
    "card.json": lambda steps: card(steps)["worst_case"],
    "attack in card.json": lambda steps: card(steps)["attacks"],
    "attack in an audit's card.json": audited,
    "card.md": lambda steps: as_markdown({**card(steps), "notices": []}).split("## How to repeat it")[0],
    "card on the screen": lambda steps: joined(card_sections.head_lines(card(steps), 200)),
    "attacks on the screen": lambda steps: joined(card_sections.attack_lines(card(steps), 200)),
    "page of a hub": lambda steps: _index({"run": "r"}, card(steps)),
    "config.json of a hub": lambda steps: _robustness(card(steps)),
}
MARKS: dict[str, Callable[[int], object]] = {
    "log": lambda steps: folded(probe(steps)).log[-1].text,
    "alert": lambda steps: _ball(AttackSuite((EPSILON,), steps, STEP), EPSILON),
    "log of the sentinels": lambda steps: folded(sentinels(steps)).log[-1].text,
    "key figures": lambda steps: accuracy_line(folded(probe(steps)), 200).plain,
    "chart of probes": lambda steps: [line.name for line in probe_lines(folded(probe(steps)))],
    "table of results": lambda steps: text_of(reports.results_table(finished(steps).results)),
    "end panel": lambda steps: joined(outcome_lines(folded(finished(steps)), 200)),
    "runs": lambda steps: text_of(reports.runs_table([run(steps)])),
    "runs, an earlier one": lambda steps: text_of(reports.runs_table([run(steps, is_old=True)])),
    "eval": lambda steps: text_of(*evaluation_tables(evaluation(steps))),
    "eval of a curve": lambda steps: text_of(*evaluation_tables(curve(steps))),
    "chart of a curve": lambda steps: curve_of(curve(steps)),
    "best epoch": lambda steps: probed_radius(checkpoint(steps)),
    "heading of checkpoints": lambda steps: robust_heading([Entry(steps)]),
    "card on the screen": lambda steps: joined(card_sections.head_lines(card(steps), 200)),
}


@pytest.mark.parametrize("surface", SENTENCES)
def test_the_reason_stands_with_the_figure_and_only_where_there_is_one(surface: str) -> None:
    assert SENTENCE in str(SENTENCES[surface](SHORT))
    assert "do not span" not in str(SENTENCES[surface](CROSSING))


@pytest.mark.parametrize("surface", MARKS)
def test_the_radius_is_marked_where_the_figure_cannot_be_right_and_only_there(surface: str) -> None:
    assert MARK in str(MARKS[surface](SHORT))
    assert "!" not in str(MARKS[surface](CROSSING))


def test_a_worst_case_over_an_attack_that_crosses_has_nothing_against_it() -> None:
    both = [figure_record(figure(SHORT)), figure_record(replace(figure(CROSSING), accuracy=0.4))]
    made = evaluation_card(0.9, both, 6, ABOUT)
    assert (made["worst_case"]["accuracy"], made["worst_case"]["notice"]) == (0.4, "")
    assert [bool(item["notice"]) for item in made["attacks"]] == [True, False]
