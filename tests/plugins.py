"""What tests of plugins share: registries that are put back, and files that register."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from claf_engine.config.registry import REGISTRIES

LOSS = """
    import torch.nn.functional as F
    from claf_engine.training.registered import register_loss

    @register_loss("mine")
    def mine(model, images, labels, attack):
        attacked = attack(images, labels)
        return (F.cross_entropy(model(images), labels) + F.cross_entropy(model(attacked), labels)) / 2
"""
"""A plugin whose method "mine" is a loss."""


@contextmanager
def registries_restored() -> Iterator[None]:
    """What is registered meanwhile is forgotten afterwards."""
    before = [dict(registry.entries) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before, strict=True):
        registry.entries.clear()
        registry.entries.update(entries)


def plugin_file(folder: Path, text: str, name: str = "my.py") -> Path:
    """Write a plugin's file."""
    path = folder / name
    path.write_text(dedent(text))
    return path
