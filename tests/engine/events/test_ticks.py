from collections.abc import Generator

from claf_engine.events.ticks import Pulse, exhaust


def test_a_pulse_says_how_much_is_done_and_0_where_nobody_knows_of_how_much() -> None:
    assert Pulse("x", 1, 4).fraction == 0.25
    assert Pulse("x", 3).fraction == 0.0


def test_exhausting_a_generator_takes_every_pulse_and_gives_its_result() -> None:
    taken: list[int] = []

    def steps() -> Generator[Pulse, None, str]:
        for number in range(3):
            yield Pulse("x", number, 3)
            taken.append(number)
        return "done"

    assert exhaust(steps()) == "done"
    assert taken == [0, 1, 2]
