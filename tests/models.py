"""A file of a user's that builds models for tiny images, and what tests of it share."""

from pathlib import Path

from claf_engine.config.plugins import load_model
from tests.plugins import plugin_file

NET = """
    from torch import nn

    def build(num_classes):
        return nn.Sequential(
            nn.Conv2d(3, 4, 3, 2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, num_classes)
        )

    def whole(num_classes):
        return nn.Sequential(nn.Conv2d(3, num_classes, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def soft(num_classes):
        return nn.Sequential(build(num_classes), nn.Softmax(1))

    def of_three():
        return build(3)
"""
"""Functions that build models of 8x8 images: "build" has a classifier to take off, "whole" has none."""


def name_of(folder: Path, function: str = "build", text: str = NET) -> str:
    """Write the file and load it; the name of the architecture."""
    return load_model(f"{plugin_file(folder, text, 'net.py')}:{function}")
