from fractions import Fraction
from pathlib import Path

import pytest

from claf_engine.config import RunConfig
from claf_engine.errors import ConfigError
from claf_engine.presets import (
    DEFAULT_PRESET,
    Override,
    parse_override,
    preset_names,
    preset_summary,
    preset_text,
    resolve_config,
)
from claf_engine.runs import to_plain


def resolved(*settings: str, preset: str | None = "smoke", file: Path | None = None) -> RunConfig:
    return resolve_config(preset, file, [parse_override(setting) for setting in settings])


def complaint(*settings: str, preset: str | None = "smoke", file: Path | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        resolved(*settings, preset=preset, file=file)
    return str(caught.value)


def toml_file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_the_presets_that_the_docs_name_are_here_and_the_default_comes_first() -> None:
    assert preset_names()[0] == DEFAULT_PRESET
    assert set(preset_names()) >= {"demo", "smoke", "cpu-small", "paper", "released-code"}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_and_says_what_it_is_for(name: str) -> None:
    assert resolve_config(name, None).contrastive.epochs > 0
    assert preset_summary(name).endswith(".")


def test_without_preset_and_file_the_default_preset_counts() -> None:
    assert resolve_config(None, None) == resolve_config(DEFAULT_PRESET, None)


def test_the_paper_preset_has_the_values_of_section_4_1() -> None:
    config = resolve_config("paper", None)
    assert (config.contrastive.epochs, config.adversarial.epochs, config.linear_evaluation.epochs) == (60, 140, 100)
    assert (config.features_optimizer.name, config.features_optimizer.learning_rate) == ("adam", 0.05)
    assert (config.attack.epsilon, config.attack.step_size, config.attack.steps) == (
        Fraction(8, 255),
        Fraction(2, 255),
        5,
    )
    assert config.adversarial.classifier_epochs == 5
    assert config.adversarial.classifier_optimizer.schedule == "constant"
    assert (config.evaluation.steps, config.batch_size, config.data.source) == (10, 256, "cifar10")


def test_the_released_code_preset_has_the_values_of_its_last_commit() -> None:
    config = resolve_config("released-code", None)
    optimizer = config.features_optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.momentum) == ("sgd", 0.05, 0.0)
    assert (optimizer.weight_decay, optimizer.final_fraction) == (1e-4, 0.001)
    assert config.adversarial.source == "crop"
    assert config.linear_evaluation.optimizer.schedule == "constant"


def test_later_layers_win(tmp_path: Path) -> None:
    file = toml_file(tmp_path, "seed = 5\n[model]\nwidth = 12\n")
    config = resolved("model.width=20", file=file)
    assert (config.seed, config.model.width, config.model.blocks) == (5, 20, (1, 1))


def test_a_table_that_names_one_key_leaves_the_others_of_its_place_as_they_were(tmp_path: Path) -> None:
    file = toml_file(tmp_path, "[adversarial.classifier_optimizer]\nlearning_rate = 0.5\n")
    optimizer = resolve_config(None, file).adversarial.classifier_optimizer
    assert (optimizer.name, optimizer.schedule, optimizer.learning_rate) == ("adam", "constant", 0.5)


def test_a_file_may_name_the_preset_it_builds_on(tmp_path: Path) -> None:
    config = resolved(preset=None, file=toml_file(tmp_path, 'preset = "smoke"\nseed = 5\n'))
    assert config == resolved("seed=5")


def test_a_preset_on_the_command_line_beats_the_one_that_the_file_names(tmp_path: Path) -> None:
    config = resolved(preset="demo", file=toml_file(tmp_path, 'preset = "smoke"\n'))
    assert config == resolve_config("demo", None)


def test_a_file_without_a_preset_builds_on_the_defaults(tmp_path: Path) -> None:
    config = resolved(preset=None, file=toml_file(tmp_path, "seed = 5\n"))
    assert config == RunConfig(seed=5)


def test_a_resolved_configuration_resolves_to_itself(tmp_path: Path) -> None:
    import tomli_w

    config = resolve_config("released-code", None)
    assert resolved(preset=None, file=toml_file(tmp_path, tomli_w.dumps(to_plain(config)))) == config


@pytest.mark.parametrize(
    ("setting", "key", "value"),
    [
        ("attack.epsilon=4/255", "attack.epsilon", "4/255"),
        ("model.width = 16", "model.width", 16),
        ("data.source=shapes", "data.source", "shapes"),
        ("data.source=folder:/a b=c", "data.source", "folder:/a b=c"),
        ("a.b=[1, 2]", "a.b", [1, 2]),
        ("a.b=[8/255, 16/255]", "a.b", ["8/255", "16/255"]),
        ("a.b=true", "a.b", True),
        ("a.b=1e-3", "a.b", 0.001),
        ("a.b='x'", "a.b", "x"),
        ("a.b=none", "a.b", None),
        ("a.b=", "a.b", ""),
        ("a.b=1\nc=2", "a.b", "1\nc=2"),
    ],
)
def test_a_value_is_read_as_toml_where_it_is_toml_and_as_text_elsewhere(setting: str, key: str, value: object) -> None:
    assert parse_override(setting) == Override(key, value)


@pytest.mark.parametrize("setting", ["x", "=3", "a.=3", "a b=3", "", "a..b=1"])
def test_a_setting_that_is_no_key_and_value_is_refused(setting: str) -> None:
    with pytest.raises(ConfigError, match="is not KEY=VALUE"):
        parse_override(setting)


