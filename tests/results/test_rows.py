from dataclasses import replace
from pathlib import Path

import pytest

from results.evidence import TABLE1, Evidence, decisive, difference_of, longest_pgd, read_evidence
from results.rows import effect_table, effects, method_table, pair_table, sign_of
from tests.results import made


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    return read_evidence(made.evidence(tmp_path))


def test_autoattack_decides_where_it_was_run_and_else_the_longest_pgd_of_8_255(evidence: Evidence) -> None:
    found = evidence.tables[TABLE1]
    assert (decisive(found), longest_pgd(found)) == (4, 2)
    without = {**found, "rows": [{**row, "robust": row["robust"][:4]} for row in found["rows"]]}
    assert decisive(without) == 2


def test_a_difference_asked_the_other_way_round_has_the_other_sign(evidence: Evidence) -> None:
    found = evidence.tables[TABLE1]
    forth, back = difference_of(found, "AT", "CLAF", 4), difference_of(found, "CLAF", "AT", 4)
    assert forth is not None and back is not None  # noqa: PT018 (both, for the types)
    assert (forth.share, forth.low, forth.high) == (-back.share, -back.high, -back.low)


def test_the_best_is_bold_and_what_it_is_ahead_of_by_noise_is_marked(evidence: Evidence) -> None:
    rows = method_table(evidence.tables[TABLE1])
    at, claf = rows[3], rows[4]
    assert "**15.0** ± 1.6" in at
    assert "≈ 13.0" not in at
    assert "≈ 13.0 ± 1.5" in claf
    assert "| 28.0 ± 2.0 |" in claf, "four points are more than noise"


def test_rows_without_figures_say_why(evidence: Evidence) -> None:
    found = evidence.tables[TABLE1]
    failed = {**found["rows"][0], "natural_accuracy": None, "natural_interval": None, "status": "failed"}
    nothing = {"robust": [], "runs": [], "audit": None, "reason": "the loss is not finite"}
    lines = method_table({**found, "rows": [{**failed, **nothing}, *found["rows"][1:]]})
    assert lines[-1] == "Without figures yet: Natural (the loss is not finite)."
    assert "| Natural | – | – |" in lines[2]


def test_the_images_of_each_attack_are_told(evidence: Evidence) -> None:
    assert "On 500 test images: AutoAttack at 8/255." in " ".join(method_table(evidence.tables[TABLE1]))


def test_every_pair_is_listed_once(evidence: Evidence) -> None:
    lines = pair_table(evidence.tables[TABLE1])
    assert [line.split(" |")[0] for line in lines[2:]] == ["| Natural − AT", "| Natural − CLAF", "| AT − CLAF"]


def test_an_effect_has_the_papers_sign_the_other_one_or_cannot_be_told(evidence: Evidence) -> None:
    found = evidence.tables["table2-small-pixel"]
    assert [sign for _, _, sign in effects(found)] == ["same", "same", "same"]
    turned = {**found, "pairs": [{**each, "difference": 0.05, "is_noise": False} for each in found["pairs"]]}
    assert sign_of(turned, 0) == "opposite"
    noisy = {**found, "pairs": [{**each, "is_noise": True} for each in found["pairs"]]}
    assert sign_of(noisy, 0) == "within noise"
    assert sign_of({**found, "pairs": []}, 0) == "not run yet"


def test_the_effect_of_table_3_is_within_its_row(evidence: Evidence) -> None:
    titles = ("PGD-20 at 8/255", "PGD-40 at 8/255", "PGD-100 at 8/255")
    row = made.row(0, "CLAF", (0.6, 0.3, 0.29, 0.28, 0.27, 0.26), (None, 0.6012, 0.6005, 0.6003), "pixel")
    found = {**evidence.tables[TABLE1], "table": "table3", "columns": [*titles, "x", "y"], "rows": [row], "pairs": []}
    lines = effect_table(replace(evidence, tables={"table3-small-pixel": found}))
    assert (
        "| table3 | CLAF | PGD-40 at 8/255 − PGD-20 at 8/255 | -0.07 | -1.0 (from 30.0 ± 2.0 to 29.0 ± 2.0) | same |"
        in lines
    )
    assert sum(line.startswith("| table3") for line in lines) == 2
