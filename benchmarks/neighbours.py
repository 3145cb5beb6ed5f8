"""What share of a busy machine does a run get, of what would be its fair one?

Neighbours are processes that do nothing but keep a core busy. On c cores with k of them, c threads of a run and the k
neighbours are c + k that want a core, so that fairly a run takes (c + k) / c of the time that it takes alone. The
ratios are shares of that: 1.0 is fair, and more is possible where fewer threads waste less. Each side is a number of
threads; `as it is` leaves that to the engine. What is timed is an epoch of CLAF's second stage on random images.

Time alone is compared too: the ratio `alone` of a side is over that of `as it is`.
"""

import multiprocessing
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks.common import Measured, Side, alternate, parser, show, write
from benchmarks.epochs import Stage2, settle, stage2_config
from claf_engine.compute.device import usable_cores
from claf_engine.config import RuntimeConfig

AS_IT_IS = "as it is"
NEIGHBOURS = (0, 1, 2, 4, 8)


def main(argv: Sequence[str] | None = None) -> None:
    """Measure every side beside each number of neighbours, print a table and write the JSON file."""
    made = parser(__doc__)
    made.add_argument(
        "--neighbours", type=int, nargs="+", default=NEIGHBOURS, help="busy processes (default %(default)s)"
    )
    made.add_argument("--threads", type=int, nargs="+", default=(1,), help="sides beside the engine's own choice")
    made.add_argument("--images", type=int, default=256)
    made.add_argument("--batch", type=int, default=64)
    made.add_argument("--width", type=int, default=16)
    flags = made.parse_args(argv)
    runtime = settle(flags.device)
    chosen = {AS_IT_IS: runtime, **{_named(count): _threaded(runtime, count) for count in flags.threads}}
    about = (flags.images, flags.batch, flags.width)
    sides = [Side(name, prepare_epoch, (settings, *about)) for name, settings in chosen.items()]
    seconds = {}
    for count in sorted({0, *flags.neighbours}):
        with neighbours(count):
            seconds[count] = alternate(sides, flags.repeats, flags.device)
    ratios = ratios_of(seconds, usable_cores())
    _show(seconds, ratios, flags.device)
    plain = {str(count): {side.name: side.plain() for side in found} for count, found in seconds.items()}
    write(flags.json, {"ratios": ratios, "neighbours": plain}, flags.device)


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """So many processes that keep a core busy, for as long as the context lasts."""
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_spin, daemon=True) for _ in range(count)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def prepare_epoch(runtime: RuntimeConfig, images: int, batch: int, width: int) -> Callable[[], None]:
    """An epoch of stage 2 of a narrow network."""
    model = {"width": width, "blocks": (1, 1, 1, 1)}
    stage = Stage2(stage2_config(runtime, batch, model=model), images)

    def work() -> None:
        stage.epoch()

    return work


def ratios_of(seconds: dict[int, list[Measured]], cores: int) -> dict[str, float]:
    """Of each side and number of neighbours, the share of the fair one; and of each side its time alone.

    Args:
        seconds: by number of neighbours, 0 among them; the same sides, `AS_IT_IS` first.
        cores: that there are.
    """
    own = seconds[0][0].median
    found = {}
    for count, sides in seconds.items():
        fair = own * (cores + count) / cores
        for side in sides:
            name = side.name.replace(" ", "_")
            found[f"{name}_{count}" if count else f"{name}_alone"] = fair / side.median
    return found


def _spin() -> None:
    while True:
        statistics.median(range(1000))


def _named(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _threaded(runtime: RuntimeConfig, count: int) -> RuntimeConfig:
    return runtime.model_copy(update={"threads": count})


def _show(seconds: dict[int, list[Measured]], ratios: dict[str, float], device: str) -> None:
    rows = []
    for count, sides in seconds.items():
        for side in sides:
            name = side.name.replace(" ", "_")
            share = ratios[f"{name}_{count}" if count else f"{name}_alone"]
            rows.append((f"{count} neighbours, {side.name}", f"{side.median:.2f} s", f"{share:.0%}"))
    show("An epoch beside busy neighbours", ("side", "seconds", "of the fair share"), rows, device)


if __name__ == "__main__":
    main()
