import inspect
import json
from fractions import Fraction
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from claf_engine import config as cf
from claf_engine.config import AttackConfig, DataConfig, EvaluationConfig, ModelConfig, ProbeConfig, RunConfig, Settings
from claf_engine.config.base import LIVE
from claf_engine.terms.names import Method
from tests.properties import examples

PROPERTY = examples(40)
GROUPS = [
    group for _, group in inspect.getmembers(cf, inspect.isclass) if issubclass(group, Settings) and group != Settings
]
LEVELS = st.integers(0, 255).map(lambda level: Fraction(level, 255))


def through_json(config: RunConfig) -> RunConfig:
    return RunConfig.model_validate(json.loads(json.dumps(config.model_dump(mode="json"), allow_nan=False)))


def test_a_config_of_defaults_survives_json() -> None:
    assert through_json(RunConfig()) == RunConfig()


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    return RunConfig(
        method=draw(st.sampled_from(get_args(Method))),
        seed=draw(st.integers(0, 2**62)),
        data=DataConfig(source=draw(st.sampled_from(["shapes", "cifar10", "folder:/a/ü b"]))),
        model=ModelConfig(blocks=tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=4)))),
        attack=AttackConfig(epsilon=draw(LEVELS), step_size=draw(LEVELS)),
        contrastive=cf.ContrastiveConfig(temperature=draw(st.floats(1e-6, 10))),
        features_optimizer=cf.OptimizerConfig(learning_rate=draw(st.floats(1e-12, 10))),
        probe=ProbeConfig(epsilons=tuple(draw(st.lists(LEVELS, max_size=3)))),
        evaluation=EvaluationConfig(num_examples=draw(st.none() | st.integers(1, 99))),
    )


@PROPERTY
@given(configs())
def test_a_config_survives_json(config: RunConfig) -> None:
    assert through_json(config) == config


def test_a_long_decimal_epsilon_survives_json() -> None:
    config = RunConfig(attack=AttackConfig(epsilon=Fraction("0.0313725490196")))
    assert through_json(config) == config


def test_distances_are_written_as_fractions() -> None:
    written = RunConfig().model_dump(mode="json")
    assert written["attack"]["epsilon"] == "8/255"
    assert written["probe"]["epsilons"] == ["8/255", "16/255"]


def test_a_distance_is_read_as_an_exact_fraction() -> None:
    assert AttackConfig.model_validate({"epsilon": "8/255"}).epsilon == Fraction(8, 255)


@pytest.mark.parametrize("group", GROUPS)
def test_an_unknown_key_is_refused(group: type[Settings]) -> None:
    with pytest.raises(ValidationError, match="no_such_setting"):
        group.model_validate({"no_such_setting": 1})


@pytest.mark.parametrize(
    "group", [name for name, field in RunConfig.model_fields.items() if field.annotation in GROUPS]
)
def test_an_unknown_key_of_a_group_is_refused(group: str) -> None:
    with pytest.raises(ValidationError, match="no_such_setting"):
        RunConfig.model_validate({group: {"no_such_setting": 1}})


@pytest.mark.parametrize("group", GROUPS)
def test_settings_cannot_be_changed(group: type[Settings]) -> None:
    config = group()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(config, next(iter(group.model_fields)), 1)


@pytest.mark.parametrize("group", GROUPS)
def test_every_setting_has_a_valid_default(group: type[Settings]) -> None:
    assert group.model_validate(group().model_dump()) == group()


