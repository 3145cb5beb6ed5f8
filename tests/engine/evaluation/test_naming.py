from typing import Any

import pytest
import torch

from claf_engine.config import ModelConfig
from claf_engine.evaluation.naming import foreign_names, namings_of, our_names, renamed
from claf_engine.models.network import NATURAL, build_network


@pytest.mark.parametrize(
    ("architecture", "naming", "ours", "theirs"),
    [
        ("resnet18", "torchvision", "encoder.stem.weight", "conv1.weight"),
        ("resnet18", "timm", "encoder.norm.running_mean", "bn1.running_mean"),
        ("resnet18", "torchvision", "encoder.blocks.2.shortcut.1.bias", "layer2.0.downsample.1.bias"),
        ("resnet18", "kuangliu", "encoder.blocks.2.shortcut.1.bias", "layer2.0.shortcut.1.bias"),
        ("resnet34", "kuangliu", "encoder.blocks.15.norm2.weight", "layer4.2.bn2.weight"),
        ("resnet50", "torchvision", "encoder.blocks.3.conv3.weight", "layer2.0.conv3.weight"),
        ("resnet18", "kuangliu", "classifier.bias", "linear.bias"),
        ("resnet18", "torchvision", "classifier.bias", "fc.bias"),
        ("preact-resnet18", "kuangliu", "encoder.norm.bias", "bn.bias"),
        ("preact-resnet18", "kuangliu", "encoder.blocks.2.shortcut.weight", "layer2.0.shortcut.0.weight"),
        ("preact-resnet18", "timm", "encoder.blocks.2.shortcut.weight", "stages.1.blocks.0.downsample.conv.weight"),
        ("preact-resnet18", "timm", "classifier.weight", "head.fc.weight"),
        ("wrn-28-10", "trades", "encoder.blocks.4.shortcut.weight", "block2.layer.0.convShortcut.weight"),
        ("wrn-34-10", "trades", "encoder.blocks.14.norm1.weight", "block3.layer.4.bn1.weight"),
        ("torchvision:mobilenet_v3_small", "torchvision", "encoder.module.features.0.0.weight", "features.0.0.weight"),
        ("torchvision:mobilenet_v3_small", "torchvision", "classifier.bias", "classifier.3.bias"),
    ],
)
def test_a_tensor_has_its_name_in_every_naming(architecture: str, naming: str, ours: str, theirs: str) -> None:
    assert foreign_names(ModelConfig(architecture=architecture), [ours], naming) == {ours: theirs}


NETWORKS: list[dict[str, Any]] = [
    {"blocks": (1, 2, 1)},
    {"architecture": "resnet50"},
    {"architecture": "preact-resnet18"},
    {"architecture": "wrn-28-10"},
]


@pytest.mark.parametrize("settings", NETWORKS)
def test_no_two_tensors_share_a_name_and_every_name_leads_back(settings: dict[str, Any]) -> None:
    model = ModelConfig(width=2, **settings)
    pipeline = build_network(model, 3, torch.Generator()).with_classifier(NATURAL)
    own = [name for name in pipeline.state_dict() if name not in {"encoder.mean", "encoder.std"}]
    for naming in namings_of(model)[1:]:
        named = foreign_names(model, own, naming)
        assert len(set(named.values())) == len(own)
        back = our_names(model, own)
        assert all(back[theirs] == ours for ours, theirs in named.items())
        assert renamed(pipeline, model, naming).keys() == set(named.values())


def test_a_plugin_s_network_has_our_names_alone() -> None:
    plugin = ModelConfig.model_construct(architecture="mine")
    assert namings_of(plugin) == ("ours",)
    assert our_names(plugin, ["encoder.module.weight"]) == {}


def test_no_tensor_is_a_part_of_another() -> None:
    model = ModelConfig(width=2)
    pipeline = build_network(model, 3, torch.Generator()).with_classifier(NATURAL)
    encoder: Any = pipeline.encoder
    encoder.blocks[0].conv2.weight = encoder.blocks[0].conv1.weight
    tensors = renamed(pipeline, model, "kuangliu")
    assert tensors["layer1.0.conv1.weight"].data_ptr() != tensors["layer1.0.conv2.weight"].data_ptr()
