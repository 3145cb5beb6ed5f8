"""The robustness card of a run that a row has measured."""

from collections.abc import Sequence
from pathlib import Path

from claf_engine.audit.card import command_line, facts
from claf_engine.evaluation.evaluate import figure_record
from claf_engine.evaluation.measured_card import keep_evaluation_card
from claf_engine.reproduce.measuring import Measurement
from claf_engine.runs import read_config
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import RunError


def keep_card(run: Path, measurements: Sequence[Measurement], command: Sequence[str]) -> Path:
    """Write the card of a run's measurements, all of one classifier, below the run.

    Args:
        run: its folder.
        measurements: one for each column, at least one.
        command: the command line that reproduces the table.

    Returns:
        The folder of the card.

    Raises:
        CheckpointError: the checkpoint cannot be read any more.
        RunError: the run's settings cannot be read, or the card cannot be written.
    """
    first = measurements[0]
    info = read_info(first.subject.checkpoint)
    about = {
        **facts(info, read_config(run), first.subject.classifier),
        "data": first.data,
        "device": first.device,
        "seed": first.robust.seed,
        "seconds": round(sum(item.seconds for item in measurements), 3),
        "versions": first.versions,
        "command": command_line(command),
    }
    robust = [figure_record(item.robust) for item in measurements]
    try:
        return keep_evaluation_card(first.natural, robust, first.robust.num_examples, about, info.path)
    except OSError as error:
        raise RunError(
            f"cannot write the card of {run.name}: {error.strerror}; make room and reproduce again"
        ) from error
