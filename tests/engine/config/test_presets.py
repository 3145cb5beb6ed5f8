from fractions import Fraction
from pathlib import Path
from typing import get_args

import pytest

from claf_engine.config import RunConfig
from claf_engine.config.presets import (
    DEFAULT_PRESET,
    Override,
    parse_override,
    preset_names,
    preset_summary,
    preset_text,
    resolve_config,
)
from claf_engine.runs import to_plain
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import Method


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
    assert set(preset_names()) >= {"natural", "scl", "simclr", "at-madry", "at-rice", "fgsm", "trades", "alp"}
    assert set(preset_names()) >= {"rocl-linear", "rocl-robust-linear", "rocl-at"}
    assert {name.partition("-")[0] for name in preset_names()} >= {"table2", "table4", "table5", "table6"}


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_resolves_and_says_what_it_is_for(name: str) -> None:
    assert resolve_config(name, None).contrastive.epochs > 0
    assert preset_summary(name).endswith(".")
    assert len(preset_summary(name)) <= 90


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


def test_the_released_code_preset_attacks_and_measures_in_that_code_s_space() -> None:
    config = resolve_config("released-code", None)
    assert {config.attack.space, config.probe.space, config.evaluation.space} == {"released-code"}
    assert config.model.mean == (0.4914, 0.4822, 0.4465)
    assert config.model.std == (0.2023, 0.1994, 0.2010)


def test_every_other_preset_attacks_and_measures_in_pixel_space() -> None:
    configs = [resolve_config(name, None) for name in preset_names() if name != "released-code"]
    spaces = {space for config in configs for space in (config.attack.space, config.probe.space)}
    assert spaces | {config.evaluation.space for config in configs} == {"pixel"}


def supervised_recipe(name: str) -> tuple[object, ...]:
    config = resolve_config(name, None)
    optimizer, attack = config.supervised.optimizer, config.attack
    rates = (optimizer.name, optimizer.learning_rate, optimizer.momentum, optimizer.weight_decay, optimizer.schedule)
    ball = (attack.epsilon, attack.step_size, attack.steps, config.supervised.attack_batch_norm)
    return config.method, config.batch_size, config.supervised.epochs, rates, ball


def test_natural_training_has_the_usual_recipe() -> None:
    method, batch_size, epochs, rates, _ = supervised_recipe("natural")
    assert (method, batch_size, epochs, rates) == ("natural", 128, 200, ("sgd", 0.1, 0.9, 5e-4, "cosine"))


def test_adversarial_training_has_the_recipes_of_its_authors_and_of_rice() -> None:
    ball = (Fraction(8, 255), Fraction(2, 255), 10, "batch")
    assert supervised_recipe("at-madry") == ("at", 128, 205, ("sgd", 0.1, 0.9, 2e-4, "steps"), ball)
    assert supervised_recipe("at-rice") == ("at", 128, 200, ("sgd", 0.1, 0.9, 5e-4, "steps"), ball)
    assert resolve_config("at-madry", None).supervised.optimizer.milestones == (0.5, 0.75)


def test_fast_training_goes_up_and_down_within_15_epochs() -> None:
    config = resolve_config("fgsm", None)
    optimizer = config.supervised.optimizer
    assert (config.method, config.supervised.epochs, optimizer.warmup_epochs) == ("fgsm", 15, 7.5)
    assert (optimizer.learning_rate, optimizer.schedule, optimizer.final_fraction) == (0.2, "linear", 0.0)
    assert (config.fgsm.step_size, config.fgsm.on_collapse) == (Fraction(10, 255), "stop")


def test_trades_has_the_values_of_its_authors_code() -> None:
    ball = (Fraction("0.031"), Fraction("0.007"), 10, "running")
    assert supervised_recipe("trades") == ("trades", 128, 76, ("sgd", 0.1, 0.9, 2e-4, "steps"), ball)
    assert resolve_config("trades", None).trades.beta == 6.0


def test_trades_drops_its_rate_for_the_last_two_of_its_epochs() -> None:
    from claf_engine.training.optimizers import learning_rate

    config = resolve_config("trades", None)
    steps = 383
    rates = [learning_rate(config.supervised.optimizer, epoch * steps, 76 * steps, steps) for epoch in (73, 74, 75)]
    assert rates == pytest.approx([0.1, 0.01, 0.01])


def test_logit_pairing_is_adversarial_training_with_a_weight() -> None:
    config = resolve_config("alp", None)
    assert (config.method, config.alp.weight) == ("alp", 0.5)
    assert config.supervised.optimizer == resolve_config("at-madry", None).supervised.optimizer


