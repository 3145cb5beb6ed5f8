"""The table of related systems: its rows and columns, and how it fills."""

from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.events.control import Control
from claf_engine.reproduce.plan import ReproductionRequest, configs_of, table_of
from claf_engine.reproduce.related import ADAPTIVE, OBLIVIOUS, RELATED, WORST
from claf_engine.reproduce.rows import columns_of
from claf_engine.reproduce.runner import reproduce
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs.foreign import read_object
from claf_engine.terms.errors import ConfigError
from tests.engine.reproduce.conftest import request_of

QUICK = (OBLIVIOUS, replace(ADAPTIVE, steps=5, restarts=2), WORST)
KEPT = ("Natural", "Squeezing, 4 bits", "AT")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three rows of the table, filled once: the folder that it was written to."""
    from tests.engine.reproduce.conftest import use_tiny_scale

    root = tmp_path_factory.mktemp("related")
    with pytest.MonkeyPatch.context() as monkeypatch:
        use_tiny_scale(monkeypatch)
        rows = tuple(row for row in RELATED.rows if row.label in KEPT)
        monkeypatch.setitem(TABLES, "related", replace(RELATED, columns=QUICK, rows=rows))
        request = request_of(root, "related")
        *_, last = (event for event in reproduce(request, Control()) if isinstance(event, ev.ReproductionChanged))
    assert [row.status for row in last.rows] == ["finished", "reused", "finished"]
    return request.directory


def test_every_row_is_measured_naturally_obliviously_adaptively_and_in_the_worst_case() -> None:
    titles = [column.title for column in columns_of(RELATED, "pixel", 20)]
    assert titles == ["oblivious at 8/255", "adaptive at 8/255", "worst case at 8/255", "AutoAttack at 8/255"]


def test_the_adaptive_attacker_has_many_crossing_steps_and_starts_and_any_point_decides() -> None:
    adaptive = RELATED.columns[1]
    assert (adaptive.steps, adaptive.restarts, adaptive.decides, adaptive.step_size) == (100, 5, "any", None)


def test_systems_share_the_network_that_they_stand_before(tmp_path: Path) -> None:
    configs = configs_of(ReproductionRequest("related", tmp_path, "tiny"))
    natural, *squeezed = configs[:3]
    assert squeezed == [natural, natural]
    assert {row.system for row in RELATED.rows[:3]} == {"", "bit-depth:4", "median:2"}


def test_another_space_than_pixels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="table related is of the pixel ball alone; leave it out"):
        table_of(ReproductionRequest("related", tmp_path, "tiny", "released-code"))


def test_a_scale_that_lacks_a_recipe_names_those_that_have_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="scale small has no settings for recipe fgsm; use --scale paper or tiny"):
        configs_of(ReproductionRequest("related", tmp_path, "small"))


def test_equal_compute_scales_the_epochs_of_every_row(tmp_path: Path) -> None:
    configs = configs_of(ReproductionRequest("related", tmp_path, "tiny", compute="equal"))
    assert {config.method: config.supervised.epochs for config in configs if config.method in {"natural", "fgsm"}} == {
        "natural": 40,
        "fgsm": 24,
    }


def test_nothing_stands_in_the_worst_case_that_an_attacker_broke(filled: Path) -> None:
    for row in read_object(filled / "reproduction.json", 10**7)["rows"]:
        oblivious, adaptive, worst = (figure["robust_accuracy"] for figure in row["robust"])
        assert worst <= min(oblivious, adaptive, row["natural_accuracy"])


def test_a_system_says_what_it_is_and_what_each_attacker_knew(filled: Path) -> None:
    rows = read_object(filled / "reproduction.json", 10**7)["rows"]
    assert [row["system"] for row in rows] == ["none", "bit-depth:4", "none"]
    assert [figure["knowledge"] for figure in rows[1]["robust"]] == ["oblivious", "adaptive", "adaptive"]
    assert [figure["defence"] for figure in rows[1]["robust"]] == ["bit-depth:4"] * 3
    assert rows[0]["runs"][0]["weights_sha256"] == rows[1]["runs"][0]["weights_sha256"], "one network for both"


def test_the_report_has_no_columns_of_a_paper_that_has_no_such_figures(filled: Path) -> None:
    text = (filled / "reproduction.md").read_text()
    assert "| row | natural | oblivious at 8/255 | adaptive at 8/255 | worst case at 8/255 |" in text
    assert "paper's figures" not in text
    assert "all attacks at 8/255, pixel, bit-depth:4 (adaptive)" in text
    assert "Oblivious: PGD-10 of 2/255" in text


def test_the_chart_has_a_bar_for_each_of_the_four(filled: Path) -> None:
    chart = (filled / "reproduction.svg").read_text()
    for title in ("natural", "oblivious at 8/255", "adaptive at 8/255", "worst case at 8/255"):
        assert chart.count(f"<title>{title}: ") == len(KEPT)
    assert ">paper<" not in chart


def test_what_was_measured_is_not_measured_again(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.engine.reproduce.conftest import use_tiny_scale

    use_tiny_scale(monkeypatch)
    monkeypatch.setitem(TABLES, "related", replace(RELATED, columns=QUICK, rows=RELATED.rows[:2]))
    monkeypatch.setattr("claf_engine.reproduce.measuring.attacked_steps", None)
    request = request_of(filled.parent.parent, "related")
    *_, last = (event for event in reproduce(request, Control()) if isinstance(event, ev.ReproductionChanged))
    assert [row.status for row in last.rows] == ["reused", "reused"]
