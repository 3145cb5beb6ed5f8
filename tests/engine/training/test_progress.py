import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.training.methods import phases_of
from claf_engine.training.phase import Phase
from claf_engine.training.progress import (
    CALIBRATION_SECONDS,
    FP32_COST,
    PROBE,
    TEST,
    WATCH,
    Progress,
    Work,
    is_probe_due,
    kind_of,
    num_probes,
    num_tests,
    plan_work,
)
from tests.engine.tiny import tiny_config

WORKS = [Work(0, "a", 4, 1.0), Work(0, "b", 2, 3.0), Work(1, "a", 10, 1.0), Work(1, "c", 1, 5.0)]

units = st.lists(st.sampled_from([(work.phase, work.kind) for work in WORKS]), max_size=40)


def fresh() -> Progress:
    return Progress(WORKS, {})


def measured(**seconds: float) -> Progress:
    """Nothing is done yet, but these kinds were measured for long, before a resume that forgot it."""
    done: dict[str, int] = {}
    progress = Progress(WORKS, done)
    for kind, each in seconds.items():
        for _ in range(2 + int(CALIBRATION_SECONDS / each)):
            progress.finish(0, kind, each)
    done.clear()
    return progress


def all_done() -> Progress:
    progress = fresh()
    for work in WORKS:
        for _ in range(work.count):
            progress.finish(work.phase, work.kind, 1.0)
    return progress


def test_nothing_is_done_at_first() -> None:
    assert (fresh().run_fraction(), fresh().phase_fraction(0)) == (0.0, 0.0)


def test_everything_is_done_in_the_end() -> None:
    assert (all_done().run_fraction(), all_done().phase_fraction(0), all_done().phase_fraction(1)) == (1.0, 1.0, 1.0)


def test_the_share_done_is_weighted_by_cost() -> None:
    progress = fresh()
    progress.finish(0, "b", 1.0)
    assert progress.phase_fraction(0) == 3 / 10
    assert progress.run_fraction() == 3 / 25


def test_a_unit_counts_for_its_own_phase() -> None:
    progress = fresh()
    progress.finish(1, "a", 1.0)
    assert (progress.phase_fraction(0), progress.phase_fraction(1)) == (0.0, 1 / 15)


@given(units)
def test_the_share_done_only_grows_and_stays_within_its_bounds(done: list[tuple[int, str]]) -> None:
    progress, shares = fresh(), [0.0]
    for phase, kind in done:
        progress.finish(phase, kind, 1.0)
        shares.append(progress.run_fraction())
    assert shares == sorted(shares)
    assert 0 <= shares[-1] <= 1


def test_more_units_than_planned_are_no_more_than_all() -> None:
    progress = all_done()
    progress.finish(0, "a", 1.0)
    assert (progress.phase_fraction(0), progress.run_remaining()) == (1.0, 0.0)


def test_a_phase_without_work_is_done() -> None:
    assert fresh().phase_fraction(7) == 1.0


def test_the_remaining_time_is_unknown_before_anything_was_measured() -> None:
    assert fresh().run_remaining() is None
    assert fresh().phase_remaining(1) is None


def test_the_remaining_time_sums_the_units_left_times_their_measured_seconds() -> None:
    progress = measured(a=2.0, b=7.0, c=11.0)
    progress.finish(1, "a", 2.0)
    progress.finish(1, "c", 11.0)
    assert progress.phase_remaining(0) == pytest.approx(4 * 2 + 2 * 7)
    assert progress.phase_remaining(1) == pytest.approx(9 * 2)
    assert progress.run_remaining() == pytest.approx(4 * 2 + 2 * 7 + 9 * 2)


def test_a_kind_that_was_not_seen_yet_is_estimated_from_its_cost() -> None:
    assert measured(a=2.0).phase_remaining(0) == pytest.approx(4 * 2 + 2 * 6)


def test_nothing_is_estimated_while_steps_were_measured_for_a_moment_only() -> None:
    progress = fresh()
    found = []
    for _ in range(7):
        progress.finish(1, "a", 1.0)
        found.append(progress.run_remaining())
    assert found == [*[None] * 5, *[pytest.approx(left + 4 + 2 * 3 + 5) for left in (4, 3)]]


def test_a_slow_first_step_neither_calibrates_nor_stays_in_the_estimate() -> None:
    progress = fresh()
    progress.finish(1, "a", 600.0)
    assert progress.phase_remaining(1) is None
    progress.finish(1, "a", CALIBRATION_SECONDS)
    assert progress.phase_remaining(1) == pytest.approx((8 + 5) * CALIBRATION_SECONDS)


