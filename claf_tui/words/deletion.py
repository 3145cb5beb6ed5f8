"""What would be deleted with a run, as a person reads it before it is. Pure."""

from claf_engine.runs.deleting import Contents
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MAX_STRANGE = 3
"""Files that are not ours and that are named."""


def deletion_text(name: str, contents: Contents) -> str:
    """What would be deleted, in a few lines."""
    checkpoints = "1 checkpoint" if contents.num_checkpoints == 1 else f"{contents.num_checkpoints:,} checkpoints"
    lines = [safe(name, 200), f"{figures.size(contents.num_bytes)}, {checkpoints}: they cannot be brought back."]
    if contents.strange:
        named = ", ".join(safe(one, 30) for one in contents.strange[:MAX_STRANGE])
        more = ", …" if len(contents.strange) > MAX_STRANGE else ""
        lines.append(f"Files that claf-tui did not write go too: {named}{more}")
    return "\n".join(lines)
