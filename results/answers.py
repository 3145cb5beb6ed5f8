"""The answer in five sentences, each made from the numbers, or saying which are still to come."""

from claf_engine.config.presets import resolve_config
from claf_engine.reproduce.markdown import percent
from claf_engine.reproduce.tables import WITH_CONTRAST, WITHOUT_CONTRAST
from results.evidence import (
    RECIPE,
    RELEASED,
    TABLE1,
    Evidence,
    Record,
    decisive,
    difference_of,
    figure_of,
    measured_rows,
    paper_of,
    row_of,
    signed,
)
from results.markdown import listed
from results.rows import ABLATIONS, SINGLE, effects

BASELINES = ("AT", "TRADES")


def answers(evidence: Evidence) -> list[str]:
    """Five sentences, in the order of the page."""
    return [
        _claf(evidence.tables.get(TABLE1)),
        _released(evidence.tables.get(RELEASED)),
        _audited(evidence),
        _signs(evidence),
        _recipe(evidence.tables.get(RECIPE)),
    ]


def _claf(found: Record | None) -> str:
    column = None if found is None else decisive(found)
    claf = None if found is None else row_of(found, "CLAF")
    if found is None or claf is None or column is None or (figure := figure_of(claf, column)) is None:
        return "Whether CLAF holds in the epsilon-ball at equal compute is not measured yet."
    beside = [(label, row_of(found, label)) for label in BASELINES]
    told = [f"{label} {kept}" for label, row in beside if row and (kept := figure_of(row, column))]
    gaps = [gap for label, _ in beside if (gap := _gap(found, "CLAF", label, column))]
    tail = f"; it is {listed(gaps)}" if gaps else ""
    others = f", where {listed(told)} % are left" if told else ""
    return f"Under {found['columns'][column]} in the ball, CLAF keeps {figure} %{others}{tail}."


def _released(found: Record | None) -> str:
    column = None if found is None else decisive(found)
    row = None if found is None else row_of(found, "CLAF")
    if found is None or row is None or column is None:
        return "What the released code's attack space adds to CLAF's figure is not measured yet."
    claim, kept = figure_of(row, 0), figure_of(row, column)
    if claim is None or kept is None:
        return "What the released code's attack space adds to CLAF's figure is not measured yet."
    return (
        f"Trained and attacked as the released code does, CLAF shows {percent(claim.share)} % under "
        f"{found['columns'][0]} (the paper prints {percent(paper_of(row, 0))} %), and the same network keeps "
        f"{percent(kept.share)} % under {found['columns'][column]}."
    )


def _audited(evidence: Evidence) -> str:
    names = {TABLE1: "pixel space", RELEASED: "the released code's space"}
    told = [
        f"in {space} {sum(row['audit'] == 'passes' for row in rows)} of {len(rows)} rows pass the quick audit, "
        f"CLAF {'was not asked' if (verdict := _verdict(found)) is None else verdict}"
        for name, space in names.items()
        if (found := evidence.tables.get(name)) and (rows := [row for row in found["rows"] if row["audit"]])
    ]
    return f"Of the audits, {'; '.join(told)}." if told else "No row of Table 1 is audited yet."


def _verdict(found: Record) -> str | None:
    row = row_of(found, "CLAF")
    verdict: str | None = None if row is None else row["audit"]
    return verdict


def _signs(evidence: Evidence) -> str:
    found = [evidence.tables[name] for name in ABLATIONS if name in evidence.tables and name != SINGLE]
    signs = [sign for each in found if len(measured_rows(each)) > 1 for _, _, sign in effects(each)]
    if not signs:
        return "Whether the effects of the paper's ablations reproduce is not measured yet."
    return (
        f"Of {len(signs)} effects of the paper's ablations (Tables 2, 4, 5 and 6, each column one), "
        f"{signs.count('same')} have the paper's sign, {signs.count('opposite')} the opposite one, and "
        f"{len(signs) - signs.count('same') - signs.count('opposite')} cannot be told from noise or have none."
    )


def _recipe(found: Record | None) -> str:
    column = None if found is None else decisive(found)
    recipe = WITH_CONTRAST if resolve_config("robust", None).objective.contrast_weight else WITHOUT_CONTRAST
    if found is None or column is None or row_of(found, recipe) is None:
        return "Whether our recipe beats AT and TRADES at equal compute is not measured yet."
    gaps = [gap for label in BASELINES if (gap := _gap(found, recipe, label, column))]
    term = _gap(found, WITH_CONTRAST, WITHOUT_CONTRAST, column)
    tail = f"; with its contrastive term it is {term}" if term else ""
    against = listed(gaps) if gaps else "not compared with AT and TRADES yet"
    return f"Under {found['columns'][column]} our recipe ({recipe}) is {against}{tail}."


def _gap(found: Record, first: str, second: str, column: int) -> str | None:
    """How a row stands to another, in words; None where they were not compared."""
    gap = difference_of(found, first, second, column)
    if gap is None:
        return None
    interval = f"{signed(gap.low)} to {signed(gap.high)}"
    if gap.is_noise:
        return f"within noise of {second} ({signed(gap.share)} points, {interval})"
    where = "above" if gap.share > 0 else "below"
    return f"{100 * abs(gap.share):.1f} points {where} {second} ({interval})"
