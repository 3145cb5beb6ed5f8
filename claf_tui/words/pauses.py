"""A pause that is to come, as a person reads it. Pure."""

from claf_tui.words import figures


def coming_pause(unit: str, count: int) -> str:
    """Write when a run pauses, as in "pauses in 120 steps"; nothing where it was not asked to.

    Args:
        unit: "steps", "epoch" or "phase" (see `claf_engine.events.control.Later`); empty or unknown is no pause.
        count: how many steps are left.
    """
    if unit == "steps" and count >= 1:
        return f"pauses in {figures.count(count)} step{'s' * (count != 1)}"
    return f"pauses after this {unit}" if unit in ("epoch", "phase") else ""
