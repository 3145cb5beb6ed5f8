"""README.md of a folder for a model hub: metadata, the robustness card, and how the network is loaded. No torch."""

import json
from collections.abc import Mapping
from typing import Any

from claf_engine.config.sources import is_on_disk, path_of, published_source
from claf_engine.evaluation.card_text import as_markdown, plain_text

LIBRARIES = {"timm": "timm", "torchvision": "pytorch"}
"""What a hub is told to load a file with, by its naming."""
STEMS = {
    "residual": """\
model.conv1 = nn.Conv2d(config["num_channels"], 64, 3, 1, 1, bias=False)  # as for images of 32 pixels
model.maxpool = nn.Identity()
""",
    "preactivation": """\
model.stem.conv = nn.Conv2d(config["num_channels"], model.stem.conv.out_channels, 3, 1, 1, bias=False)
model.stem.pool = nn.Identity()
""",
}
SNIPPET = """\
import json
from pathlib import Path
{imports}
from safetensors.torch import load_file
from torch import nn
from torchvision import {modules}

config = json.loads(Path("config.json").read_text())
model = {build}(config["architecture"], num_classes=config["num_classes"], **config["model_args"])
{stem}model.load_state_dict(load_file("model.safetensors"))
model = nn.Sequential(transforms.Normalize(config["mean"], config["std"]), model).eval()
"""
"""Loads a network without a line of ours: images (N, C, H, W) in [0, 1] to logits (N, K)."""
NO_CARD = (
    "# {run}\n\nNothing is known of its robustness: no card lay beside the checkpoint; `claf-tui eval` and "
    "`claf-tui audit` make one.\n"
)


def readme(record: Mapping[str, Any], card: Mapping[str, Any] | None) -> str:
    """The page.

    Args:
        record: of config.json, whose `robustness` is the card's.
        card: the robustness card, or None.
    """
    text = NO_CARD.format(run=plain_text(record["run"])) if card is None else as_markdown(card)
    return "\n".join([*_front_matter(record, card), text, *_network(record), "", *_loading(record), ""])


def published_card(card: Mapping[str, Any], sources: tuple[str, ...]) -> dict[str, Any]:
    """A card without what is of no use elsewhere: the command line, and where the images lay.

    Args:
        card: as `cards.find_card` gives it.
        sources: data sources, whose paths are shortened to the folder's name wherever they stand.
    """
    text = json.dumps({key: value for key, value in card.items() if key != "command"}, ensure_ascii=False)
    for source in sources:
        text = text.replace(_inside(source), _inside(published_source(source)))
        place = path_of(source).parent
        if is_on_disk(source) and place.name:
            text = text.replace(_inside(f"{place}/"), "")
    shortened: dict[str, Any] = json.loads(text)
    return shortened


def snippet(record: Mapping[str, Any]) -> str:
    """Python that loads model.safetensors beside it with a library alone; empty where only we have such a network."""
    if record["names"] not in LIBRARIES:
        return ""
    is_timm = record["names"] == "timm"
    family = "preactivation" if record["architecture"].startswith("resnetv2") else "residual"
    return SNIPPET.format(
        imports="\nimport timm" if is_timm else "",
        modules="transforms" if is_timm else "models, transforms",
        build="timm.create_model" if is_timm else "models.get_model",
        stem=STEMS[family] if record["stem"] == "cifar" else "",
    )


def _front_matter(record: Mapping[str, Any], card: Mapping[str, Any] | None) -> list[str]:
    """YAML, each value of which is JSON, which YAML takes in."""
    tags = ["image-classification", "adversarial-robustness", "claf-tui", plain_text(record["method"])]
    fields: dict[str, Any] = {
        "library_name": LIBRARIES.get(record["names"], "claf-tui"),
        "pipeline_tag": "image-classification",
        "tags": tags,
    }
    if card is not None:
        fields["model-index"] = [_index(record, card)]
    return ["---", *(f"{key}: {_inside(value, whole=True)}" for key, value in fields.items()), "---", ""]


def _index(record: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    """The figures for a hub; robust accuracy only where it is one in a ball, and no diagnostic says that it is not."""
    worst, data = card["worst_case"], plain_text(published_source(str(card["data"])))
    metrics = [{"type": "accuracy", "name": "natural accuracy", "value": card["natural"]["accuracy"]}]
    if worst["is_epsilon_ball"] and card["verdict"] != "fails":
        attacks = ", ".join(str(item["label"]) for item in card["attacks"] if item["counts"])
        name = f"robust accuracy, {worst['norm']} {worst['epsilon']}, an upper bound under {attacks}"
        name += f"; {worst['notice']}" if worst.get("notice") else ""
        metrics.append({"type": "accuracy", "name": plain_text(name), "value": worst["accuracy"]})
    dataset = {"type": data, "name": data, "split": "test"}
    task = {"type": "image-classification"}
    return {"name": plain_text(record["run"]), "results": [{"task": task, "dataset": dataset, "metrics": metrics}]}


def _network(record: Mapping[str, Any]) -> list[str]:
    size = record["image_size"]
    pixels = f"{size[1]}x{size[0]} pixels" if size else "pixels"
    classes = ", ".join(plain_text(name) for name in record["class_names"])
    return [
        "## The network",
        "",
        f"- architecture: {plain_text(record['architecture'])}, tensors in the names of {record['names']}",
        f"- input: images of {pixels}, {record['num_channels']} channels, values in [0, 1]",
        f"- `{record['pixels_to_logits']}`",
        *([f"- mean {record['mean']}, std {record['std']}"] if record["mean"] is not None else []),
        f"- {record['num_classes']} classes, in the order of the outputs: {classes}",
    ]


def _loading(record: Mapping[str, Any]) -> list[str]:
    if text := snippet(record):
        return ["## Loading it", "", "```python", text.rstrip(), "```"]
    return ["## Loading it", "", "    claf-tui checkpoint import FOLDER", "    claf-tui eval latest"]


def _inside(value: object, *, whole: bool = False) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if whole else text[1:-1]
