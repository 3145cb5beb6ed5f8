"""Runs a function in several processes that train together, forked from one that has torch loaded."""

import json
import os
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def together(place: str, sizes: tuple[int, ...], folder: Path) -> dict[int, list[Any]]:
    """What a function gives in each process, by the number of processes.

    Args:
        place: of the function of a `World`, such as "tests.engine.shared:work"; it gives plain values.
        sizes: numbers of processes.
        folder: an empty one.
    """
    command = [sys.executable, "-m", "tests.engine.together", place, str(folder), *map(str, sizes)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr
    return {size: [json.loads((folder / f"{size}-{rank}.json").read_text()) for rank in range(size)] for size in sizes}


def _main(place: str, folder: str, *sizes: str) -> int:
    module, function = place.split(":")
    work = getattr(import_module(module), function)
    codes = []
    for size in map(int, sizes):
        children = []
        for rank in range(size):
            child = os.fork()
            if child == 0:
                os._exit(_child(work, Path(folder), rank, size))
            children.append(child)
        codes += [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    return max(map(abs, codes))


def _child(work: Any, folder: Path, rank: int, size: int) -> int:
    import torch
    import torch.distributed as dist

    from claf_engine.compute.world import World

    try:
        torch.set_num_threads(1)
        if size > 1:
            dist.init_process_group("gloo", init_method=f"file://{folder}/meet-{size}", rank=rank, world_size=size)
        found = work(World(rank, size, rank, size))
        (folder / f"{size}-{rank}.json").write_text(json.dumps(found))
    except Exception:  # noqa: BLE001 (told by the return code)
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
