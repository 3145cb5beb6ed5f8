"""The checks of an accelerator, in order, and how they are run."""

from collections.abc import Generator, Sequence

from claf_engine.compute.cores import usable_cores
from claf_engine.compute.device import Compute, choose_compute, is_out_of_memory, require_accelerator
from claf_engine.config import RuntimeConfig
from claf_engine.events.ticks import Pulse
from claf_engine.selftest.agreement import attack_agrees, bf16_is_close, capture_agrees, step_agrees, views_agree
from claf_engine.selftest.findings import Check, Finding, Row
from claf_engine.selftest.places import CPU, Places
from claf_engine.selftest.stage import checkpoint_moves, nothing_waits, runs_repeat
from claf_engine.selftest.throughput import attack_rate, encoder_rate, peak_is_measured
from claf_engine.terms.errors import ClafError

OTHER_RESULTS = (
    "this device computes something else than the CPU; do not train on it before it is understood: update torch and "
    "the driver, and report it with the output of --json"
)
NOT_REPEATABLE = "a resumed run will not be bit-identical here; report it with the output of --json"

CHECKS: tuple[Check, ...] = (
    Check("views", "augmentation, against the CPU", OTHER_RESULTS, views_agree),
    Check("step", "contrastive step in fp32, against the CPU", OTHER_RESULTS, step_agrees),
    Check("attack", "PGD in fp32, against the CPU", OTHER_RESULTS, attack_agrees),
    Check(
        "captured-attack",
        "captured attack, against the eager one",
        "train with --set runtime.capture=false, and report it with the output of --json",
        capture_agrees,
    ),
    Check("bf16", "contrastive step in bf16, against fp32", "train with --set runtime.precision=fp32", bf16_is_close),
    Check("waits", "stage 2 without waiting for the device", "nothing is wrong, but slow; report it", nothing_waits),
    Check("repeat", "the same run twice", NOT_REPEATABLE, runs_repeat),
    Check("checkpoint", "a checkpoint from here, on the CPU", "resume such a run on this device", checkpoint_moves),
)
RATES: tuple[Check, ...] = (
    Check("peak", "measured peak", "", peak_is_measured),
    Check(
        "attack-rate",
        "attack, images a second",
        "set runtime.precision and runtime.capture to what is faster here",
        attack_rate,
    ),
    Check(
        "encoder-rate", "encoder step, images a second", "set runtime.precision to what is faster here", encoder_rate
    ),
)
NEEDS_CAPTURE = "captured-attack"


def accelerator_places() -> Places:
    """The accelerator against this machine's CPU; sets up this thread and the backends as a run does.

    Raises:
        DeviceError: torch sees no accelerator.
    """
    device = require_accelerator()
    runtime = RuntimeConfig(device=str(device), precision="fp32", layout="channels_last", capture=False)
    compute = choose_compute(runtime)
    return Places(Compute(CPU, "fp32", usable_cores()), compute)


def device_steps(places: Places, checks: Sequence[Check] = CHECKS + RATES) -> Generator[Pulse, None, tuple[Row, ...]]:
    """Run the checks one after the other; one that cannot be run is a row that says why."""
    rows = []
    for number, check in enumerate(checks):
        yield Pulse(check.title, number, len(checks), abandonable=True)
        rows.append(row_of(check, places))
    return tuple(rows)


def row_of(check: Check, places: Places) -> Row:
    """Run one check."""
    finding = _found(check, places)
    advice = "" if finding.verdict == "passes" else check.advice
    return Row(check.name, check.title, finding.result, finding.verdict, finding.figure, advice, finding.values)


def _found(check: Check, places: Places) -> Finding:
    if check.name == NEEDS_CAPTURE and not places.captures:
        return Finding("not-run", "a CPU captures nothing")
    try:
        return check.run(places)
    except (ClafError, RuntimeError) as error:
        if is_out_of_memory(error):
            return Finding("not-run", "the device's memory ran out")
        return Finding("fails", " ".join(str(error).split()) or type(error).__name__)
