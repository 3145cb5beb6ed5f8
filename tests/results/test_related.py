"""The page of related systems, made of a file alone."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from claf_engine.reproduce.related import RELATED
from claf_engine.reproduce.systems import SYSTEMS
from results import collect, related
from results.writing import DOCS, RESULTS, stale

TITLES = ["oblivious at 8/255", "adaptive at 8/255", "worst case at 8/255", "AutoAttack at 8/255"]


def figure(share: float | None) -> dict[str, Any]:
    return {"robust_accuracy": share, "interval": None if share is None else [max(0.0, share - 0.04), share + 0.04]}


def row(label: str, natural: float | None, *shares: float, system: str = "none") -> dict[str, Any]:
    status = "waiting" if natural is None else "finished"
    robust = [figure(share) for share in (*shares, None)] if shares else [figure(None)] * 4
    told = {"label": label, "method": "natural", "system": system, "status": status, "audit": "fails", "runs": []}
    interval = None if natural is None else [natural - 0.03, natural + 0.03]
    return {
        **told,
        "natural_accuracy": natural,
        "natural_interval": interval,
        "robust": robust,
        "units_per_image": 30.0,
    }


def found() -> dict[str, Any]:
    rows = [
        row("Natural", 0.95, 0.1, 0.0, 0.0),
        row("Squeezing, 4 bits", 0.9, 0.6, 0.2, 0.2, system="bit-depth:4"),
        row("AT", 0.7, 0.45, 0.42, 0.42),
        row("CLAF", None),
    ]
    return {"table": "related", "columns": TITLES, "rows": rows, "pairs": [], "machine": "x86_64, 2 cores"}


def text_of(record: Mapping[str, Any] | None) -> str:
    return " ".join(related.rendered(record)[related.PAGE].split())


def test_the_committed_page_and_chart_are_those_of_the_committed_file() -> None:
    assert stale(related.rendered(related.read(RESULTS)), DOCS, related.CHART) == []


def test_without_a_file_the_page_says_not_run_yet_and_what_is_known_all_the_same() -> None:
    text = text_of(None)
    assert "Not run yet: no row of the table is finished." in text
    assert all(f"**{each.label}**" in text for each in RELATED.rows)
    assert related.CHART not in related.rendered(None)


@pytest.mark.parametrize(
    ("label", "outcome"), [("Natural", "broken"), ("Squeezing, 4 bits", "fell"), ("AT", "held"), ("CLAF", "unknown")]
)
def test_what_became_of_a_system_is_read_off_its_figures(label: str, outcome: str) -> None:
    [chosen] = [each for each in found()["rows"] if each["label"] == label]
    assert related.outcome_of(chosen) == outcome


def test_a_loss_that_the_intervals_do_not_bear_out_is_no_fall() -> None:
    lost = row("few images", 0.9, 0.5, 0.38, 0.38)
    assert related.outcome_of(lost) == "fell"
    wide = {**figure(0.38), "interval": [0.2, 0.6]}
    assert related.outcome_of({**lost, "robust": [lost["robust"][0], wide, wide]}) == "held"


def test_what_autoattack_alone_finds_on_its_few_images_decides_where_it_is_beyond_chance() -> None:
    seen = row("hidden gradient", 0.9, 0.4, 0.38, 0.38)
    assert related.outcome_of(seen) == "held"
    few = {"robust_accuracy": 0.0, "interval": [0.0, 0.16], "num_examples": 20}
    found_out = {**seen, "robust": [*seen["robust"][:3], few]}
    assert related.outcome_of(found_out) == "broken"
    by_chance = {**few, "robust_accuracy": 0.25, "interval": [0.1, 0.47]}
    assert related.outcome_of({**seen, "robust": [*seen["robust"][:3], by_chance]}) == "held"


def test_the_page_tells_every_figure_and_what_held() -> None:
    text = text_of(found())
    assert "| AT | 70.0 ± 3.0 | 45.0 ± 4.0 | 42.0 ± 4.0 | 42.0 ± 4.0 | – | fails | 30 |" in text
    held, fell, broken = (
        text.partition(f"## What {word}")[2].partition("##")[0] for word in ("held", "fell", "is broken")
    )
    assert "**AT**: 70.0 % naturally, 45.0 % for who does not know it" in held
    assert "**Squeezing, 4 bits**" in fell
    assert "**Natural**" in broken
    assert "Not run yet:" in text
    assert "CLAF" in text.partition("Not run yet:")[2]


def test_the_chart_shows_what_fell() -> None:
    chart = ElementTree.fromstring(related.rendered(found())[related.CHART])
    hints = [item.text for item in chart.iter("{http://www.w3.org/2000/svg}title")]
    assert "worst case at 8/255: 20.0 %" in hints
    assert not any("AutoAttack" in (hint or "") for hint in hints)


def test_what_stands_before_a_natural_network_has_a_section_and_a_word_on_what_is_known() -> None:
    names = {each.system.partition(":")[0] for each in RELATED.rows if each.recipe == "natural"} - {""}
    assert names <= related.SYSTEM_PAGES.keys()
    assert names <= related.SYSTEMS_KNOWN.keys()
    assert "" in SYSTEMS


def test_a_finished_table_is_collected_beside_those_of_the_paper(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "reproductions" / "related-tiny-pixel" / "reproduction.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**found(), "scale": "tiny", "space": "pixel"}))
    collect.collect(tmp_path / "runs", tmp_path / "results")
    assert related.read(tmp_path / "results") is not None
    assert not (tmp_path / "results" / "tables").exists()


def test_the_page_is_written_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs, results = tmp_path / "docs", tmp_path / "results"
    docs.mkdir()
    (results / related.FILE).parent.mkdir(parents=True)
    (results / related.FILE).write_text(json.dumps(found()))
    command = ["related", "--results", str(results), "--docs", str(docs)]
    monkeypatch.setattr(sys, "argv", [*command, "--check"])
    with pytest.raises(SystemExit, match="run `python -m results.related`"):
        related.main()
    monkeypatch.setattr(sys, "argv", command)
    related.main()
    assert sorted(path.name for path in docs.iterdir()) == ["related-work.md", "related-work.svg"]
    monkeypatch.setattr(sys, "argv", [*command, "--check"])
    related.main()
    (results / related.FILE).write_text("{")
    with pytest.raises(SystemExit, match="collect it again"):
        related.main()