def test_clean_logit_pairing_has_the_values_of_the_code_that_broke_it() -> None:
    config = resolve_config("clp", None)
    assert (config.method, config.batch_size, config.clp.weight, config.clp.noise) == ("clp", 256, 0.5, 0.5)
    assert (config.supervised.optimizer.name, config.supervised.optimizer.learning_rate) == ("adam", 1e-3)


def test_supervised_contrastive_learning_has_the_defaults_of_its_repository() -> None:
    config = resolve_config("scl", None)
    optimizer = config.features_optimizer
    assert (config.method, config.contrastive.epochs, config.contrastive.temperature) == ("scl", 1000, 0.07)
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay) == ("sgd", 0.05, 1e-4)
    assert (optimizer.schedule, optimizer.milestones) == ("steps", (0.7, 0.8, 0.9))


def test_simclr_is_scl_without_labels() -> None:
    config = resolve_config("simclr", None)
    assert (config.method, config.contrastive.positives, config.contrastive.temperature) == ("scl", "views", 0.5)
    assert (config.batch_size, config.features_optimizer.learning_rate) == (1024, 0.5)


def test_the_three_heads_of_rocl_share_their_pretraining() -> None:
    linear, robust, fine_tuned = (
        resolve_config(name, None) for name in ("rocl-linear", "rocl-robust-linear", "rocl-at")
    )
    assert [config.rocl.head for config in (linear, robust, fine_tuned)] == ["linear", "robust-linear", "fine-tune"]
    for other in (robust, fine_tuned):
        assert other.rocl.model_copy(update={"head": "linear"}) == linear.rocl
        assert (other.features_optimizer, other.attack, other.views) == (
            linear.features_optimizer,
            linear.attack,
            linear.views,
        )
    assert (linear.rocl.epochs, linear.rocl.temperature, linear.features_optimizer.name) == (1000, 0.5, "lars")
    assert robust.linear_evaluation.adversarial_epochs > 0
    assert fine_tuned.supervised.epochs > 0


def test_the_heads_of_acl_share_the_authors_pretraining() -> None:
    fine_tuned, linear = resolve_config("acl", None), resolve_config("acl-linear", None)
    assert linear.model_copy(update={"acl": fine_tuned.acl}) == fine_tuned
    assert linear.acl == fine_tuned.acl.model_copy(update={"head": "linear"})
    assert (fine_tuned.acl.epochs, fine_tuned.acl.temperature, fine_tuned.acl.streams) == (1000, 0.5, "dual")
    assert (fine_tuned.features_optimizer.name, fine_tuned.features_optimizer.learning_rate) == ("lars", 5.0)
    assert fine_tuned.attack.steps == 5


def test_an_ablation_differs_from_the_paper_s_preset_in_its_own_setting() -> None:
    own = resolve_config("table4-adversarial-evaluation", None)
    paper = resolve_config("paper", None)
    assert own.model_copy(update={"linear_evaluation": paper.linear_evaluation}) == paper
    assert (own.linear_evaluation.adversarial_epochs, own.linear_evaluation.adversarial_start) == (100, "scratch")
    assert resolve_config("table2-natural-classifier", None).adversarial.classifier_images == "natural"
    assert resolve_config("table5-reinitialised", None).adversarial.classifier_start == "reinitialise"
    assert resolve_config("table6-continued", None).linear_evaluation.start == "attack"


@pytest.mark.parametrize("name", [name for name in preset_names() if name not in {"demo", "smoke", "cpu-small"}])
def test_every_preset_at_the_paper_s_scale_is_its_network_on_its_images(name: str) -> None:
    config, paper = resolve_config(name, None), resolve_config("paper", None)
    assert (config.model.width, config.model.blocks, config.data) == (64, (2, 2, 2, 2), paper.data)
    assert (config.evaluation.epsilons, config.evaluation.steps) == (paper.evaluation.epsilons, 10)


