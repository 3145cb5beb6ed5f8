"""What a process sees of its core alone, and beside three that keep that core busy."""

import subprocess
import sys

PROGRAM = """
import os, subprocess, sys, time
{imports}
core = min(os.sched_getaffinity(0))
os.sched_setaffinity(0, {{core}})
def work():
    before, ends = {reading}, time.monotonic() + 1
    while time.monotonic() < ends:
        {doing}
    return {figure}
alone = work()
others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(3)]
time.sleep(0.3)
shared = work()
for other in others:
    other.kill()
print(alone, shared)
"""


def seen(imports: str, reading: str, figure: str, doing: str = "sum(range(1000))") -> tuple[float, float]:
    """Run one second of work alone, and one beside the others.

    Args:
        imports: what the two expressions need.
        reading: an expression, asked before the work; `before` in the other.
        figure: an expression, asked after it.
        doing: the work, over and over.
    """
    program = PROGRAM.format(imports=imports, reading=reading, figure=figure, doing=doing)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    alone, shared = map(float, done.stdout.split())
    return alone, shared
