from pathlib import Path

from benchmarks.made_runs import make_runs
from claf_engine.runs.catalogue import Catalogue


def test_made_runs_are_of_all_states_with_probes_and_begun_an_hour_apart(tmp_path: Path) -> None:
    make_runs(tmp_path, 7, now=1_700_000_000.0)
    runs = Catalogue(tmp_path, None).look_at_all()
    assert {run.status for run in runs} == {"finished", "stopped", "interrupted", "diverged", "failed"}
    assert all(run.trend and run.robust and not run.digest.notice for run in runs)
    assert sorted(run.digest.begun for run in runs)[-1] == 1_700_000_000.0 - 3600