def test_a_kind_that_was_measured_for_a_moment_is_estimated_from_its_cost_still() -> None:
    progress = measured(a=2.0)
    progress.finish(0, "b", 100.0)
    assert progress.phase_remaining(0) == pytest.approx(4 * 2 + 6)


def test_a_measurement_is_believed_at_once() -> None:
    progress = Progress([Work(0, PROBE, 3, 10.0), Work(0, "a", 4, 1.0)], {})
    progress.finish(0, PROBE, 20.0)
    assert progress.run_remaining() == pytest.approx(2 * 20 + 4 * 2)


def test_nothing_remains_when_everything_is_done() -> None:
    assert all_done().run_remaining() == 0.0


def test_nothing_remains_of_what_is_done_though_it_never_calibrated() -> None:
    progress = Progress([Work(0, "a", 1, 1.0)], {})
    progress.finish(0, "a", 0.1)
    assert progress.run_remaining() == 0.0


def test_a_kind_that_is_not_in_the_plan_does_not_disturb_the_estimate() -> None:
    progress = fresh()
    for _ in range(2):
        progress.finish(0, "surprise", 1000.0)
    assert progress.run_remaining() is None


def test_the_measured_seconds_follow_a_run_that_becomes_slower() -> None:
    progress = fresh()
    progress.finish(0, "a", 1.0)
    for _ in range(200):
        progress.finish(0, "a", 3.0)
    assert progress.seconds_of("a") == pytest.approx(3.0, abs=0.05)


def test_the_first_measured_seconds_after_the_warm_up_are_averaged() -> None:
    progress = fresh()
    found = []
    for seconds in (99.0, 1.0, 11.0, 3.0):
        progress.finish(0, "a", seconds)
        found.append(progress.seconds_of("a"))
    assert found == [99.0, 1.0, 6.0, pytest.approx(5.0)]


def test_in_the_long_run_one_slow_unit_hardly_moves_the_estimate() -> None:
    progress = fresh()
    for seconds in (*[1.0] * 61, 11.0):
        progress.finish(0, "a", seconds)
    assert progress.seconds_of("a") == pytest.approx(1.2)


def test_the_units_done_survive_a_resume() -> None:
    done: dict[str, int] = {}
    before = Progress(WORKS, done)
    for _ in range(3):
        before.finish(0, "b", 1.0)
    after = Progress(WORKS, dict(done))
    assert after.run_fraction() == before.run_fraction() > 0


def test_a_plan_can_be_corrected_once_more_is_known() -> None:
    progress = fresh()
    progress.plan(1, "a", 5)
    progress.finish(0, "a", 2.0)
    assert progress.run_fraction() == 1 / 20
    progress = measured(a=2.0)
    progress.plan(1, "a", 5)
    assert progress.phase_remaining(1) == pytest.approx(5 * 2 + 10)


def phase_named(name: str, **changes: object) -> Phase:
    return next(phase for phase in phases_of(tiny_config(**changes)) if phase.name == name)


@pytest.mark.parametrize(
    ("name", "epochs", "every", "due"),
    [
        ("contrastive", 6, 2, [2, 4, 6]),
        ("contrastive", 5, 2, [2, 4, 5]),
        ("contrastive", 5, 1, [1, 2, 3, 4, 5]),
        ("contrastive", 5, 0, [5]),
        ("contrastive", 5, 9, [5]),
        ("linear_evaluation", 5, 1, [5]),
        ("linear_evaluation", 5, 0, [5]),
    ],
)
def test_a_probe_is_due_every_so_many_epochs_and_after_the_last(
    name: str, epochs: int, every: int, due: list[int]
) -> None:
    phase = phase_named(name, **{f"{name}__epochs": epochs})
    assert [epoch for epoch in range(1, epochs + 1) if is_probe_due(phase, epoch, every)] == due
    assert num_probes(phase, every) == len(due)


def planned(num_train: int = 24, **changes: object) -> dict[tuple[int, str], int]:
    config = tiny_config(**changes)
    return {(work.phase, work.kind): work.count for work in plan_work(config, phases_of(config), num_train, 16)}


def test_all_steps_watches_probes_and_tests_of_a_run_are_planned() -> None:
    assert planned(adversarial__classifier_epochs=3, probe__every_epochs=2) == {
        (0, "contrastive.encoder"): 6,
        (0, PROBE): 1,
        (1, "adversarial.retrain"): 18,
        (1, "adversarial.encoder"): 6,
        (1, WATCH): 4,
        (1, PROBE): 1,
        (2, "linear_evaluation.natural"): 6,
        (2, PROBE): 1,
        (3, "adversarial_linear_evaluation.adversarial"): 3,
        (3, PROBE): 1,
        (4, TEST): 3,
    }


