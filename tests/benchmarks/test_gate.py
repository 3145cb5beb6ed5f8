import json
from pathlib import Path

import pytest

from benchmarks.gate import BARS, main, read_bars

QUICK = """
import json, sys
with open("runs.txt", "a") as runs:
    runs.write(" ".join(sys.argv[1:-2]) + "\\n")
with open(sys.argv[-1], "w") as file:
    json.dump({"seconds": 1e9, "ratios": RATIOS}, file)
"""


def bar(script: str, ratio: str, floor: float, arguments: tuple[str, ...] = ()) -> str:
    lines = (f"script = {json.dumps(script)}", f"arguments = {json.dumps(arguments)}", f"ratio = {json.dumps(ratio)}")
    return "\n".join(("[[bar]]", *lines, f"floor = {floor}", f'sentence = "why {ratio} matters"', ""))


def fakes(folder: Path, bars: str, **scripts: str) -> str:
    """A package of fake benchmarks with its file of bars; gives the file's name."""
    package = folder / "fakes"
    package.mkdir()
    for name, text in scripts.items():
        (package / f"{name}.py").write_text(text)
    (package / "bars.toml").write_text(bars)
    return str(package / "bars.toml")


def telling(ratios: str) -> str:
    return QUICK.replace("RATIOS", ratios)


def test_ratios_at_or_above_their_floors_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = bar("quick", "theirs", 4.0) + bar("quick", "others", 1.5)
    file = fakes(tmp_path, bars, quick=telling('{"theirs": 4.25, "others": 1.5}'))
    assert main(["--bars", file]) == 0
    table = capsys.readouterr().out
    assert "quick: theirs" in table
    assert "4.25" in table
    assert "4.00" in table
    assert table.count("kept") == 2
    assert "matters" not in table


def test_a_ratio_below_its_floor_fails_the_gate_and_says_what_it_means(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bars = bar("quick", "theirs", 4.0) + bar("quick", "others", 1.0)
    assert main(["--bars", fakes(tmp_path, bars, quick=telling('{"theirs": 3.99, "others": 2}'))]) == 1
    table = capsys.readouterr().out
    assert "BELOW quick: theirs: why theirs matters" in table
    assert "why others" not in table


def test_a_benchmark_that_fails_is_not_taken_for_a_slow_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bars = bar("broken", "theirs", 1.0) + bar("quick", "theirs", 4.0)
    broken = "raise SystemExit('this [bold]benchmark[/bold] is broken')"
    assert main(["--bars", fakes(tmp_path, bars, broken=broken, quick=telling('{"theirs": 1}'))]) == 2
    told = capsys.readouterr()
    assert "broken failed: this [bold]benchmark[/bold] is broken" in told.err
    assert "FAILED broken: theirs" in told.out
    assert "BELOW quick: theirs" in told.out


@pytest.mark.parametrize("ratios", ["{}", '{"theirs": float("nan")}', '{"theirs": "fast"}', '{"theirs": None}', "[9]"])
def test_a_ratio_that_is_not_told_fails_the_gate(tmp_path: Path, ratios: str) -> None:
    assert main(["--bars", fakes(tmp_path, bar("quick", "theirs", 1.0), quick=telling(ratios))]) == 2


def test_one_odd_ratio_does_not_hide_the_others(tmp_path: Path) -> None:
    file = fakes(tmp_path, bar("quick", "theirs", 1.0), quick=telling('{"odd": None, "theirs": 2}'))
    assert main(["--bars", file]) == 0


def test_a_benchmark_that_writes_no_file_fails_the_gate(tmp_path: Path) -> None:
    assert main(["--bars", fakes(tmp_path, bar("silent", "theirs", 1.0), silent="")]) == 2


def test_a_benchmark_that_never_ends_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.gate.LIMIT_SECONDS", 1)
    assert main(["--bars", fakes(tmp_path, bar("endless", "theirs", 1.0), endless="while True: pass")]) == 2
    assert "took longer than 1 seconds" in capsys.readouterr().err


def test_bars_of_the_same_script_and_arguments_share_one_run(tmp_path: Path) -> None:
    bars = bar("quick", "a", 1, ("--size", "3")) + bar("quick", "b", 1, ("--size", "3")) + bar("quick", "a", 1)
    assert main(["--bars", fakes(tmp_path, bars, quick=telling('{"a": 2, "b": 2}'))]) == 0
    assert (tmp_path / "runs.txt").read_text().splitlines() == ["--size 3", ""]


@pytest.mark.parametrize(
    "text",
    [
        "[[bar]]\nscript =",
        bar("quick", "theirs", 0.0),
        bar("quick", "theirs", 1.0) + "seconds = 3\n",
        bar("../quick", "theirs", 1.0),
        "",
    ],
)
def test_a_file_of_bars_that_says_nothing_sensible_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert main(["--bars", fakes(tmp_path, text)]) == 2
    assert "cannot be used" in capsys.readouterr().err


def test_every_bar_of_ours_names_a_benchmark_that_tells_such_a_ratio() -> None:
    for wanted in read_bars(BARS):
        assert BARS.with_name(f"{wanted.script}.py").is_file()
        assert wanted.sentence.endswith(".")
