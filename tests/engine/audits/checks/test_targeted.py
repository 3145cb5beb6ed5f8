from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from claf_engine.audits.bench import Bench
from claf_engine.audits.checks import blackbox
from claf_engine.audits.checks.targeted import CHECKS, margin, runners_up
from claf_engine.audits.diagnostic import Finding, NotRun
from tests.engine.audits.fixtures import (
    BUDGET,
    RELEASED,
    SOUND,
    Build,
    Decoy,
    bench_of,
    found,
    images_of,
    misclassified,
    resumed,
    robust,
    undefended,
)
from tests.engine.tiny import FP32, exhaust

QUICK = replace(BUDGET, name="quick", apgd_steps=20)


def examined(bench: Bench) -> Finding:
    return found(CHECKS[0], bench)


@pytest.mark.parametrize("build", SOUND)
def test_a_network_that_hides_nothing_passes(build: Build) -> None:
    finding = examined(bench_of(build(), budget=QUICK))
    assert (finding.verdict, finding.values["drop"]) == ("passes", 0)


def test_a_class_that_bars_the_way_of_untargeted_attacks_fails() -> None:
    bench = bench_of(Decoy(undefended()), budget=QUICK)
    finding = examined(bench)
    assert finding.verdict == "fails"
    assert finding.values["pgd"] > 0.9
    assert float(bench.worst_case().double().mean()) == finding.values["worst"] < 0.1


def test_it_leaves_no_more_than_the_librarys_targeted_apgd() -> None:
    bench = bench_of(robust(), images_of(100), budget=replace(QUICK, name="standard"))
    ours = examined(bench).values["worst"]
    assert ours <= found(blackbox.CHECKS[0], bench).values["apgd-ce, apgd-t"] + 0.01


def test_runners_up_are_the_likeliest_classes_besides_the_label() -> None:
    logits = torch.tensor([[4.0, 3.0, 2.0, 1.0], [1.0, 4.0, 2.0, 3.0]])
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 4, bias=False))
    model[1].weight.data = torch.eye(4)
    ranked = runners_up(model, logits[:, :, None, None], torch.tensor([0, 2]), 2, FP32)
    assert ranked.tolist() == [[1, 2], [1, 3]]
    assert margin(logits, torch.tensor([0, 2]), ranked[:, 0]).tolist() == [-1, 2]


def test_two_classes_leave_one_runner_up() -> None:
    class Two(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = robust()(images)[:, :2]
            return logits

    split = images_of()
    kept: Any = replace(split, images=split.images[split.labels < 2], labels=split.labels[split.labels < 2])
    bench = bench_of(Two(), kept, budget=QUICK)
    examined(bench)
    assert any("at 1 runner-up class, after PGD" in label for label in bench.outcomes)


def test_an_audit_that_goes_on_finds_the_same_without_attacking_again() -> None:
    bench = bench_of(Decoy(undefended()), budget=QUICK)
    before = examined(bench)
    pulses, after = exhaust(CHECKS[0].run(resumed(bench)))
    assert (list(pulses), after) == ([], before)


def test_it_is_within_the_smallest_budget_and_needs_no_library() -> None:
    assert QUICK.affords(CHECKS[0].budget)


def test_the_released_codes_space_is_attacked_in_its_own_coordinates() -> None:
    bench = bench_of(robust(), space=RELEASED, budget=QUICK)
    examined(bench)
    assert max(outcome.largest_distance for outcome in bench.outcomes.values()) > 8 / 255


def test_nothing_passes_where_nothing_is_classified_correctly() -> None:
    with pytest.raises(NotRun, match="no image is classified correctly"):
        examined(bench_of(robust(), misclassified(robust()), budget=QUICK))
