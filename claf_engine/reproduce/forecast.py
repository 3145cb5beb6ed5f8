"""What a reproduction would do, without doing it."""

from dataclasses import dataclass

from claf_engine.reproduce.calibration import Clock
from claf_engine.reproduce.measuring import Bench, subject_of
from claf_engine.reproduce.plan import REPRODUCTIONS, ReproductionRequest, RunPlan, plan_run, table_of, trained_part
from claf_engine.reproduce.tables import Column, Row


@dataclass(frozen=True)
class Forecast:
    """One run of a row.

    Attributes:
        row: its place in the table.
        action: "new", "resume", "reuse", or "shared" with a row above.
        run: name of the folder that is there, or what a new one will be called after its date.
        seconds: estimated, until it is trained and measured.
    """

    row: int
    label: str
    seed: int
    action: str
    run: str
    seconds: float


def forecast(request: ReproductionRequest) -> list[Forecast]:
    """List the runs of a table in the order in which they would be made.

    Raises:
        ConfigError: the table or the data source does not exist.
        DataError: a folder of images is not what it should be.
    """
    table, clock = table_of(request), Clock()
    bench = Bench(request.root / REPRODUCTIONS, request.space)
    seen: list[dict[str, object]] = []
    found = []
    for index, row in enumerate(table.rows):
        for seed in range(request.seeds):
            plan = plan_run(request, row, seed)
            part = trained_part(plan.config)
            is_shared = plan.action != "reuse" and part in seen
            seen.append(part)
            if is_shared:
                seconds = clock.measurement_seconds(plan.config, table.columns)
            else:
                seconds = seconds_left(clock, bench, plan, row, table.columns)
            action = "shared" if is_shared else plan.action
            found.append(Forecast(index, row.label, seed, action, _run_of(plan), seconds))
    return found


def seconds_left(clock: Clock, bench: Bench, plan: RunPlan, row: Row, columns: tuple[Column, ...]) -> float:
    """Estimated seconds until a planned run is trained and measured; nothing is timed where nothing is left to do."""
    if plan.action == "reuse" and plan.directory is not None:
        columns = bench.missing(subject_of(plan.directory, row), plan.config.data, columns)
        return clock.measurement_seconds(plan.config, columns) if columns else 0.0
    return clock.run_seconds(plan.config) * (1 - plan.done) + clock.measurement_seconds(plan.config, columns)


def _run_of(plan: RunPlan) -> str:
    return plan.name if plan.directory is None else plan.directory.name
