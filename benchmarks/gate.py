"""The gate of `make check-speed`: does the engine still keep the ratios that the benchmarks once measured?

Runs the benchmarks that the bars name, each once, and compares the ratios in their JSON files with the floors. Ratios
are of two sides that took turns in one run, so that they mean the same on a fast and on a slow machine; times do not,
and no time is compared. Exit code 1: a ratio lies below its floor. 2: a benchmark failed, or did not tell a ratio.
"""

import argparse
import json
import math
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.markup import escape

from benchmarks.common import show

BARS = Path(__file__).with_name("bars.toml")
LIMIT_SECONDS = 3600
LAST_LINES = 5
Verdict = Literal["kept", "BELOW", "FAILED"]
Run = tuple[str, tuple[str, ...]]
"""A benchmark and its arguments."""


class Bar(BaseModel):
    """One ratio that must not fall.

    Attributes:
        script: name of a benchmark beside the file of bars.
        arguments: its flags, without --json.
        ratio: name of the ratio in its JSON file.
        floor: what the ratio must reach.
        sentence: what the ratio says.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    script: Annotated[str, Field(pattern=r"^\w+$")]
    arguments: tuple[str, ...] = ()
    ratio: str
    floor: Annotated[float, Field(gt=0)]
    sentence: str

    @property
    def run(self) -> Run:
        """Bars of one script and the same arguments share one run."""
        return self.script, self.arguments

    def verdict(self, measured: float | None) -> Verdict:
        """What a measured ratio, None where there is none, means."""
        if measured is None:
            return "FAILED"
        return "kept" if measured >= self.floor else "BELOW"


class _Bars(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    bar: tuple[Bar, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks, print the table and give the exit code."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("--bars", type=Path, default=BARS, metavar="FILE", help="what to measure (default bars.toml)")
    wanted = flags.parse_args(argv)
    errors = Console(stderr=True, highlight=False)
    try:
        bars = read_bars(wanted.bars)
    except (OSError, tomllib.TOMLDecodeError, ValidationError) as error:
        errors.print(f"error: {wanted.bars} cannot be used: {error}", markup=False, soft_wrap=True)
        return 2
    measured = measure(bars, wanted.bars.resolve().parent, errors)
    return judge(bars, measured)


def read_bars(path: Path) -> tuple[Bar, ...]:
    """The bars of a file.

    Raises:
        OSError: it cannot be read.
        TOMLDecodeError: it is no TOML.
        ValidationError: an entry lacks something, has too much, or a floor is not positive.
    """
    return _Bars.model_validate(tomllib.loads(path.read_text(encoding="utf-8"))).bar


def measure(bars: Iterable[Bar], folder: Path, errors: Console) -> dict[Run, dict[str, float]]:
    """The ratios of every run that the bars ask for; a run that fails has none, and is told of as an error.

    Args:
        bars: what is asked for.
        folder: the package that holds the benchmarks; it is run from its parent.
        errors: where progress and errors are told.
    """
    found: dict[Run, dict[str, float]] = {}
    runs = list(dict.fromkeys(bar.run for bar in bars))
    with TemporaryDirectory() as results:
        for number, (script, arguments) in enumerate(runs, 1):
            errors.print(
                f"check-speed {number}/{len(runs)}: {' '.join((script, *arguments))}", markup=False, soft_wrap=True
            )
            path = Path(results, f"{number}.json")
            failure = run_script((script, arguments), folder, path)
            if failure:
                errors.print(f"error: {script} failed: {failure}", markup=False, soft_wrap=True)
            found[script, arguments] = {} if failure else read_ratios(path)
    return found


def run_script(run: Run, folder: Path, path: Path) -> str:
    """Run one benchmark; gives an empty string when it went well, else what it said last."""
    script, arguments = run
    command = [sys.executable, "-m", f"{folder.name}.{script}", *arguments, "--json", str(path)]
    try:
        done = subprocess.run(
            command, cwd=folder.parent, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {LIMIT_SECONDS} seconds"
    if done.returncode:
        return "\n".join(done.stderr.splitlines()[-LAST_LINES:]) or f"exit code {done.returncode}"
    return "" if path.exists() else "it wrote no JSON file"


def read_ratios(path: Path) -> dict[str, float]:
    """The ratios of a JSON file that are finite numbers; none where the file does not hold such a thing."""
    try:
        ratios = json.loads(path.read_text(encoding="utf-8"))["ratios"].items()
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}
    return {name: value for name, value in ratios if isinstance(value, int | float) and math.isfinite(value)}


def judge(bars: Iterable[Bar], measured: dict[Run, dict[str, float]]) -> int:
    """Print how every bar stands, and what those say that are not kept; gives the exit code."""
    ratios = [(bar, measured[bar.run].get(bar.ratio)) for bar in bars]
    verdicts = [bar.verdict(ratio) for bar, ratio in ratios]
    rows = [
        (escape(f"{bar.script}: {bar.ratio}"), "-" if ratio is None else f"{ratio:.2f}", f"{bar.floor:.2f}", verdict)
        for (bar, ratio), verdict in zip(ratios, verdicts, strict=True)
    ]
    show("Ratios that must not fall", ("ratio", "measured", "floor", "verdict"), rows)
    for (bar, _), verdict in zip(ratios, verdicts, strict=True):
        if verdict != "kept":
            Console().print(
                f"{verdict} {bar.script}: {bar.ratio}: {bar.sentence}", markup=False, highlight=False, soft_wrap=True
            )
    if "FAILED" in verdicts:
        return 2
    return 1 if "BELOW" in verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