def test_settings_that_may_be_edited_live_are_numbers() -> None:
    live = [
        getattr(group(), name)
        for group in GROUPS
        for name, field in group.model_fields.items()
        if field.json_schema_extra == LIVE
    ]
    assert live
    assert all(isinstance(value, int | float) for value in live)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "method", "simclr"),
        ("", "seed", -1),
        ("", "batch_size", 1),
        ("data", "seed", -1),
        ("data", "num_train", 0),
        ("data", "num_validation", 0),
        ("data", "num_test", 0),
        ("model", "width", 0),
        ("model", "blocks", [2, 0]),
        ("model", "projection_hidden", 0),
        ("model", "projection_dim", 0),
        ("model", "mean", [0.5, 0.5]),
        ("model", "std", [0.5, 0.5, 0.5, 0.5]),
        ("views", "flip", 1.1),
        ("views", "flip", float("nan")),
        ("views", "jitter", -0.1),
        ("views", "brightness", 1.1),
        ("views", "contrast", -0.1),
        ("views", "saturation", 1.1),
        ("views", "hue", 0.6),
        ("views", "grayscale", -0.1),
        ("views", "crop_scale", [0.5, 1.1]),
        ("features_optimizer", "name", "lion"),
        ("features_optimizer", "learning_rate", 0),
        ("features_optimizer", "learning_rate", float("nan")),
        ("features_optimizer", "momentum", 1.1),
        ("features_optimizer", "weight_decay", -1e-4),
        ("features_optimizer", "schedule", "step"),
        ("features_optimizer", "final_fraction", 1.1),
        ("features_optimizer", "warmup_epochs", -1),
        ("attack", "epsilon", "-1/255"),
        ("attack", "step_size", "eight"),
        ("attack", "steps", -1),
        ("contrastive", "epochs", -1),
        ("contrastive", "temperature", 0),
        ("adversarial", "classifier_epochs", -1),
        ("linear_evaluation", "adversarial_steps", 0),
        ("supervised", "epochs", -1),
        ("probe", "num_examples", 0),
        ("probe", "steps", 0),
        ("probe", "fit_epochs", 0),
        ("evaluation", "epsilons", ["8/255", "2"]),
        ("evaluation", "num_examples", 0),
        ("evaluation", "restarts", 0),
        ("evaluation", "decides", "first"),
        ("checkpoint", "every_epochs", 0),
        ("checkpoint", "every_steps", 0),
        ("checkpoint", "keep_last", 1),
        ("runtime", "precision", "fp16"),
        ("runtime", "threads", 0),
        ("runtime", "log_every", 0),
    ],
)
def test_a_value_out_of_range_is_refused_by_its_name(section: str, key: str, value: object) -> None:
    with pytest.raises(ValidationError) as refusal:
        RunConfig.model_validate({section: {key: value}} if section else {key: value})
    where = [part for error in refusal.value.errors() for part in error["loc"]]
    assert key in where


@pytest.mark.parametrize("source", ["shapes", "cifar10", "folder:/data/pets", "folder:relative path"])
def test_a_known_data_source_is_accepted(source: str) -> None:
    assert DataConfig(source=source).source == source


@pytest.mark.parametrize("source", ["", "mnist", "cifar100", "folder:", "folder", "shapes ", "a folder:b"])
def test_an_unknown_data_source_is_refused_with_those_that_exist(source: str) -> None:
    with pytest.raises(ValidationError, match="use shapes, cifar10, folder:PATH, .* or FILE.py:NAME"):
        DataConfig(source=source)


@pytest.mark.parametrize("blocks", [(1,), (3, 3, 3), (2, 2, 2, 2)])
def test_one_to_four_stages_are_accepted(blocks: tuple[int, ...]) -> None:
    assert ModelConfig(blocks=blocks).blocks == blocks


@pytest.mark.parametrize("blocks", [(), (1, 1, 1, 1, 1)])
def test_another_number_of_stages_is_refused(blocks: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match=r"model\.blocks needs one to four stages, such as \[2, 2, 2, 2\]"):
        ModelConfig(blocks=blocks)


@pytest.mark.parametrize("std", [(0.2, 0.0, 0.2), (0.2, 0.2, -0.1)])
def test_a_deviation_that_is_not_positive_is_refused(std: tuple[float, float, float]) -> None:
    with pytest.raises(ValidationError, match=r"model\.std must be positive"):
        ModelConfig(std=std)


@pytest.mark.parametrize("scale", [(0.2, 1.0), (1.0, 1.0), (0.01, 0.02)])
def test_an_ordered_crop_scale_is_accepted(scale: tuple[float, float]) -> None:
    assert cf.ViewsConfig(crop_scale=scale).crop_scale == scale


