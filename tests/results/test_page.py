import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from claf_engine.reproduce.report import record
from results import page
from results.evidence import read_evidence
from results.writing import DOCS, RESULTS, stale
from tests.engine.reproduce.test_report import filled_board
from tests.results import made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made.evidence(tmp_path / "results")


def text_of(folder: Path) -> str:
    return page.rendered(read_evidence(folder))[page.PAGE]


def changed(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


def test_the_committed_page_and_charts_are_those_of_the_committed_files() -> None:
    assert stale(page.rendered(read_evidence(RESULTS)), DOCS, page.CHARTS) == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("tables/table1-small-pixel/reproduction.json", '"natural_accuracy": 0.62', '"natural_accuracy": 0.63'),
        ("tables/table1-small-released-code/reproduction.json", "0.58", "0.59"),
        ("tables/table2-small-pixel/reproduction.json", '"difference": -0.05', '"difference": -0.06'),
        ("tables/robust-small-pixel/reproduction.json", '"audit": "passes"', '"audit": "fails"'),
        ("tables/robust-gpu-pixel/reproduction.json", "a GPU", "another GPU"),
        ("curves/20260101-000002-claf.json", "0.45", "0.46"),
        ("dissociation/20260101-000002-claf.json", '"moved": 0.2', '"moved": 0.21'),
        ("search.json", '"selection": 0.3,', '"selection": 0.31,'),
        ("held_out.json", '"stronger": 0.33', '"stronger": 0.34'),
        ("paper_units.json", "4600.0", "4700.0"),
        ("rates.json", "100", "200"),
        ("configs/20260101-000002-robust-without-contrast.toml", "steps = 1", "steps = 2"),
    ],
)
def test_a_number_that_changes_in_a_file_changes_the_page(folder: Path, name: str, old: str, new: str) -> None:
    before = text_of(folder)
    assert text_of(folder) == before, "the same files give the same page"
    changed(folder, name, old, new)
    assert text_of(folder) != before


def test_every_section_says_not_run_yet_where_there_is_no_file(tmp_path: Path) -> None:
    text = text_of(tmp_path)
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert len(titles) == len(page.SECTIONS) - 1
    for part in (
        "Table 1, small",
        "Robustness curves",
        "Dissociation",
        "effect",
        "Cost against",
        "Tables 2",
        "recipe",
        "GPU",
    ):
        section = next(each for each in text.split("\n## ")[1:] if part in each.partition("\n")[0])
        assert "ot run yet" in section, part
    assert page.rendered(read_evidence(tmp_path)).keys() == {page.PAGE}


@pytest.mark.parametrize("name", ["table1-small-pixel", "table1-small-released-code", "table2-small-pixel"])
def test_a_table_whose_rows_all_wait_or_failed_is_not_run_yet(folder: Path, name: str) -> None:
    path = folder / "tables" / name / "reproduction.json"
    record = json.loads(path.read_text())
    for row in record["rows"]:
        nothing = {"natural_accuracy": None, "natural_interval": None, "audit": None, "runs": [], "status": "waiting"}
        row |= {**nothing, "robust": [{"robust_accuracy": None, "interval": None, "accuracies": []}] * 5}
    path.write_text(json.dumps({**record, "pairs": []}))
    assert "ot run yet" in text_of(folder)


def test_every_chart_is_svg_and_every_one_that_the_page_shows_is_made(folder: Path) -> None:
    files = page.rendered(read_evidence(folder))
    charts = {name for name in files if name.endswith(".svg")}
    assert len(charts) == 5
    assert all(ElementTree.fromstring(files[name]).tag.endswith("svg") for name in charts)
    assert all(f"]({name})" in files[page.PAGE] for name in charts)
    assert files[page.PAGE].count("![") == len(charts)


def test_the_answer_is_made_of_the_numbers(folder: Path) -> None:
    text = " ".join(text_of(folder).split())
    assert "CLAF keeps 25.0 ± 3.8 %" in text
    assert "it is 4.0 points below AT (-6.0 to -2.0)" in text
    assert "CLAF shows 58.0 % under PGD-10 at 8/255 (the paper prints 60.4 %)" in text
    assert "keeps 2.0 % under AutoAttack at 8/255 in pixels" in text
    assert "3 have the paper's sign" in text


def test_the_page_is_written_checked_and_charts_of_earlier_files_removed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    command = ["page", "--results", str(folder), "--docs", str(docs)]
    monkeypatch.setattr(sys, "argv", [*command, "--check"])
    with pytest.raises(SystemExit, match="run `python -m results.page`"):
        page.main()
    assert not list(docs.iterdir()), "checking writes nothing"
    monkeypatch.setattr(sys, "argv", command)
    page.main()
    assert len(list(docs.iterdir())) == 6
    shutil.rmtree(folder / "curves")
    page.main()
    assert not (docs / "results-curves.svg").exists()
    monkeypatch.setattr(sys, "argv", [*command, "--check"])
    page.main()


def test_a_damaged_file_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "search.json").write_text("{")
    monkeypatch.setattr(sys, "argv", ["page", "--check", "--results", str(folder)])
    with pytest.raises(SystemExit, match="cannot be read"):
        page.main()


def test_a_figure_that_is_no_number_is_refused(folder: Path) -> None:
    changed(folder, "tables/table1-small-pixel/reproduction.json", "0.62", "NaN")
    with pytest.raises(ValueError, match="NaN is no figure"):
        read_evidence(folder)


def test_a_file_of_earlier_code_is_one_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed(folder, "tables/table1-small-pixel/reproduction.json", '"natural_interval"', '"earlier"')
    monkeypatch.setattr(sys, "argv", ["page", "--check", "--results", str(folder)])
    with pytest.raises(SystemExit, match="lacks 'natural_interval'; collect it again"):
        page.main()


@pytest.mark.parametrize("space", ["pixel", "released-code"])
def test_what_reproduce_writes_is_what_the_page_reads(space: str, tmp_path: Path) -> None:
    path = tmp_path / "tables" / f"table1-small-{space}" / "reproduction.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(record(filled_board(tmp_path, space))))
    text = text_of(tmp_path)
    assert "| Natural | **92.0** ± 2.4 | **50.0** ± 4.4 | **25.0** ± 3.8 |" in text
    assert "| 2 | 4.0 |" in text, "seeds and their spread"
    assert r"Without figures yet: Adversarial (training \| diverged &lt;b>)." in text
