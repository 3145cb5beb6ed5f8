"""What a plugin's file says that it registers, read from its text: a shell that completes a word runs nobody's code."""

import ast
from pathlib import Path
from typing import Literal

Kind = Literal["loss", "method", "model", "data", "attack"]
MAX_BYTES = 2**20


def names_in(path: Path, *kinds: Kind) -> list[str]:
    """The names that a file registers with `register_loss("NAME")` and the like; none of a file that cannot be read."""
    try:
        with path.expanduser().open("rb") as file:
            tree = ast.parse(file.read(MAX_BYTES))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError):
        return []
    wanted = {f"register_{kind}" for kind in kinds}
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _called(node) in wanted and node.args)
    firsts = (call.args[0] for call in calls)
    return [first.value for first in firsts if isinstance(first, ast.Constant) and isinstance(first.value, str)]


def _called(call: ast.Call) -> str:
    function = call.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
