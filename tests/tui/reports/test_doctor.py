import io

from rich.console import Console

from claf_engine.selftest.findings import Row
from claf_tui.reports.doctor import doctor_record, doctor_tables, overall, plain
from tests.tui.hostile import EVERYTHING

GOOD = Row("views", "augmentation", "equal", "passes", "0")
POOR = Row("rate", "rate", "slow", "warns", "3 images/s", "buy a faster one")
BAD = Row("step", "one step", "differs", "fails", "0.5", "report it")
SKIPPED = Row("captured", "captured attack", "no memory", "not-run", "", "free some")


def shown(*rows: Row) -> str:
    console = Console(file=io.StringIO(), width=120, markup=False)
    for renderable in doctor_tables("what is here", rows):
        console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_every_row_has_check_result_verdict_and_figure() -> None:
    lines = shown(GOOD, BAD).splitlines()
    assert [line.split() for line in lines if "check" in line] == [["check", "result", "verdict", "figure"]]
    assert ["augmentation", "equal", "passes", "0"] in [line.split() for line in lines]


def test_what_does_not_pass_is_followed_by_what_to_do() -> None:
    lines = shown(GOOD, POOR, SKIPPED, BAD).splitlines()
    assert lines[-3:] == ["rate: buy a faster one", "captured attack: free some", "one step: report it"]


def test_what_helps_several_is_said_once() -> None:
    other = Row("memory", "memory", "little", "warns", "1 GiB", POOR.advice)
    assert shown(POOR, other).splitlines()[-1:] == ["rate, memory: buy a faster one"]


def test_what_was_not_run_is_two_words() -> None:
    assert "not run" in shown(SKIPPED)


def test_foreign_text_does_not_reach_the_terminal_raw() -> None:
    text = shown(Row("x", EVERYTHING, EVERYTHING, "fails", EVERYTHING, EVERYTHING))
    assert not any(character in text for character in "\x1b\x9b\x07\u202e\u200b")


def test_the_worst_verdict_counts() -> None:
    assert overall([]) == overall([GOOD, SKIPPED]) == "passes"
    assert overall([GOOD, POOR]) == "warns"
    assert overall([GOOD, BAD, POOR]) == "fails"


def test_the_record_holds_everything() -> None:
    record = doctor_record([GOOD], "cuda:0 (a card)", [BAD])
    assert record["verdict"] == "fails"
    assert record["device"] == "cuda:0 (a card)"
    assert record["environment"] == [GOOD.to_record()]
    assert record["checks"][0]["advice"] == "report it"


def test_a_figure_that_json_has_no_word_for_is_a_text() -> None:
    assert plain({"a": [float("nan"), 1.5, None], "b": float("inf")}) == {"a": ["nan", 1.5, None], "b": "inf"}