@pytest.mark.parametrize("scale", [(0.0, 1.0), (0.9, 0.8)])
def test_a_crop_scale_that_is_empty_or_out_of_order_is_refused(scale: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match=r"views\.crop_scale must be \[low, high\]"):
        cf.ViewsConfig(crop_scale=scale)


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "cuda:0", "cuda:11"])
def test_a_known_device_is_accepted(device: str) -> None:
    assert cf.RuntimeConfig(device=device).device == device


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:-1", "CUDA", "cpu:0", "cuda:0 "])
def test_an_unknown_device_is_refused_with_those_that_exist(device: str) -> None:
    with pytest.raises(ValidationError, match="use auto, cpu, cuda or cuda:N"):
        cf.RuntimeConfig(device=device)


@pytest.mark.parametrize("device", ["mps", "mps:0"])
def test_a_device_that_nobody_tried_is_refused(device: str) -> None:
    with pytest.raises(ValidationError, match="was never tried; use cpu"):
        cf.RuntimeConfig(device=device)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("features_optimizer", "learning_rate", float("inf")),
        ("features_optimizer", "weight_decay", float("inf")),
        ("features_optimizer", "warmup_epochs", float("inf")),
        ("contrastive", "temperature", float("inf")),
        ("model", "mean", [float("nan"), 0.5, 0.5]),
        ("model", "std", [0.5, float("nan"), 0.5]),
    ],
)
def test_a_number_that_is_not_finite_is_refused(section: str, key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        RunConfig.model_validate({section: {key: value}})


@pytest.mark.parametrize("device", ["cuda:01", "cuda:256", "cuda:\N{ARABIC-INDIC DIGIT THREE}"])
def test_a_device_index_that_torch_cannot_read_is_refused(device: str) -> None:
    with pytest.raises(ValidationError):
        cf.RuntimeConfig(device=device)


@pytest.mark.parametrize("section", ["attack", "probe", "evaluation"])
def test_an_l2_attack_whose_steps_stay_far_inside_its_ball_is_refused(section: str) -> None:
    radius = {"epsilon": "0.5"} if section == "attack" else {"epsilons": ["0.5"]}
    with pytest.raises(ValidationError, match=r"steps of 2/255 go no farther than .* and the L2 radius is 0\.5"):
        RunConfig.model_validate({section: {"norm": "l2", **radius}})


@pytest.mark.parametrize("section", ["attack", "probe", "evaluation"])
def test_an_l2_attack_whose_steps_cross_its_ball_is_accepted(section: str) -> None:
    radius = {"epsilon": "0.5"} if section == "attack" else {"epsilons": ["0.5"]}
    config = RunConfig.model_validate({section: {"norm": "l2", "step_size": "0.1", "steps": 5, **radius}})
    assert getattr(config, section).norm == "l2"


CONTRADICTIONS = [
    ({"attack": {"start": "uniform", "random_start": False}}, r"contradicts attack.random_start; leave one"),
    ({"attack": {"start": "gaussian", "warm_start": True}}, r"contradicts attack.warm_start; leave one"),
    ({"attack": {"start": "bernoulli", "norm": "l2", "step_size": "8/255"}}, r"works in norm linf alone; use uniform"),
    ({"objective": {"margin": 0.2}}, r"objective.margin needs model.logits = 'cosine'"),
    ({"objective": {"contrast_weight": 0.1}}, r"objective.contrast_weight needs averaging.decay above 0"),
    ({"objective": {"cross_entropy": "natural"}}, r"leaves attacked images without a loss"),
    (
        {"model": {"logits": "cosine", "architecture": "timm:resnet10t", "weights": "w.pt"}},
        r"goes with new classifiers",
    ),
]


@pytest.mark.parametrize(("settings", "sentence"), CONTRADICTIONS)
def test_settings_of_an_objective_that_contradict_each_other_are_refused(
    settings: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        RunConfig.model_validate(settings)


def test_a_whole_recipe_of_terms_is_accepted() -> None:
    config = RunConfig.model_validate(
        {
            "method": "at",
            "averaging": {"decay": 0.999},
            "model": {"logits": "cosine"},
            "attack": {"start": "bernoulli", "steps": 1, "step_size": "8/255"},
            "objective": {"nuclear_weight": 4, "cross_entropy": "natural", "margin": 0.2, "contrast_weight": 0.1},
        }
    )
    assert config.objective.contrast_temperature == 0.3
