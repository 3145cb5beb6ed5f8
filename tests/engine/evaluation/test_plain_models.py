from typing import Any

import pytest

from claf_engine.config import ModelConfig
from claf_engine.evaluation.plain_models import PlainName, plain_name, require_naming
from claf_engine.models.library import WITH_HELPERS
from claf_engine.terms.errors import ConfigError

GRAY = {"mean": (0.5,), "std": (0.5,)}
REFUSED = [
    ({"width": 4}, "torchvision", "ResNets of torchvision have 64 channels in their first stage, and this one 4"),
    ({"width": 4}, "trades", "with --names ours or torchvision or timm or kuangliu, not trades"),
    ({"blocks": (1, 1)}, "timm", "timm has no ResNet with stages of 1, 1 blocks"),
    ({"width": 4, "activation": "silu"}, "kuangliu", "have ReLU, and this one silu"),
    ({"logits": "cosine"}, "torchvision", "have a linear classifier, and this one cosine logits; .* --names ours"),
    ({"architecture": "timm:resnet10t", "logits": "cosine"}, "timm", "have a linear classifier, and this one cosine"),
    ({"architecture": "wrn-28-10"}, "timm", "with --names ours or trades, not timm"),
    ({"architecture": "preact-resnet18"}, "torchvision", "with --names ours or kuangliu or timm, not torchvision"),
    ({"architecture": "preact-resnet18", "width": 12}, "timm", "rounds channels to multiples of 8, and this network"),
    ({"architecture": "torchvision:vgg11"}, "timm", "with --names ours or torchvision, not timm"),
    (
        {"stem": "imagenet", **GRAY},
        "torchvision",
        "take colours, and this one gray images; .* --names timm",
    ),
]


@pytest.mark.parametrize(("model", "naming", "message"), REFUSED)
def test_a_naming_that_has_no_such_network_is_refused(model: dict[str, Any], naming: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_naming(ModelConfig(**model), naming)


@pytest.mark.parametrize(
    ("model", "naming", "name"),
    [
        ({}, "torchvision", PlainName("resnet18")),
        ({"blocks": (3, 4, 6, 3)}, "timm", PlainName("resnet34")),
        ({"architecture": "resnet50", **GRAY}, "timm", PlainName("resnet50", {"in_chans": 1})),
        (
            {"architecture": "preact-resnet18", "width": 8},
            "timm",
            PlainName("resnetv2_18", {"channels": [8, 16, 32, 64], "stem_chs": 8}),
        ),
        (
            {"architecture": "torchvision:googlenet"},
            "torchvision",
            PlainName("googlenet", WITH_HELPERS["googlenet"]),
        ),
        ({"architecture": "wrn-28-10"}, "trades", PlainName("wrn-28-10")),
    ],
)
def test_a_network_has_a_name_in_its_library(model: dict[str, Any], naming: str, name: PlainName) -> None:
    require_naming(ModelConfig(**model), naming)
    assert plain_name(ModelConfig(**model), naming) == name