def test_passes_that_replay_and_passes_over_a_share_of_the_batches_are_planned_apart() -> None:
    changes = {"adversarial": {"epochs": 2, "classifier_epochs": 3, "classifier_refresh": "replay", "replay_passes": 2}}
    changes["adversarial"]["classifier_fraction"] = 0.5
    counts = planned(**changes)
    assert (counts[1, "adversarial.retrain"], counts[1, "adversarial.replay"]) == (2 * 2 * 2, 2 * 1 * 2)
    assert counts[1, "adversarial.encoder"] == 6


def test_a_smaller_last_batch_is_a_step_too() -> None:
    assert planned(num_train=25)[0, "contrastive.encoder"] == 2 * 4


def test_kinds_of_steps_are_told_apart_by_phase_and_part() -> None:
    assert len({kind_of(phase, part) for phase in "ab" for part in "cd"}) == 4


def test_a_step_with_an_attack_costs_more_than_one_without() -> None:
    config = tiny_config()
    costs = {work.kind: work.cost for work in plan_work(config, phases_of(config), 24, 16)}
    assert costs["adversarial.encoder"] > costs["contrastive.encoder"] > costs["linear_evaluation.natural"] > 0


def test_sentinels_make_a_probe_dearer_by_about_a_fifth() -> None:
    costs = []
    for sentinel_examples in (0, 64):
        config = tiny_config(probe={"num_examples": 256, "selection_steps": 0, "sentinel_examples": sentinel_examples})
        works = plan_work(config, phases_of(config), 24, 16)
        costs.append(next(work.cost for work in works if work.kind == PROBE))
    assert 1.15 < costs[1] / costs[0] < 1.25


def num_tests_of(**changes: object) -> int:
    return num_tests(phases_of(tiny_config(**changes)))


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 3),
        ({"linear_evaluation__adversarial_epochs": 0}, 2),
        ({"linear_evaluation": {"epochs": 0, "adversarial_epochs": 0}}, 2),
        ({"adversarial__epochs": 0}, 2),
        ({"method": "scl"}, 2),
        ({"method": "scl", "linear_evaluation__adversarial_epochs": 0}, 1),
        ({"method": "rocl", "rocl__head": "linear"}, 1),
        ({"method": "rocl", "rocl__head": "robust-linear"}, 1),
        ({"method": "rocl", "rocl__head": "fine-tune"}, 2),
        *(({"method": method}, 2) for method in ("natural", "at", "fgsm", "alp", "trades")),
        ({"adversarial__epochs": 0, "linear_evaluation": {"epochs": 0, "adversarial_epochs": 0}}, 0),
    ],
)
def test_tests_are_those_of_the_reported_classifiers_and_of_the_best_checkpoint(
    changes: dict[str, object], expected: int
) -> None:
    assert num_tests_of(**changes) == expected


def test_a_watch_costs_what_its_attacks_cost() -> None:
    costs = {}
    for name, changes in {"claf": {"attack__steps": 3}, "fgsm": {"fgsm__monitor_steps": 3}}.items():
        config = tiny_config(method=name, **changes)
        works = plan_work(config, phases_of(config), 24, 16)
        costs[name] = next(work.cost for work in works if work.kind == WATCH)
    natural = FP32_COST * 8
    assert costs["claf"] == natural + natural * (2 * 3 + 1)
    assert costs["fgsm"] == costs["claf"] + natural + natural * (2 * 1 + 1)


def test_what_an_ended_phase_left_undone_is_not_waited_for() -> None:
    progress = measured(a=2.0)
    progress.finish(0, "a", 2.0)
    progress.enter(1)
    assert progress.phase_fraction(0) == 1.0
    assert progress.run_fraction() == 1 / (1 + 15)
    assert progress.run_remaining() == progress.phase_remaining(1) == pytest.approx(10 * 2 + 10)


def test_to_enter_the_phase_that_is_played_changes_nothing() -> None:
    progress = measured(a=2.0)
    progress.finish(0, "a", 2.0)
    before = progress.run_fraction(), progress.run_remaining()
    progress.enter(0)
    assert (progress.run_fraction(), progress.run_remaining()) == before


def test_a_test_on_fewer_examples_costs_less() -> None:
    costs = []
    for num_examples in (None, 8):
        config = tiny_config(evaluation__num_examples=num_examples)
        costs.append(next(work.cost for work in plan_work(config, phases_of(config), 24, 16) if work.kind == TEST))
    assert costs[0] == 2 * costs[1]
