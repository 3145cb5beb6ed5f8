import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine import events as ev
from claf_engine.runs import list_checkpoints
from claf_tui.state.outcome import Outcome, audited_epsilon, best_epoch, earlier_result, look_up, measured_checkpoint
from tests.tui.scripted import robust_figure, write_checkpoint

FIGURE = robust_figure("8/255", 0.6)
RESULT = ev.TestResult("best", "attack", 0.93, (FIGURE, robust_figure("16/255", 0.4)), True)
FINISHED = ev.RunFinished("finished", 300, 10.0, (RESULT,), "validation robust accuracy")


def run_folder(
    root: Path, name: str, begun: int, result: ev.TestResult = RESULT, settings: str = "seed = 7", **status: Any
) -> Path:
    """A run that was begun so many minutes after an hour ago, and has finished with this result."""
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(settings)
    created = time.time() - 3600 + 60 * begun
    (folder / "run.json").write_text(json.dumps({"created_at": created, "folder": name}))
    record = {"status": "finished", "method": "claf", "data": "shapes", "results": [asdict(result)], **status}
    (folder / "status.json").write_text(json.dumps(record))
    return folder


def with_robust(accuracy: float, **changes: Any) -> ev.TestResult:
    return replace(RESULT, robust=(replace(FIGURE, accuracy=accuracy, **changes),))


def test_the_latest_finished_run_before_is_compared_with(tmp_path: Path) -> None:
    run_folder(tmp_path, "oldest", 1, with_robust(0.1))
    run_folder(tmp_path, "before", 2, with_robust(0.5))
    now = run_folder(tmp_path, "now", 3)
    run_folder(tmp_path, "later", 4, with_robust(0.9))
    found = earlier_result(now, RESULT)
    assert found is not None
    assert (found.run, found.radius, found.changes) == ("before", "8/255", ())
    assert found.difference == pytest.approx(0.1)
    assert not found.is_noise


def test_a_small_difference_of_few_images_is_noise(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 2, with_robust(0.59))
    found = earlier_result(run_folder(tmp_path, "now", 3), RESULT)
    assert found is not None
    assert found.is_noise


def test_settings_that_differ_are_told_and_threads_are_none_of_them(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1, settings="[attack]\nsteps = 5\n[runtime]\nthreads = 3\n")
    found = earlier_result(run_folder(tmp_path, "now", 2, settings="[attack]\nsteps = 7\n"), RESULT)
    assert found is not None
    assert found.changes == ("attack.steps was 5, is 7",)


def test_settings_that_cannot_be_read_are_unknown(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1, settings="nonsense = 1")
    found = earlier_result(run_folder(tmp_path, "now", 2), RESULT)
    assert found is not None
    assert found.changes is None


@pytest.mark.parametrize(
    "status",
    [
        {"status": "stopped"},
        {"method": "at"},
        {"data": "cifar10"},
        {"results": []},
        {"results": "odd"},
        {"results": [{"natural": 1, "robust": [], "selected": True}]},
    ],
)
def test_other_runs_are_not_compared_with(tmp_path: Path, status: dict[str, Any]) -> None:
    run_folder(tmp_path, "before", 1, **status)
    assert earlier_result(run_folder(tmp_path, "now", 2), RESULT) is None


@pytest.mark.parametrize(
    "changes", [{"epsilon": "4/255"}, {"norm": "l2"}, {"space": "released-code"}, {"defence": "bit-depth:4"}]
)
def test_figures_of_another_attack_are_not_compared(tmp_path: Path, changes: dict[str, str]) -> None:
    run_folder(tmp_path, "before", 1, with_robust(0.5, **changes))
    assert earlier_result(run_folder(tmp_path, "now", 2), with_robust(0.6)) is None


def test_the_first_radius_that_both_have_is_compared(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1, replace(RESULT, robust=(robust_figure("16/255", 0.1),)))
    found = earlier_result(run_folder(tmp_path, "now", 2), RESULT)
    assert found is not None
    assert found.radius == "16/255"


