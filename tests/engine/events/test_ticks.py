from collections.abc import Generator

from claf_engine.events.ticks import Pulse, exhaust


def test_exhausting_a_generator_takes_every_pulse_and_gives_its_result() -> None:
    taken: list[int] = []

    def steps() -> Generator[Pulse, None, str]:
        for number in range(3):
            yield Pulse("x", number, 3)
            taken.append(number)
        return "done"

    assert exhaust(steps()) == "done"
    assert taken == [0, 1, 2]