def written_presets(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> None:
    """Put presets of the test in place of the packaged ones."""
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    monkeypatch.setattr("claf_engine.config.presets._folder", lambda: folder)
    monkeypatch.setattr("claf_engine.config.presets.preset_names", lambda: tuple(texts))


def test_a_preset_may_build_on_another_and_wins_over_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_presets(
        tmp_path,
        monkeypatch,
        low="seed = 1\nbatch_size = 7\n[attack]\nsteps = 9\n",
        middle='preset = "low"\nseed = 2\n[attack]\nrandom_start = false\n',
        top='preset = "middle"\nbatch_size = 8\n',
    )
    config = resolve_config("top", None)
    assert (config.seed, config.batch_size, config.attack.steps, config.attack.random_start) == (2, 8, 9, False)


def test_a_mistake_in_a_preset_below_is_blamed_on_that_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_presets(tmp_path, monkeypatch, low="seed = -1\n", top='preset = "low"\n')
    with pytest.raises(ConfigError, match="preset low: seed must be at least 0"):
        resolve_config("top", None)


@pytest.mark.timeout(10)
def test_presets_that_build_on_each_other_in_a_circle_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written_presets(tmp_path, monkeypatch, one='preset = "two"\n', two='preset = "one"\n')
    with pytest.raises(ConfigError, match="preset one builds on itself: one -> two -> one"):
        resolve_config("one", None)


def test_a_preset_that_builds_on_none_that_exists_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written_presets(tmp_path, monkeypatch, one='preset = "twoo"\n', two="")
    with pytest.raises(ConfigError, match="unknown preset 'twoo'; did you mean two"):
        resolve_config("one", None)


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


@pytest.mark.parametrize("group", ["attack", "probe", "evaluation"])
def test_a_radius_above_1_is_a_setting_in_l2_alone(group: str) -> None:
    radius = f"{group}.epsilon=2" if group == "attack" else f"{group}.epsilons=[2]"
    settings = (radius, f"{group}.step_size=1.5")
    assert getattr(resolved(*settings, f"{group}.norm=l2"), group).step_size == 1.5
    assert "is above 1, and images lie in [0, 1]" in complaint(*settings)


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
        (
            "epsilon=1",
            "--set: unknown key epsilon; did you mean attack.epsilon or rectifier.epsilon or union.linf.epsilon or "
            "union.l2.epsilon or union.l1.epsilon?",
        ),
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
        (
            "data.source=shape",
            "--set: data.source: unknown data source 'shape'; use shapes, cifar10, folder:PATH, torchvision:NAME, "
            "hf:PATH, parquet:PATH, wds:PATH or FILE.py:NAME, or give a --plugin "
            "that registers it; did you mean shapes?",
        ),
        (
            "method=trade",
            f"--set: method: unknown method 'trade'; use {', '.join(get_args(Method)[:-1])} or {get_args(Method)[-1]}, "
            "or give a --plugin that registers it; did you mean trades?",
        ),
        (
            "model.architecture=resnett",
            "--set: model.architecture: unknown architecture 'resnett'; use resnet, resnet18, resnet34, resnet50, "
            "preact-resnet18, wrn-28-10, wrn-34-10, torchvision:NAME or timm:NAME, or give a --plugin that registers "
            "it; did you mean resnet?",
        ),
        ("runtime.device=gpu", "--set: runtime.device: unknown device 'gpu'; use auto, cpu, cuda or cuda:N"),
        (
            "runtime.device=mps",
            "--set: runtime.device: no device 'mps': whether it computes what a CPU does was never tried; use cpu",
        ),
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

    code = (
        "import sys, claf_engine.config.presets as p; p.resolve_config(None, None); assert 'torch' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("overrides", "mean"),
    [
        ((), (0.4914, 0.4822, 0.4465)),
        (("data.source=cifar10",), (0.4914, 0.4822, 0.4465)),
        (("data.source=folder:/x",), ()),
        (("data.source=folder:/x", "model.mean=[0.5]", "model.std=[0.5]"), (0.5,)),
        (("model.mean=[]", "model.std=[]"), ()),
    ],
)
def test_statistics_of_images_that_nobody_knows_are_measured(
    overrides: tuple[str, ...], mean: tuple[float, ...]
) -> None:
    assert resolve_config("smoke", overrides=overrides).model.mean == mean


@pytest.mark.parametrize(
    ("overrides", "at_most"),
    [
        ((), False),
        (("data.source=folder:/x",), True),
        (("data.source=folder:/x", "data.num_train=50"), False),
        (("data.source=folder:/x", "data.at_most=false"), False),
    ],
)
def test_sizes_of_a_preset_are_no_more_than_wishes_for_other_images(overrides: tuple[str, ...], at_most: bool) -> None:
    assert resolve_config("smoke", overrides=overrides).data.at_most is at_most


def test_what_two_groups_contradict_each_other_in_is_said_of_the_place_that_wrote_it(tmp_path: Path) -> None:
    sentence = "objective.margin needs model.logits = 'cosine'; set that, or the margin to 0"
    assert complaint("objective.margin=0.2") == f"--set: {sentence}"
    file = toml_file(tmp_path, "[objective]\nmargin = 0.2\n")
    assert complaint("seed=1", file=file) == f"{file}: {sentence}"


def test_none_is_a_word_where_a_setting_has_that_word() -> None:
    assert resolve_config("demo", None, ["trades.weighting=none", "data.num_train=none"]).trades.weighting == "none"
