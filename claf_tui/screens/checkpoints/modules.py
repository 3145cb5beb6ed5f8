"""The tensors of a checkpoint as a tree of modules. Pure."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from claf_engine.runs.header import NETWORK, TensorInfo

MAX_DEPTH = 12
"""Levels of modules; what lies deeper keeps its dots."""
MAX_SPREAD = 5000
"""Tensors up to which it is tried how many modules can be open."""


@dataclass(frozen=True)
class TreeRow:
    """A line of the tree.

    Attributes:
        path: the whole name, such as "network.encoder.blocks.0".
        name: the last part of it.
        depth: how many modules it lies in.
        tensors: a module's, at any depth below it; of a tensor itself alone.
        is_open: whether what is in the module follows.
    """

    path: str
    name: str
    depth: int
    tensors: tuple[TensorInfo, ...]
    is_module: bool
    is_open: bool = False

    @property
    def num_values(self) -> int:
        """Numbers in all."""
        return sum(tensor.num_values for tensor in self.tensors)

    @property
    def num_bytes(self) -> int:
        """What they take."""
        return sum(tensor.num_bytes for tensor in self.tensors)


def tree_rows(tensors: Sequence[TensorInfo], opened: Collection[str], wanted: str = "") -> list[TreeRow]:
    """The lines of the tree, numbered modules in the order of their numbers, the network first.

    Args:
        tensors: of a checkpoint.
        opened: paths of the modules whose content is shown.
        wanted: part of a name; what does not hold it is left out, and what is left is all shown.
    """
    found = [tensor for tensor in tensors if wanted.casefold() in tensor.name.casefold()]
    found.sort(key=lambda tensor: (not tensor.name.startswith(NETWORK), [*map(_order, _parts(tensor.name))]))
    return list(_rows(found, 0, None if wanted else opened))


def first_opened(tensors: Sequence[TensorInfo], room: int) -> set[str]:
    """The modules that are open before a person opens any: the network, and in it as many as `room` lines can show.

    Where there is no network, all outermost modules are open.
    """
    outermost = {tensor.name.partition(".")[0] for tensor in tensors if "." in tensor.name}
    network = NETWORK.removesuffix(".")
    if network not in outermost:
        return outermost
    opened = {network}
    while len(tensors) <= MAX_SPREAD:
        listed = tree_rows(tensors, opened)
        closed = [row for row in listed if row.is_module and not row.is_open and row.path.startswith(NETWORK)]
        more = {row.path for row in closed if row.depth == min(each.depth for each in closed)}
        if not more or len(tree_rows(tensors, opened | more)) > room:
            break
        opened |= more
    return opened


def _rows(tensors: Sequence[TensorInfo], depth: int, opened: Collection[str] | None) -> Iterator[TreeRow]:
    for path, group in groupby(tensors, key=lambda tensor: _path(tensor.name, depth)):
        inner = tuple(group)
        name = path.split(".", depth)[-1]
        leaves = [tensor for tensor in inner if tensor.name == path]
        for tensor in leaves:
            yield TreeRow(path, name, depth, (tensor,), is_module=False)
        below = tuple(tensor for tensor in inner if tensor.name != path)
        if below:
            is_open = opened is None or path in opened
            yield TreeRow(path, name, depth, below, is_module=True, is_open=is_open)
            if is_open:
                yield from _rows(below, depth + 1, opened)


def _path(name: str, depth: int) -> str:
    return ".".join(_parts(name)[: depth + 1])


def _parts(name: str) -> list[str]:
    return name.split(".", MAX_DEPTH)


def _order(part: str) -> list[tuple[int, int, str]]:
    """Sort key in which 2 comes before 10."""
    parts = re.split(r"(\d{1,18})", part)
    return [(0, int(part), "") if part.isascii() and part.isdigit() else (1, 0, part) for part in parts]
