import json
import math
from pathlib import Path

import pytest

from benchmarks import console
from benchmarks.console import KEYS, Key, latencies_of, main, measure_pair, records, summarise

OPEN, CLOSE = Key("open", b"?", "Help", is_shown=True), Key("close", b"?", "Help", is_shown=False)
CLEAR = b"\x1b[2J"


def test_a_key_counts_until_the_screen_shows_what_it_asked_for() -> None:
    pieces = [(0.0, b"\x1b[Hloss"), (1.02, b"\x1b[Hloss 2"), (1.05, b"\x1b[5;5HHe"), (1.07, b"lp")]
    assert latencies_of(pieces, [(1.0, OPEN)]) == {"open": [pytest.approx(0.07)]}


def test_a_key_that_hides_a_text_counts_from_its_press_until_the_text_is_gone() -> None:
    pieces = [(0.0, b"nothing"), (1.1, b"\x1b[HHelp"), (2.3, CLEAR), (3.5, b"\x1b[HHelp"), (9.0, CLEAR)]
    found = latencies_of(pieces, [(1.0, OPEN), (2.0, CLOSE), (3.0, OPEN)])
    assert found == {"open": [pytest.approx(0.1), pytest.approx(0.5)], "close": [pytest.approx(0.3)]}


def test_an_answer_later_than_the_next_key_still_belongs_to_its_own() -> None:
    pieces = [(1.9, b"\x1b[HHelp"), (2.0, CLEAR)]
    found = latencies_of(pieces, [(1.0, OPEN), (1.5, CLOSE)])
    assert found == {"open": [pytest.approx(0.9)], "close": [pytest.approx(0.5)]}


def test_a_key_without_an_answer_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="open"):
        latencies_of([(1.1, b"something else")], [(1.0, OPEN)])


def test_the_last_keys_bring_back_what_the_first_changed() -> None:
    for text in {key.text for key in KEYS}:
        first, second = (key.is_shown for key in KEYS if key.text == text)
        assert first is not second


def test_percentiles_are_of_each_key_and_of_all() -> None:
    found = summarise({"a": [0.001 * number for number in range(101)], "b": [1.0]})
    assert [found["a"][name] for name in ("p50", "p95", "p99", "max")] == pytest.approx([0.05, 0.095, 0.099, 0.1])
    assert found["b"]["p99"] == 1
    assert (found["all"]["max"], found["all"]["count"]) == (1, 102)


def test_a_record_that_is_not_yet_whole_is_not_read(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "date-x"
    run.mkdir(parents=True)
    (run / "metrics.jsonl").write_text('{"type": "StepLogged", "loss": 1}\n{"type": "StepLo')
    assert [record["loss"] for record in records(tmp_path, "x", "StepLogged")] == [1]


def test_runs_that_log_other_losses_are_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(values: list[str], name: str, folder: Path) -> float:
        run = folder / "runs" / f"date-{name}"
        run.mkdir(parents=True)
        (run / "metrics.jsonl").write_text(json.dumps({"type": "StepLogged", "loss": values[0]}) + "\n")
        return 1.0

    monkeypatch.setattr(console, "train_in_lines", train)
    monkeypatch.setattr(console, "train_in_console", train)
    assert measure_pair(0, ["same"], tmp_path) == {"plain": 1, "tui": 1}
    monkeypatch.setattr(console, "train_in_lines", lambda values, name, folder: train(["other"], name, folder))
    with pytest.raises(RuntimeError, match="same losses"):
        measure_pair(1, ["same"], tmp_path)


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_the_benchmark_writes_overhead_and_latency(tmp_path: Path) -> None:
    file = tmp_path / "console.json"
    sizes = {"num_train": 64, "num_validation": 16, "num_test": 16}
    settings = [f"data.{name}={size}" for name, size in sizes.items()]
    settings += ["batch_size=16", "model.width=2", "model.blocks=[1]", "adversarial.epochs=1", "runtime.log_every=1"]
    settings += ["linear_evaluation.epochs=1", "probe.num_examples=8"]
    flags = [part for setting in settings for part in ("--set", setting)]
    main(["--repeats", "1", "--keys", str(2 * len(KEYS)), "--json", str(file), *flags])
    found = json.loads(file.read_text())
    assert math.isfinite(found["ratios"]["overhead"])
    assert found["ratios"]["overhead"] > 0
    assert {name: figures["count"] for name, figures in found["latency_seconds"].items()} == {
        **{key.name: 2 for key in KEYS},
        "all": 2 * len(KEYS),
    }
    assert all(0 < figures["p50"] <= figures["p99"] for figures in found["latency_seconds"].values())