@pytest.mark.parametrize(("mine", "theirs"), [("too weak", ""), ("", "too weak"), ("", "")])
def test_a_comparison_with_a_figure_that_cannot_be_right_is_marked(tmp_path: Path, mine: str, theirs: str) -> None:
    run_folder(tmp_path, "before", 1, with_robust(0.5, notice=theirs))
    found = earlier_result(run_folder(tmp_path, "now", 2), with_robust(0.6, notice=mine))
    assert found is not None
    assert found.radius == ("8/255 !" if mine or theirs else "8/255")


def test_a_figure_of_no_images_is_not_compared(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1, with_robust(0.5, num_examples=0))
    assert earlier_result(run_folder(tmp_path, "now", 2), RESULT) is None


def test_the_best_epoch_is_that_of_the_best_checkpoint(tmp_path: Path) -> None:
    extra = {"claf.config": {"probe": {"epsilons": ["0.5"], "norm": "l2"}}}
    for step, natural in ((100, 0.7), (200, 0.9), (300, 0.8)):
        write_checkpoint(tmp_path, step, "2 · adversarial features", step // 100, natural, extra)
    best = best_epoch(list_checkpoints(tmp_path))
    assert best is not None
    assert (best.step, best.epoch, best.radius, round(best.robust, 3)) == (200, 2, "L2 0.5", 0.6)


def test_without_a_probe_there_is_no_best_epoch(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 100, extra={"claf.metrics": {}})
    assert best_epoch(list_checkpoints(tmp_path)) is None


def test_the_file_of_a_result_is_found_by_its_weights(tmp_path: Path) -> None:
    for step in (100, 200, 300):
        write_checkpoint(tmp_path, step, extra={"claf.weights_sha256": str(step)})
    entries = list_checkpoints(tmp_path)
    found = measured_checkpoint(replace(RESULT, weights_sha256="200"), entries)
    assert found is not None
    assert found.step == 200
    assert measured_checkpoint(replace(RESULT, weights_sha256="gone"), entries) is None


def test_a_result_of_earlier_code_is_found_by_its_name(tmp_path: Path) -> None:
    for step in (100, 200):
        write_checkpoint(tmp_path, step, natural=1 - step / 1000)
    entries = list_checkpoints(tmp_path)
    steps = {name: measured_checkpoint(replace(RESULT, checkpoint=name), entries) for name in ("best", "last")}
    assert {name: info.step for name, info in steps.items() if info is not None} == {"best": 100, "last": 200}


@pytest.mark.parametrize(
    ("figures", "epsilon"),
    [
        ((FIGURE,), "8/255"),
        ((replace(FIGURE, epsilon="0.5", norm="l2"), replace(FIGURE, epsilon="4/255")), "4/255"),
        ((replace(FIGURE, epsilon="0.5", norm="l2"),), None),
        ((), None),
    ],
)
def test_an_audit_is_about_the_radius_that_was_reported(
    figures: tuple[ev.RobustFigure, ...], epsilon: str | None
) -> None:
    assert audited_epsilon(replace(RESULT, robust=figures)) == epsilon


def test_all_is_looked_up_at_once(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1)
    now = run_folder(tmp_path, "now", 2)
    write_checkpoint(now, 300)
    found = look_up(now, FINISHED)
    assert found.standing == "unaudited"
    assert None not in (found.checkpoint, found.best, found.earlier)


def test_of_a_folder_that_is_not_there_nothing_is_known(tmp_path: Path) -> None:
    assert look_up(tmp_path / "gone", FINISHED) == Outcome("unaudited")


def test_a_run_without_results_is_not_compared(tmp_path: Path) -> None:
    run_folder(tmp_path, "before", 1)
    assert look_up(run_folder(tmp_path, "now", 2), replace(FINISHED, results=())) == Outcome()
