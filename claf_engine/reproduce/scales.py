"""The settings of every recipe at every scale.

At the paper's scale they are the packaged presets; the smaller scales are files in `scales/`, with a section for what
their runs have in common, one for each recipe, one for what `--compute equal` lets
each of them cost, and one for what is measured.
"""

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Any, get_args

from claf_engine.config import RunConfig
from claf_engine.config.messages import Layer
from claf_engine.config.presets import PRESET_KEY, Override, preset_layers, resolve_config, resolve_layers
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import RecipeName, ScaleName, SpaceName

PRESETS: dict[RecipeName, str] = {
    "natural": "natural",
    "scl": "scl",
    "at": "at-madry",
    "trades": "trades",
    "rocl-at": "rocl-at",
    "claf": "table4-adversarial-evaluation",
    "robust": "robust",
    "fgsm": "fgsm",
    "alp": "alp",
    "acl": "acl",
    "acl-linear": "acl-linear",
    "clp": "clp",
    "two-encoders": "two-encoders",
    "rectifier": "rectifier",
    "defense-gan": "defense-gan",
    "pretext": "pretext-rotation",
    "at-rotation": "at-rotation",
    "union": "union",
}
"""The preset of each recipe. That of claf also fits the classifier of Table 4, so that its runs serve every table."""
NEVER_ATTACKED: tuple[RecipeName, ...] = ("natural", "scl", "clp", "rectifier", "defense-gan")
"""Recipes that train on natural images only: the space of attacks changes nothing for them."""
COMMON, COMPUTE, MEASURE = "common", "compute", "measure"
PAPER_AUTOATTACKED = 500
"""Test images that AutoAttack is tried on at the paper's scale."""


def resolve_recipe(scale: ScaleName, recipe: RecipeName, overrides: Sequence[Override] = ()) -> RunConfig:
    """The configuration of a recipe at a scale, with single values on top.

    A recipe's section may name a `preset`, which lies below what the scale's runs have in common.

    Raises:
        ConfigError: a value is wrong.
    """
    if scale == "paper":
        return resolve_layers(preset_layers(PRESETS[recipe]), overrides)
    sections = scale_sections(scale)
    if recipe not in sections:
        raise ConfigError(f"scale {scale} has no settings for recipe {recipe}; {_where(recipe)}")
    own = {key: value for key, value in sections[recipe].items() if key != PRESET_KEY}
    preset = sections[recipe].get(PRESET_KEY)
    layers = [
        *([] if preset is None else preset_layers(preset)),
        Layer(f"scale {scale}", sections[COMMON], is_packaged=True),
        Layer(f"scale {scale}, {recipe}", own, is_packaged=True),
    ]
    return resolve_layers(layers, overrides)


def _where(recipe: RecipeName) -> str:
    """What to use where a scale lacks a recipe."""
    having = [scale for scale in get_args(ScaleName) if scale == "paper" or recipe in scale_sections(scale)]
    return f"use --scale {' or '.join(having)}"


def budget_of(scale: ScaleName) -> float:
    """Forward-units an image that every run of a scale may cost with `--compute equal`.

    Raises:
        ConfigError: the scale names none.
    """
    if scale == "paper":
        raise ConfigError(
            "--compute equal is for --scale gpu, small and tiny: at the paper's scale claf costs so much that natural "
            "training would take thousands of epochs to spend as much; leave it out, or choose another scale"
        )
    return float(scale_sections(scale)[COMPUTE]["units_per_image"])


def autoattacked(scale: ScaleName) -> int:
    """Test images that AutoAttack is tried on where nobody says how many."""
    return PAPER_AUTOATTACKED if scale == "paper" else int(scale_sections(scale)[MEASURE]["autoattack"])


def space_overrides(space: SpaceName, recipe: RecipeName) -> list[Override]:
    """What puts the attacks of a recipe into a space; the released code's is made by its own means and deviations."""
    if space == "pixel" or recipe in NEVER_ATTACKED:
        return []
    model = resolve_config(space, None).model
    values = {
        "attack.space": space,
        "probe.space": space,
        "evaluation.space": space,
        "model.mean": list(model.mean),
        "model.std": list(model.std),
    }
    return [Override(key, value, "--space") for key, value in values.items()]


@cache
def scale_sections(scale: ScaleName) -> dict[str, Any]:
    """The sections of a scale's file."""
    text = resources.files(__package__).joinpath("scales", f"{scale}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)
