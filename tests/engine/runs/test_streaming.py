import json
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claf_engine import events as ev
from claf_engine.events.records import to_record
from claf_engine.runs.streaming import MAX_PARTS, STEP_BYTES, WINDOW, Passage, Thinner

STEP = ev.StepLogged(0, 0, 1, "encoder", "supcon", 1.0, 0.1, None, 1.0)


def line_of(seq: int, event: ev.Event) -> bytes:
    return json.dumps({"seq": seq, **to_record(event)}).encode()


def step(number: int, **changes: Any) -> bytes:
    return line_of(number, replace(STEP, step=number, **changes))


def thinner(stride: int, max_steps: int = 100) -> Thinner:
    """One that keeps one step in so many."""
    return Thinner(stride * max_steps * STEP_BYTES, max_steps)


def kept(lines: Sequence[bytes], stride: int) -> list[int]:
    """The places of the lines that are kept."""
    return [json.loads(line)["seq"] for line in thinner(stride).thinned([lines])]


def read(*files: Iterable[bytes]) -> tuple[list[int], int]:
    """The places of the notices on the lines of files, as they come, and how many lines told nothing."""
    passage = Passage()
    return [event.step for event in passage.events(files) if isinstance(event, ev.Notice)], passage.num_damaged


def notice(seq: int) -> bytes:
    return line_of(seq, ev.Notice("info", "a", seq))


def test_our_own_steps_are_about_as_long_as_is_assumed() -> None:
    real = replace(STEP, step=10**6, loss=4.979076862335205, images_per_second=26.698161208157014, elapsed=23971.688)
    assert 0.7 < len(line_of(10**6, real)) / STEP_BYTES < 1.3


def test_a_short_journal_keeps_every_step() -> None:
    lines = [step(number) for number in range(50)]
    choice = Thinner(sum(map(len, lines)), 50)
    assert list(choice.thinned([lines[:20], lines[20:]])) == lines
    assert (choice.stride, choice.num_steps) == (1, 0)


def test_of_a_long_journal_one_in_so_many_is_kept_with_the_first_and_the_last() -> None:
    choice = thinner(10)
    lines = [step(number) for number in range(1, 97)]
    assert list(choice.thinned([lines])) == [*lines[::10], lines[-1]]
    assert (choice.num_steps, choice.num_kept) == (96, 11)


def test_the_last_step_of_each_phase_and_the_first_of_each_part_are_kept() -> None:
    lines = [step(n, phase=n // 20, part="retrain" if n % 20 >= 10 else "encoder") for n in range(40)]
    assert kept(lines, 1000) == [0, 10, 19, 20, 30, 39]


def test_parts_that_take_turns_are_chosen_from_alike() -> None:
    lines = [step(n, part=("encoder", "retrain")[n % 2], epoch=n // 3) for n in range(400)]
    places = kept(lines, 20)
    assert [len([place for place in places if place % 2 == turn]) for turn in (0, 1)] == [10, 11]


def test_every_loss_that_is_not_finite_is_kept() -> None:
    lines = [step(n, loss=math.nan if n in {7, 33} else 1.0) for n in range(100)]
    assert kept(lines, 1000) == [0, 7, 33, 99]


def test_whatever_is_no_step_is_kept_in_its_place() -> None:
    others = [b"", b"{}", b"[" * 100, b'{"type": "StepLogged"}', notice(7), b'{"seq": 1, "type": "Future"}']
    lines = [line for number, other in enumerate(others) for line in (step(2 * number), other)]
    assert [line for line in thinner(1000).thinned([lines]) if line in others] == others


def test_a_journal_of_countless_parts_does_not_fill_the_memory() -> None:
    lines = (step(n, part=f"p{n}") for n in range(10 * MAX_PARTS))
    assert len(list(thinner(1000).thinned([list(lines)]))) < 2 * MAX_PARTS


@given(st.integers(2, 40), st.integers(0, 10**6))
def test_what_is_kept_are_lines_of_the_file_in_their_order(stride: int, seed: int) -> None:
    draw, lines, phase = random.Random(seed), [], 0
    for n in range(draw.randint(1, 200)):
        phase += draw.random() < 0.05
        changes = {"part": draw.choice(["encoder", "retrain"]), "epoch": draw.randrange(3)}
        lines.append(step(n, phase=phase, **changes) if draw.random() < 0.9 else notice(n))
    choice = thinner(stride)
    found = list(choice.thinned([lines]))
    assert found == [line for line in lines if line in set(found)]
    assert choice.num_steps - choice.num_kept == len(lines) - len(found)
    assert {lines[0], lines[-1]} <= set(found)


def test_records_of_two_files_come_in_the_order_they_happened() -> None:
    assert read([notice(n) for n in (0, 2, 3)], [notice(n) for n in (1, 4)]) == ([0, 1, 2, 3, 4], 0)


def test_records_that_lie_out_of_order_are_put_in_order() -> None:
    places = random.Random(0).sample(range(WINDOW), WINDOW)
    assert read([notice(n) for n in places[:500]], [notice(n) for n in places[500:]]) == (list(range(WINDOW)), 0)


def test_lines_that_tell_nothing_are_counted() -> None:
    lines = [
        b"",
        notice(0),
        b"[1]",
        b'{"seq": 1, "type": "Future"}',
        b'{"seq": 1e999}',
        b'{"seq": 2, "type": "Notice"}',
    ]
    assert read(lines) == ([0], 5)


def test_no_more_is_read_of_a_file_than_is_needed() -> None:
    taken = 0

    def endless() -> Iterable[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield notice(taken)

    events = Passage().events([endless()])
    assert [next(events) for _ in range(3)]
    assert taken <= WINDOW + 5


@pytest.mark.parametrize("stride", [1, 7])
def test_thinning_leaves_the_events_that_are_no_steps_alone(stride: int) -> None:
    lines = [step(n) if n % 5 else notice(n) for n in range(100)]
    assert read(thinner(stride).thinned([lines])) == (list(range(0, 100, 5)), 0)
