import json
from pathlib import Path

import pytest
import torch

from benchmarks.common import Side, Worker
from benchmarks.supcon import (
    GIB,
    MIB,
    OURS,
    SIDES,
    THEIRS,
    Findings,
    Task,
    differentiate,
    draw,
    main,
    prepare_memory,
)


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_small_comparison_tells_time_and_memory_and_says_what_it_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "supcon.json"
    main(["--rows", "96", "1152", "--width", "8", "--repeats", "1", "--limit", "0.000001", "--json", str(file)])
    told = json.loads(file.read_text())
    assert told["machine"]
    assert set(told["ratios"]) == {"time_96", "memory_1152"}
    assert all(ratio > 0 for ratio in told["ratios"].values())
    assert set(told["memory_bytes"]["96"]) == set(told["seconds"]["96"]) == set(SIDES)
    assert set(told["memory_bytes"]["1152"]) == set(told["seconds"]["1152"]) == {OURS}
    assert told["memory_bytes"]["1152"][OURS] > 4 * 1152**2
    assert "more than the limit of 1e-06 GiB" in told["skipped"]["1152"]
    assert "skipped" in capsys.readouterr().out


def test_both_sides_compute_the_same_loss_and_gradient() -> None:
    task = Task(rows=96, width=8, device="cpu")
    (loss, gradient), (other, other_gradient) = (differentiate(side, *draw(task)) for side in SIDES)
    torch.testing.assert_close(loss, other, rtol=1e-5, atol=0)
    torch.testing.assert_close(gradient, other_gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_memory_is_that_of_one_pass() -> None:
    """In a process of its own, as in the benchmark: one that kept freed memory needs no more."""
    with Worker(Side(THEIRS, prepare_memory, (THEIRS, Task(rows=1536, width=8, device="cpu"))), "cpu") as worker:
        _, taken = worker.repeat()
    assert 4 * 1536**2 < taken < GIB


def test_theirs_is_left_out_where_the_square_of_the_rows_would_go_beyond_the_limit() -> None:
    found = Findings(limit=4 * GIB, memory={768: {OURS: MIB, THEIRS: GIB}})
    assert found.reason_to_skip(1536) is None
    assert found.reason_to_skip(3072) == "would take about 16.0 GiB, more than the limit of 4 GiB"


@pytest.mark.parametrize("rows", ["3", "100"])
def test_rows_that_are_not_images_of_three_views_are_refused(rows: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--rows", rows])
    assert "--rows must be multiples of 3" in capsys.readouterr().err
