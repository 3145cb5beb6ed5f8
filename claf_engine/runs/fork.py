"""Go on from an older checkpoint without harming what came after it: in a new run directory."""

import shutil
from pathlib import Path

from claf_engine.runs import RunDirectory, create_run, read_config
from claf_engine.runs.header import read_info
from claf_engine.runs.journal import EVENTS, METRICS
from claf_engine.terms.errors import CheckpointError, RunError


def fork_run(checkpoint: Path, root: Path, command: list[str]) -> RunDirectory:
    """Make a new run that begins at a checkpoint, with its history up to there.

    Raises:
        CheckpointError: the checkpoint cannot be read, or does not lie in a run directory.
        RunError: the new directory cannot be written.
    """
    info = read_info(checkpoint)
    origin = checkpoint.absolute().parent.parent
    if not (origin / "config.toml").is_file():
        raise CheckpointError(f"{checkpoint} does not lie in a run's checkpoints folder, so no run can go on from it")
    name = origin.name.split("-", 2)[-1][:48]
    directory = create_run(root, f"{name}-from-{info.step}", read_config(origin), command)
    try:
        for file in (METRICS, EVENTS):
            if (origin / file).exists():
                shutil.copyfile(origin / file, directory.path / file)
        shutil.copyfile(checkpoint, directory.checkpoints / checkpoint.name)
    except OSError as error:
        directory.close()
        shutil.rmtree(directory.path, ignore_errors=True)
        raise RunError(f"cannot copy {checkpoint} to {root}: {error.strerror}") from error
    return directory