def test_none_lifts_a_limit_that_the_preset_sets() -> None:
    assert resolved("data.num_train=none").data.num_train is None


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "attack.epsilon=16",
            "--set: attack.epsilon: 16 is above 1, and images lie in [0, 1]; did you mean 16/255?",
        ),
        ("attack.epsilon=-1", "--set: attack.epsilon: -1 is negative; a distance lies in [0, 1], such as 8/255"),
        ("attack.epsilon=nan", "--set: attack.epsilon: nan is not a finite distance; write a fraction such as 8/255"),
        ("attack.epsilom=1", "--set: unknown key attack.epsilom; did you mean attack.epsilon?"),
        ("epsilon=1", "--set: unknown key epsilon; did you mean attack.epsilon?"),
        ("atack.epsilon=1", "--set: unknown key atack; did you mean attack?"),
        ("zzz=1", "--set: unknown key zzz"),
        ("seed=x", "--set: seed must be a whole number, not 'x'"),
        ("seed=1.5", "--set: seed must be a whole number, not 1.5"),
        ("seed.x=1", "--set: seed must be a whole number, not a table"),
        ("seed=none", "--set: seed must be a whole number, not none"),
        ("attack=3", "--set: attack is a group of settings and needs a key inside it, not 3"),
        ("adversarial.epochs=-1", "--set: adversarial.epochs must be at least 0, not -1"),
        ("batch_size=1", "--set: batch_size must be at least 2, not 1"),
        (
            "features_optimizer.name=sdg",
            "--set: features_optimizer.name must be one of 'sgd', 'adam' or 'lars', not 'sdg'",
        ),
        ("features_optimizer.learning_rate=0", "--set: features_optimizer.learning_rate must be greater than 0, not 0"),
        (
            "features_optimizer.learning_rate=inf",
            "--set: features_optimizer.learning_rate must be a finite number, not inf",
        ),
        ("attack.random_start=maybe", "--set: attack.random_start must be true or false, not 'maybe'"),
        ("model.blocks=[0,1]", "--set: model.blocks[0] must be at least 1, not 0"),
        ("model.blocks=3", "--set: model.blocks must be a list such as [1, 2], not 3"),
        ("views.crop_scale=[0.5]", "--set: views.crop_scale needs more items, not [0.5]"),
        ("data.source=shape", "--set: data.source: unknown data source 'shape'; use shapes, cifar10 or folder:PATH"),
        ("runtime.device=gpu", "--set: runtime.device: unknown device 'gpu'; use auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_expected(setting: str, sentence: str) -> None:
    assert complaint(setting) == sentence


def test_every_suggested_key_exists_and_keys_of_the_same_last_name_are_all_suggested() -> None:
    assert complaint("random_start=1") == "--set: unknown key random_start; did you mean attack.random_start?"
    several = complaint("step_size=1")
    assert "attack.step_size or fgsm.step_size or probe.step_size or evaluation.step_size" in several


def test_several_mistakes_are_counted() -> None:
    assert complaint("seed=x", "batch_size=1").endswith("(and 1 more)")


def test_a_mistake_in_a_file_names_the_file_and_the_key(tmp_path: Path) -> None:
    file = toml_file(tmp_path, '[attack]\nepsilon = 16\n[data]\nsource = "shapes"\n')
    assert complaint("seed=3", file=file).startswith(f"{file}: attack.epsilon: 16 is above 1")


def test_a_mistake_on_the_command_line_is_not_blamed_on_the_file(tmp_path: Path) -> None:
    file = toml_file(tmp_path, "[attack]\nepsilon = 0.1\n")
    assert complaint("attack.epsilon=16", file=file).startswith("--set: ")


def test_a_flag_of_its_own_is_named_in_the_complaint() -> None:
    with pytest.raises(ConfigError, match=r"^--data: data\.source: unknown data source 'x'"):
        resolve_config("smoke", None, [Override("data.source", "x", "--data")])


def test_a_syntax_error_names_the_file_and_the_line(tmp_path: Path) -> None:
    file = toml_file(tmp_path, "seed = 3\n[attack\n")
    message = complaint(file=file)
    assert message.startswith(f"{file} is not valid TOML: ")
    assert "line 2" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xff\xfe\x00")
    assert complaint(file=file) == f"{file} is not a TOML file: it is not UTF-8 text"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert complaint(file=file) == f"cannot read the configuration file {file}: No such file or directory"


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_bytes(b"\xef\xbb\xbfseed = 4\n")
    assert resolved(file=file).seed == 4


def test_an_unknown_preset_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match="unknown preset 'smokke'; did you mean smoke"):
        preset_text("smokke")


def test_an_unknown_preset_in_a_file_names_the_file(tmp_path: Path) -> None:
    file = toml_file(tmp_path, 'preset = "papper"\n')
    assert complaint(preset=None, file=file).startswith(f"{file}: unknown preset 'papper'; did you mean paper?")


def test_a_preset_key_that_is_no_text_names_the_file(tmp_path: Path) -> None:
    file = toml_file(tmp_path, "preset = 3\n")
    assert complaint(preset=None, file=file) == f"{file}: preset must be the name of a preset, in quotes"


@pytest.mark.parametrize("text", ["[attack]\nepsilon = nan\n", "[attack]\nepsilon = inf\n", "attack.epsilon = -0.1\n"])
def test_a_distance_in_a_file_must_be_a_finite_share_of_the_pixel_range(tmp_path: Path, text: str) -> None:
    file = toml_file(tmp_path, text)
    assert complaint(file=file).startswith(f"{file}: attack.epsilon: ")


def test_the_package_can_be_used_without_torch() -> None:
    import subprocess
    import sys

    code = "import sys, claf_engine.presets as p; p.resolve_config(None, None); assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
