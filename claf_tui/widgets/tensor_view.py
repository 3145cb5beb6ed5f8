"""Statistics of one tensor as text, with its histogram. Pure functions."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from textual.content import Content

from claf_engine.runs.header import TensorInfo
from claf_engine.runs.tensor_statistics import TensorStatistics
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

MUTED = "$foreground 60%"
MAX_KINDS = 4
"""Types of numbers that are counted by name."""
BLOCKS = " ▁▂▃▄▅▆▇█"


def statistics_lines(tensor: TensorInfo, statistics: TensorStatistics, width: int, height: int) -> list[Content]:
    """Write name, summary, quantiles and histogram of a tensor into `width` x `height` cells."""
    shape = " x ".join(map(str, tensor.shape)) or "one number"
    nonfinite = statistics.num_nonfinite
    finite = ("", f"{figures.count(nonfinite)} not finite", "bold $error") if nonfinite else ("", "all finite", MUTED)
    facts = [("", shape, MUTED), ("", safe(tensor.dtype, 12), MUTED)]
    facts += [("", f"{figures.count(statistics.num_values)} values", MUTED), finite]
    pairs = [
        ("mean", figures.figure(statistics.mean)),
        ("deviation", figures.figure(statistics.std)),
        ("range", f"{figures.figure(statistics.minimum)} to {figures.figure(statistics.maximum)}"),
        ("zeros", figures.percent(statistics.zero_fraction)),
        *((name, figures.figure(value)) for name, value in statistics.quantiles.items()),
    ]
    lines = [
        Content.styled(safe(tensor.name, 200), "bold").truncate(width, ellipsis=True),
        *_in_columns(facts, width),
        *_in_columns([(f"{name} ", value, "$foreground") for name, value in pairs], width),
    ]
    room = min(16, height - len(lines) - 1)
    if room >= 2 and any(statistics.histogram):
        drawn = histogram_rows(statistics.histogram, min(width, 2 * len(statistics.histogram)), room)
        low, high = figures.figure(statistics.minimum), figures.figure(statistics.maximum)
        ends = low + high.rjust(max(1, len(drawn[0]) - len(low)))
        lines += [Content.styled(row, "$primary") for row in drawn]
        lines.append(Content.styled(ends, "$foreground 60%").truncate(width, ellipsis=True))
    return lines[:height]


def module_lines(name: str, tensors: Sequence[TensorInfo], width: int, height: int) -> list[Content]:
    """Write totals of a module and its largest tensors, with bars, into `width` x `height` cells."""
    num_bytes = sum(tensor.num_bytes for tensor in tensors)
    facts = [("", f"{len(tensors)} tensors", MUTED)]
    facts += [("", f"{figures.count(sum(tensor.num_values for tensor in tensors))} values", MUTED)]
    facts += [("", figures.size(num_bytes), MUTED)]
    kinds = Counter(tensor.dtype for tensor in tensors)
    facts += [(f"{safe(kind, 12)} ", str(number), "$foreground") for kind, number in kinds.most_common(MAX_KINDS)]
    lines = [
        Content.styled(safe(name, 200), "bold").truncate(width, ellipsis=True),
        *_in_columns(facts, width),
        Content(""),
        Content.styled("largest", MUTED),
    ]
    largest = sorted(tensors, key=lambda tensor: -tensor.num_bytes)[: max(0, height - len(lines))]
    return [*lines, *(_share_line(tensor, len(name) + 1, num_bytes, width) for tensor in largest)][:height]


def _share_line(tensor: TensorInfo, prefix: int, total: int, width: int) -> Content:
    """One tensor of a module: its name without the module's, its size, and a bar of its share."""
    share = tensor.num_bytes / total if total else 0.0
    size = f"{figures.size(tensor.num_bytes):>9} {figures.percent(share):>6}"
    room = max(8, width - len(size) - 2)
    short = safe(tensor.name[prefix:] or tensor.name, 200)
    short = short if len(short) <= room else f"…{short[1 - room :]}"
    line = Content.assemble((short.ljust(room), "$foreground"), (f"  {size}", MUTED))
    filled = round(share * min(width, line.cell_length))
    return line.stylize("$foreground on $primary 35%", 0, filled) if filled else line


def histogram_rows(counts: Sequence[int], width: int, height: int) -> list[str]:
    """Draw counts as columns of blocks, `width` cells wide and `height` high; a count above zero is never invisible."""
    values = np.asarray(counts, dtype=np.float64)
    columns = values[np.arange(width) * len(values) // width]
    eighths = np.ceil(columns / max(1.0, values.max()) * height * 8).astype(int)
    return [
        "".join(BLOCKS[min(8, max(0, int(level) - row * 8))] for level in eighths) for row in range(height - 1, -1, -1)
    ]


def _in_columns(facts: Sequence[tuple[str, str, str]], width: int) -> list[Content]:
    """Put facts (name, value, style of the value) side by side, on as many lines as they need."""
    lines: list[Content] = []
    line = Content("")
    for name, value, style in facts:
        cell = Content.assemble((name, MUTED), (value, style))
        if line.cell_length and line.cell_length + 3 + cell.cell_length > width:
            lines.append(line)
            line = Content("")
        line = Content.assemble(line, "   " if line.cell_length else "", cell.truncate(width, ellipsis=True))
    return [*lines, line]
